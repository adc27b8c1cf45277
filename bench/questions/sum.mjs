// How fast is a loop over all of a file?

import fs from 'node:fs'

import { GIB, MIB, numbers } from '../harness/files.mjs'
import { sum } from '../harness/loops.mjs'
import { timed } from '../harness/sample.mjs'
import { load, waysOf } from '../peers/index.mjs'

export const types = { u8: Uint8Array, u32: Uint32Array, f64: Float64Array }

const over = (buffer, type) => {
  const Type = types[type]
  return new Type(buffer.buffer, buffer.byteOffset, buffer.byteLength / Type.BYTES_PER_ELEMENT)
}

/** Has the loop compiled for arrays like `array`: on a small part, whose pages are the only ones touched. */
function warmUp(array) {
  const part = array.subarray(0, MIB / 8)
  for (let i = 0; i < 40; i++) sum(part)
}

/** Milliseconds of a sum from `open` on, and of another one. */
const firstAndAgain = (open) => ({
  run: async ({ file, type, warm }) => {
    const other = await open(warm, type)
    warmUp(other)
    let array
    const first = performance.now()
    array = await open(file, type)
    sum(array)
    return { first: [performance.now() - first], again: [timed(() => sum(array))] }
  },
})

export const ours = (options, program = 'node') => ({
  program,
  ...firstAndAgain(async (file, type) => {
    const { mapShared } = await import('../../index.js')
    return mapShared(file, options).typedArray(types[type])
  }),
})

const theirs = ({ module, program }) => ({
  program,
  ...firstAndAgain(async (file, type) => over((await load(module))(file).buffer, type)),
})

/** Sums piece by piece; every piece is memory of the same kind. */
const inPieces = (each) => ({
  run: async ({ file, type, warm }) => {
    const all = async (file) => {
      let total = 0
      await each(file, (piece) => (total += sum(over(piece, type))))
      return total
    }
    for (let i = 0; i < 10; i++) await all(warm)
    const start = performance.now()
    await all(file)
    return { first: [performance.now() - start] }
  },
})

const streamed = (highWaterMark) =>
  inPieces(async (file, use) => {
    for await (const chunk of fs.createReadStream(file, { highWaterMark })) use(chunk)
  })

const limit = (program) => ({ program, args: ({ file, type }) => ['sum', file, type] })

const HEAP = 'a heap array'

export const question = {
  title: 'Sum 1 GiB of numbers',
  rounds: 2,
  about:
    'A plain `for` loop over a file in the cache. The first table counts from the path, so it has the mapping, the ' +
    'page faults or the reading in it; the second has the same loop over memory that is there.',
  tables: {
    first: { title: 'From the path of the file', unit: 'ms' },
    again: { title: 'The loop again', unit: 'ms' },
  },
  cases: (quick) =>
    Object.keys(types).map((type) => ({
      name: type,
      type,
      file: numbers(quick ? 16 * MIB : GIB),
      warm: numbers(2 * MIB),
    })),
  ways: {
    'C, mmap(2)': limit('c'),
    'Rust, memmap2': limit('rust'),
    'memory-map': ours(),
    'memory-map, shared backing': ours({ backing: 'shared-array-buffer' }),
    [HEAP]: {
      run: async ({ size, type }) => {
        const array = new types[type](size / types[type].BYTES_PER_ELEMENT).fill(1)
        warmUp(array)
        return { again: [timed(() => sum(array))] }
      },
    },
    'fs.readFileSync': firstAndAgain((file, type) => over(fs.readFileSync(file), type)),
    'fs.readSync, 1 MiB at a time': inPieces((file, use) => {
      const fd = fs.openSync(file)
      const block = Buffer.allocUnsafeSlow(MIB)
      for (let n; (n = fs.readSync(fd, block)) > 0;) use(block.subarray(0, n))
      fs.closeSync(fd)
    }),
    'fs.createReadStream': streamed(),
    'fs.createReadStream, 1 MiB at a time': streamed(MIB),
    ...waysOf(theirs),
    'memory-map on Bun': ours({}, 'bun'),
    'memory-map on Deno': ours({}, 'deno'),
  },
  plot: { kind: 'bars', table: 'first', cases: ['u8', 'f64'] },
  targets: (value) =>
    Object.keys(types).flatMap((type) => {
      const first = (way) => value(way, type, 'first')
      const streams = ['fs.createReadStream', 'fs.createReadStream, 1 MiB at a time'].map(first)
      return [
        {
          what: `${type}: speed of the loop against a heap array`,
          value: value(HEAP, type, 'again') / value('memory-map', type, 'again'),
          atLeast: 0.95,
        },
        {
          what: `${type}: time against readFileSync`,
          value: first('memory-map') / first('fs.readFileSync'),
          atMost: 1,
        },
        {
          what: `${type}: time against the faster stream`,
          value: first('memory-map') / Math.min(...streams),
          atMost: 1,
        },
      ]
    }),
}
