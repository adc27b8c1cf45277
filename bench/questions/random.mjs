// How fast are loads of 8 bytes, all over a file?

import { closeSync, openSync, readSync } from 'node:fs'

import { GIB, MIB, sparse } from '../harness/files.mjs'
import { randomCalls, randomly, randomlyInPieces } from '../harness/loops.mjs'
import { load, waysOf } from '../peers/index.mjs'

const COUNT = 5_000_000

const count = (quick) => (quick ? COUNT / 100 : COUNT)

/** Nanoseconds of a load, from `open` on, when pages come into the mapping, and once more. */
const loads = (open, part = 1) => ({
  run: async ({ file, size, warm, quick }) => {
    const other = await open(warm, MIB)
    other(10_000)
    other(100_000)
    const many = Math.ceil(count(quick) * part)
    const tables = {}
    let start = performance.now()
    const run = await open(file, size)
    for (const table of ['first', 'again']) {
      run(many)
      tables[table] = [((performance.now() - start) * 1e6) / many]
      start = performance.now()
    }
    return tables
  },
})

/** Arrays over 1 GiB each: what every runtime can have. */
const PIECE = GIB / 8

async function ourArray(file, size, options) {
  const { mapShared } = await import('../../index.js')
  const map = mapShared(file, options)
  if (size <= GIB) {
    const numbers = map.typedArray(Float64Array)
    return (count) => randomly(numbers, count)
  }
  const pieces = Array.from({ length: size / GIB }, (_, i) => map.typedArray(Float64Array, i * GIB, PIECE))
  return (count) => randomlyInPieces(pieces, size / 8, count)
}

export const ours = (options, program = 'node') => ({
  program,
  ...loads((file, size) => ourArray(file, size, options)),
})

const theirs = ({ module, program }) => ({
  program,
  ...loads(async (file) => {
    const { buffer } = (await load(module))(file)
    const numbers = new Float64Array(buffer.buffer, buffer.byteOffset, buffer.length / 8)
    return (count) => randomly(numbers, count)
  }),
  only: ({ large }) => !large,
})

const limit = (program) => ({ program, args: ({ file, quick }) => ['random', file, count(quick)] })

const onlySmall = { only: ({ large }) => !large }

export const question = {
  title: '5 million loads of 8 bytes, all over a file',
  about:
    'Of files in the cache, sparse ones, at places that a generator with a fixed seed gives. The larger file is ' +
    'beyond the largest Buffer of Node 20: five Float64Arrays of 1 GiB each are used. `fs.readSync` and ' +
    '`map.read` do a tenth of the loads.',
  tables: {
    first: { title: 'For each load, from the path of the file', unit: 'ns' },
    again: { title: 'For each load, again', unit: 'ns' },
  },
  cases: (quick) => {
    const one = (name, size, large) => ({ name, large, file: sparse(size), warm: sparse(MIB) })
    return quick ? [one('16 MiB', 16 * MIB, false)] : [one('1 GiB', GIB, false), one('5 GiB', 5 * GIB, true)]
  },
  ways: {
    'C, mmap(2)': limit('c'),
    'Rust, memmap2': limit('rust'),
    'memory-map, Float64Array': ours(),
    'memory-map, buffer.readDoubleLE': {
      ...loads(async (file, size) => {
        const { mapShared } = await import('../../index.js')
        const { buffer } = mapShared(file)
        return (count) => randomCalls((at) => buffer.readDoubleLE(at), size, count)
      }),
      ...onlySmall,
    },
    'memory-map, map.read': loads(async (file, size) => {
      const { mapShared } = await import('../../index.js')
      const map = mapShared(file)
      return (count) => randomCalls((at) => map.read(at, 8)[0], size, count)
    }, 0.1),
    'fs.readSync': loads((file, size) => {
      const fd = openSync(file)
      if (size === MIB) setImmediate(closeSync, fd)
      const eight = Buffer.alloc(8)
      return (count) =>
        randomCalls(
          (at) => {
            readSync(fd, eight, 0, 8, at)
            return eight[0]
          },
          size,
          count,
        )
    }, 0.1),
    'a heap Float64Array': {
      ...loads((_, size) => {
        const numbers = new Float64Array(size / 8).fill(1)
        return (count) => randomly(numbers, count)
      }),
      ...onlySmall,
    },
    'a heap Buffer, readDoubleLE': {
      ...loads((_, size) => {
        const buffer = Buffer.alloc(size, 1)
        return (count) => randomCalls((at) => buffer.readDoubleLE(at), size, count)
      }),
      ...onlySmall,
    },
    ...waysOf(theirs),
    'memory-map on Bun': ours({}, 'bun'),
    'memory-map on Deno': ours({}, 'deno'),
  },
  plot: { kind: 'bars', table: 'again', cases: ['1 GiB'] },
  targets: (value) => [
    {
      what: '1 GiB: speed against a heap Float64Array',
      value: value('a heap Float64Array', '1 GiB', 'again') / value('memory-map, Float64Array', '1 GiB', 'again'),
      atLeast: 0.95,
    },
    {
      what: '1 GiB: speed of readDoubleLE against a heap Buffer',
      value:
        value('a heap Buffer, readDoubleLE', '1 GiB', 'again') /
        value('memory-map, buffer.readDoubleLE', '1 GiB', 'again'),
      atLeast: 0.95,
    },
    ...['1 GiB', '5 GiB'].map((size) => ({
      what: `${size}: time from the path on, against fs.readSync`,
      value: value('memory-map, Float64Array', size, 'first') / value('fs.readSync', size, 'first'),
      atMost: 1,
    })),
  ],
}
