// strip-types.mjs FOLDER: removes the types from the tests in FOLDER, for a Node that cannot do it, and for which there is
// no library that could. They keep their names; `node --import FOLDER/typescript.mjs` runs them.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { transformSync } from 'esbuild'

const [folder] = process.argv.slice(2)
const tests = join(folder, '__test__')

for (const name of readdirSync(tests, { recursive: true })) {
  if (!name.endsWith('.ts') || name.includes('node_modules')) continue
  const source = readFileSync(join(tests, name), 'utf8')
  const { code } = transformSync(source, { loader: 'ts', format: 'esm', target: 'node20' })
  writeFileSync(join(tests, name), code)
}

const hooks = `export const load = (url, context, next) =>
  next(url, url.endsWith('.ts') ? { ...context, format: 'module' } : context)`
writeFileSync(
  join(folder, 'typescript.mjs'),
  `import { register } from 'node:module'\n\nregister('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))})\n`,
)
