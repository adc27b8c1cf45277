// What does a view of 4 KiB cost?

import { GIB, MIB, sparse, TIB } from '../harness/files.mjs'
import { sample, timed } from '../harness/sample.mjs'
import { generator } from '../harness/statistics.mjs'
import { load } from '../peers/index.mjs'

const LENGTH = 4096
const BATCH = 10_000

let checksum = 0

/** Nanoseconds of one view, at places all over: the first time in a mapping, and later. */
async function views(size, cut, { quick }) {
  const next = generator()
  const offsets = Array.from({ length: BATCH }, () => Math.floor((next() / 2 ** 32) * (size - LENGTH)))
  const run = () => {
    for (let i = 0; i < BATCH; i++) checksum += cut(offsets[i]).length
  }
  const passes = [timed(run), timed(run)].map((milliseconds) => (milliseconds * 1e6) / BATCH)
  const times = await sample(run, { time: quick ? 20 : 200, batch: BATCH })
  return { first: [passes[0]], second: [passes[1]], time: times.map((microseconds) => microseconds * 1000) }
}

const ours = (program = 'node') => ({
  program,
  run: async (context) => {
    const { mapAnonymous } = await import('../../index.js')
    const map = mapAnonymous(context.size, { reserve: false })
    return views(context.size, (offset) => map.view(offset, LENGTH), context)
  },
})

const oneBuffer = { only: ({ size }) => size <= GIB }

const peer = (module, program = 'node') => ({
  program,
  run: async (context) => {
    const { buffer } = (await load(module))(context.file)
    return views(buffer.length, (offset) => buffer.subarray(offset, offset + LENGTH), context)
  },
  ...oneBuffer,
})

const FROM = 'Buffer.from(arrayBuffer, offset, length)'

export const question = {
  title: 'A view of 4 KiB',
  about:
    '`map.view(offset, 4096)`, in random order, against what JavaScript has for an ArrayBuffer that exists, and ' +
    'against slices of the Buffers that peers give, as far as those reach. The first pass over 10,000 places makes the ' +
    'ArrayBuffers that views are cut from, and runs code that is not compiled yet.',
  tables: {
    time: { title: 'Each view', unit: 'ns' },
    first: { title: 'Each view of the first 10,000', unit: 'ns' },
    second: { title: 'Each view of the next 10,000, at the same places', unit: 'ns' },
  },
  cases: (quick) => [
    { name: '1 GiB', size: GIB, file: sparse(quick ? 64 * MIB : GIB) },
    ...(quick ? [] : [{ name: '4 GiB', size: 4 * GIB, file: sparse(MIB) }]),
    ...(quick ? [] : [{ name: '1 TiB', size: TIB, file: sparse(MIB) }]),
  ],
  ways: {
    'memory-map, view': ours(),
    'memory-map on Node 26, view': ours('node26'),
    [FROM]: {
      run: (context) => {
        const memory = new ArrayBuffer(64 * MIB)
        return views(memory.byteLength, (offset) => Buffer.from(memory, offset, LENGTH), context)
      },
      ...oneBuffer,
    },
    'buffer.subarray of koffi (FFI)': peer('koffi'),
    'buffer.subarray of @riaskov/mmap-io': peer('mmap-io'),
    'memory-map on Bun, view': ours('bun'),
    'buffer.subarray of Bun.mmap': peer('bun', 'bun'),
    'memory-map on Deno, view': ours('deno'),
    'buffer.subarray of Deno FFI': peer('deno-ffi', 'deno'),
  },
  plot: { kind: 'bars', table: 'time' },
  targets: (value) => [
    ...['1 GiB', '4 GiB', '1 TiB'].map((size) => ({
      what: `${size}: against Buffer.from`,
      value: value('memory-map, view', size) / value(FROM, '1 GiB'),
      atMost: 1.5,
    })),
    ...['memory-map, view', 'memory-map on Node 26, view', 'memory-map on Bun, view', 'memory-map on Deno, view'].map(
      (way) => ({
        what: `${way} of 4 GiB: the first pass against the second`,
        value: value(way, '4 GiB', 'first') / value(way, '4 GiB', 'second'),
        atMost: 4,
      }),
    ),
  ],
}
