import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a script in ./tools prints, which is the folder of what it provides. Throws an error with its `status` if it fails. */
export function tool(script, ...args) {
  const path = fileURLToPath(new URL(`tools/${script}`, import.meta.url))
  return execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }).trim()
}
