// The table of docs/changing-memory.md: which APIs read the memory that they are given once, which more than once, and what
// to give them instead. The first call of each line gets memory that changes between two passes. `npm run test:changing`
// makes all calls, and also has another process change the memory at any time.

import { readFileSync } from 'node:fs'

import { tripwirePath } from './helpers/addon.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { callsMadeBy, type Call } from './changing-memory/children.ts'

const document = readFileSync(new URL('../docs/changing-memory.md', import.meta.url), 'utf8')
const [columns = [], , ...rows] = document
  .slice(document.indexOf('| API '))
  .split('\n\n')[0]!
  .trim()
  .split('\n')
  .map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

/** What the table says of an API with ordinary memory and with shared memory: one word, or two where they differ. */
function saidOf(heading: string, backing: string): Record<string, string> {
  const at = columns.indexOf(heading)
  return Object.fromEntries(
    rows.map((cells) => {
      const [ordinary = '', shared = ordinary] = cells[at]!.split(' / ')
      return [cells[0]!.replaceAll('\\|', '|'), backing === 'array-buffer' ? ordinary : shared]
    }),
  )
}

/** Whether an API goes over its memory once, or more than once; nothing where it does not go over all of it. */
function shownBy({ touches, died }: Call): 'once' | 'again' | undefined {
  if (died !== undefined) return 'again'
  if (touches! < 2) return undefined
  return touches === 2 ? 'once' : 'again'
}

const words: Record<string, string[]> = { once: ['safe'], again: ['garbage', 'crash'] }

for (const runtime of runtimes()) {
  const [major, minor] = runtime.version.split('.')
  const title = { bun: 'Bun', deno: 'Deno' }[runtime.name] ?? 'Node'
  const heading = title === 'Node' ? `Node ${major}` : `${title} ${major}.${minor}`
  for (const backing of runtime.name === 'bun' ? ['array-buffer'] : ['array-buffer', 'shared-array-buffer']) {
    test(`APIs read memory once or more often, as the table says (${heading}, ${backing})`, async (t) => {
      t.true(columns.includes(heading), `the table lacks ${heading}`)
      const said = saidOf(heading, backing)
      for (const call of await callsMadeBy(runtime, 'passes.mjs', [tripwirePath(), backing, 'first'])) {
        const shown = shownBy(call)
        if (shown !== undefined)
          t.true(words[shown]!.includes(said[call.name]!), `${call.name}: ${shown}, table: ${said[call.name]}`)
      }
    })
  }

  test(`what the table recommends instead reads memory once (${heading})`, async (t) => {
    const source = `await import(process.env.MEMORY_MAP_ROOT + '__test__/changing-memory/instead.mjs')`
    const { code, stdout, stderr } = await runScript(runtime, source, { args: [tripwirePath()] })
    t.is(code, 0, stderr)
    for (const [name, touches] of Object.entries(JSON.parse(stdout) as Record<string, number>)) t.is(touches, 2, name)
  })
}

test('the table has the same lines as changing-memory/apis.mjs', async (t) => {
  const source = `
    const { apis } = await import(process.env.MEMORY_MAP_ROOT + '__test__/changing-memory/apis.mjs')
    console.log(JSON.stringify(Object.keys(apis)))`
  const { stdout, stderr } = await runScript(runtimes()[0]!, source)
  t.is(stderr, '')
  t.deepEqual(
    rows.map(([name]) => name!.replaceAll('\\|', '|')),
    JSON.parse(stdout),
  )
})
