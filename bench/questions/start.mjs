// How long does it take to load the library?

import { readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { folder } from '../harness/files.mjs'

const root = new URL('../../', import.meta.url)

const ours = (file, program = 'node') => ({
  program,
  run: async () => {
    const start = performance.now()
    await import(new URL(file, root).href)
    return [performance.now() - start]
  },
})

const required = (name) => ({
  run: () => {
    const require = createRequire(import.meta.url)
    const file = name()
    const start = performance.now()
    require(file)
    return [performance.now() - start]
  },
})

const bare = () =>
  fileURLToPath(
    new URL(
      readdirSync(root).find((name) => name.endsWith('.node')),
      root,
    ),
  )

const EMPTY = 'an empty module, import'
const BARE = 'the bare .node file, require'
const OURS = 'memory-map, import'

export const question = {
  title: 'Cold start',
  about: 'The time of the first `import` or `require` in a new process. The bare library is the .node file alone.',
  rounds: 15,
  tables: { time: { title: 'To load', unit: 'ms' } },
  cases: () => [{ name: 'cold' }],
  ways: {
    [BARE]: required(bare),
    [EMPTY]: {
      run: (context) => {
        const file = `${folder}/empty.mjs`
        writeFileSync(file, '')
        return ours(pathToFileURL(file)).run(context)
      },
    },
    [OURS]: ours('index.js'),
    'memory-map/sync, import': ours('sync.js'),
    'koffi, require': required(() => 'koffi'),
    '@riaskov/mmap-io, require': required(() => '@riaskov/mmap-io'),
  },
  plot: { kind: 'bars', table: 'time' },
  targets: (value) => [
    {
      what: 'import against the bare .node file',
      value: value(OURS, 'cold') / value(BARE, 'cold'),
      atMost: 1.5,
    },
    {
      what: 'import against the bare .node file and an empty module',
      value: value(OURS, 'cold') / (value(BARE, 'cold') + value(EMPTY, 'cold')),
      atMost: 1.5,
    },
  ],
}
