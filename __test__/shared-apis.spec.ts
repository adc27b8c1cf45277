// The table of docs/sharing-between-threads.md: which APIs take a Buffer on shared memory.

import { readFileSync } from 'node:fs'

import { onLinux as test } from './helpers/platform.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'

const source = `await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/shared-apis.mjs')`

const document = readFileSync(new URL('../docs/sharing-between-threads.md', import.meta.url), 'utf8')
const [columns = [], , ...rows] = document
  .slice(document.indexOf('| API '))
  .trim()
  .split('\n')
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

/** What the table says of a runtime. */
function column(heading: string): Record<string, string> {
  const at = columns.indexOf(heading)
  return Object.fromEntries(rows.map((cells) => [cells[0], cells[at]]))
}

for (const runtime of runtimes()) {
  const [major, minor] = runtime.version.split('.')
  const family = { deno: 'Deno', bun: 'Bun' }[runtime.name]
  const heading = family === undefined ? `Node ${major}` : `${family} ${major}.${minor}`
  test(`the APIs that take shared memory are those of the table (${heading})`, async (t) => {
    t.true(columns.includes(heading), `the table lacks ${heading}`)
    const { code, stdout, stderr } = await runScript(runtime, source)
    t.is(code, 0, stderr)
    t.deepEqual(JSON.parse(stdout), column(heading))
  })
}
