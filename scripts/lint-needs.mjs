// Says what `npm run lint` needs and does not find, before it fails in the middle.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const remedies = {
  'cargo --version': 'Rust 1.88 or newer',
  'cargo fmt --version': 'rustfmt: rustup component add rustfmt',
  'cargo clippy --version': 'Clippy: rustup component add clippy',
}
const missing = Object.entries(remedies)
  .filter(([command]) => spawnSync(command, { shell: true, stdio: 'ignore' }).status !== 0)
  .map(([, remedy]) => remedy)
if (!existsSync(fileURLToPath(new URL('../node_modules/oxlint', import.meta.url)))) missing.push('its packages: npm ci')
for (const remedy of missing) console.error(`npm run lint needs ${remedy}`)
if (missing.length > 0) process.exit(1)
