// How long does it take to load the library?

import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

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

export const question = {
  title: 'Cold start',
  about: 'The time of the first `import` or `require` in a new process. The bare library is the .node file alone.',
  rounds: 15,
  tables: { time: { title: 'To load', unit: 'ms' } },
  cases: () => [{ name: 'cold' }],
  ways: {
    'the bare .node file, require': required(bare),
    'memory-map, import': ours('index.js'),
    'memory-map/sync, import': ours('sync.js'),
    'koffi, require': required(() => 'koffi'),
    '@riaskov/mmap-io, require': required(() => '@riaskov/mmap-io'),
  },
  plot: { kind: 'bars', table: 'time' },
  targets: (value) => [
    {
      what: 'import against the bare .node file',
      value: value('memory-map, import', 'cold') / value('the bare .node file, require', 'cold'),
      atMost: 1.5,
    },
  ],
}
