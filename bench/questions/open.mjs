// What does it cost to map a file, read 8 bytes of it, and close it?

import fs from 'node:fs'

import { GIB, KIB, MIB, sparse } from '../harness/files.mjs'
import { load, peers } from '../peers/index.mjs'

const sizes = { '4 KiB': 4 * KIB, '1 MiB': MIB, '64 MiB': 64 * MIB, '1 GiB': GIB, '4 GiB': 4 * GIB }
/** In a process with 2 million objects. */
const BIG_HEAP = { '4 KiB, 2 M objects': 4 * KIB, '1 GiB, 2 M objects': GIB }

/** Once: these do not depend on the length of the file. */
const once = { only: ({ size, heap }) => size === 4 * KIB && heap === 0 }

/** Objects that the garbage collector visits each time. */
const clutter = []
let checksum = 0

/** Mappings between two collections. */
const KEPT = 500

async function measure(run, { heap, quick }, time = quick ? 10 : 70) {
  const { sampleWithCollector } = await import('../harness/sample.mjs')
  for (let i = 0; i < heap; i++) clutter.push({ i, next: { i } })
  return sampleWithCollector(run, { time })
}

/** For ways that leave the unmapping to the collector: the time includes their share of the collections. */
async function measureKept(run, { quick }) {
  const { collect } = await import('../harness/sample.mjs')
  const time = []
  for (let batch = 0; batch < (quick ? 1 : 5); batch++) {
    const start = performance.now()
    for (let i = 0; i < KEPT; i++) run()
    await collect()
    time.push(((performance.now() - start) * 1000) / KEPT)
  }
  return { time: time.slice(quick ? 0 : 1) }
}

const ours = (use, program = 'node', options = undefined) => ({
  program,
  run: async (context) => {
    const { mapShared } = await import('../../index.js')
    return measure(() => {
      const map = mapShared(context.file, options)
      checksum += use(map)
      map.close()
    }, context)
  },
})

/** For the question about the guard. */
export const open = (guard) => ours(byRead, 'node', { guard })

const byRead = (map) => map.read(0, 8)[7]
const byBuffer = (map) => map.buffer[7]
const byView = (map) => map.view(map.length / 2, 64)[7]

const theirs = ({ module, program, keeps }) => ({
  program,
  run: async (context) => {
    const map = await load(module)
    const run = () => {
      const { buffer, close } = map(context.file)
      checksum += buffer[7]
      close()
    }
    return keeps ? measureKept(run, context) : measure(run, context)
  },
})

const program = (program) => ({
  program,
  args: ({ file, quick }) => ['open', file, quick ? 10 : 70],
  only: ({ heap }) => heap === 0,
})

const eight = Buffer.alloc(8)

const SHOWN = [
  'C, mmap(2)',
  'memory-map, read',
  'memory-map, view',
  'memory-map, buffer',
  'memory-map, buffer, shared backing',
  'fs.openSync, readSync, closeSync',
  'fs.readFileSync',
  'koffi (FFI)',
  '@riaskov/mmap-io',
  'node:ffi on Node 26',
  'Bun.mmap',
  'Deno FFI',
]

export const question = {
  title: 'Map a file, read 8 bytes, close it',
  about:
    'From the path of a file in the cache (sparse: its length does not matter to a page) to when all is given back. ' +
    'The two `mmap-io` and `Bun.mmap` cannot unmap; they leave that to the collector. ' +
    'The last columns have two million live objects on the heap, as a server may have: V8 bills an ArrayBuffer over ' +
    'a mapping to the collector, which then goes through them all.',
  tables: {
    time: { title: 'Time', unit: 'µs' },
    collector: { title: "The collector's share of it", unit: '%' },
  },
  cases: (quick) => [
    ...Object.entries(sizes)
      .slice(0, quick ? 2 : 5)
      .map(([name, size]) => ({ name, size, heap: 0, file: sparse(size) })),
    ...Object.entries(BIG_HEAP)
      .slice(quick ? 1 : 0)
      .map(([name, size]) => ({
        name,
        size,
        heap: quick ? 1000 : 1_000_000,
        file: sparse(size),
      })),
  ],
  ways: {
    'C, mmap(2)': program('c'),
    'Rust, memmap2': program('rust'),
    'memory-map, read': ours(byRead),
    'memory-map, buffer': ours(byBuffer),
    'memory-map, view': ours(byView),
    'memory-map, buffer, shared backing': ours(byBuffer, 'node24', { backing: 'shared-array-buffer' }),
    'fs.openSync, readSync, closeSync': {
      run: (context) =>
        measure(() => {
          const fd = fs.openSync(context.file)
          checksum += fs.readSync(fd, eight, 0, 8, 0)
          fs.closeSync(fd)
        }, context),
    },
    'FileHandle.read': {
      run: (context) =>
        measure(async () => {
          const handle = await fs.promises.open(context.file)
          await handle.read(eight, 0, 8, 0)
          await handle.close()
        }, context),
      ...once,
    },
    'fs.createReadStream': {
      run: (context) =>
        measure(async () => {
          for await (const chunk of fs.createReadStream(context.file, { end: 7 })) checksum += chunk[7]
        }, context),
      ...once,
    },
    'fs.readFileSync': {
      run: (context) => measure(() => void (checksum += fs.readFileSync(context.file)[7]), context),
      only: ({ size, heap }) => size < 2 * GIB && heap === 0,
    },
    ...Object.fromEntries(
      Object.entries(peers).map(([name, peer]) => [
        name,
        { ...theirs(peer), ...(name === '@raygun-nickj/mmap-io' ? once : {}) },
      ]),
    ),
    'Python, mmap': program('python'),
    'memory-map on Bun, read': ours(byRead, 'bun'),
    'memory-map on Bun, buffer': ours(byBuffer, 'bun'),
    'memory-map on Bun, view': ours(byView, 'bun'),
    'memory-map on Deno, read': ours(byRead, 'deno'),
    'memory-map on Deno, buffer': ours(byBuffer, 'deno'),
    'memory-map on Deno, view': ours(byView, 'deno'),
    'memory-map on Node 26, buffer': ours(byBuffer, 'node26'),
    'memory-map on Node 26, view': ours(byView, 'node26'),
  },
  plot: { kind: 'lines', table: 'time', cases: Object.keys(sizes), ways: SHOWN },
  targets: (value) => {
    const all = Object.keys(sizes)
    const worst = (ratio) => of(Math.max, all.map(ratio))
    const against = (way, others) =>
      worst(
        (one) =>
          value(way, one) /
          of(
            Math.min,
            others.map((other) => value(other, one)),
          ),
      )
    const onNode20 = ['koffi (FFI)', '@riaskov/mmap-io', '@raygun-nickj/mmap-io']
    const read = 'memory-map, read'
    const shared = 'memory-map, buffer, shared backing'
    const [few, many] = Object.keys(BIG_HEAP)
    return [
      {
        what: 'shared backing: 1 GiB against 4 KiB, with 2 million objects',
        value: value(shared, many) / value(shared, few),
        atMost: 3,
      },
      ...['memory-map', 'memory-map on Node 26', 'memory-map on Bun', 'memory-map on Deno'].flatMap((who) => [
        { what: `${who}: a view of 4 GiB against one of 4 KiB`, value: flatness(value, `${who}, view`), atMost: 1.5 },
        {
          what: `${who}: a view of 1 GiB against one of 4 KiB, with 2 million objects`,
          value: value(`${who}, view`, many) / value(`${who}, view`, few),
          atMost: 1.5,
        },
      ]),
      { what: '`read` against C, at its worst size', value: against(read, ['C, mmap(2)']), atMost: 2 },
      {
        what: '`read` of 4 GiB against 4 KiB, as for C',
        value: flatness(value, read) / flatness(value, 'C, mmap(2)'),
        atMost: 1.1,
      },
      {
        what: '`read` against the fastest that maps on the same Node, at its worst size',
        value: against(read, onNode20),
        atMost: 1,
      },
      { what: '`read` on Bun against Bun.mmap', value: against('memory-map on Bun, read', ['Bun.mmap']), atMost: 1 },
      { what: '`read` on Deno against Deno FFI', value: against('memory-map on Deno, read', ['Deno FFI']), atMost: 1 },
      {
        what: '`read` against fs.openSync, readSync, closeSync',
        value: against(read, ['fs.openSync, readSync, closeSync']),
        atMost: 1,
      },
      {
        what: '`buffer` against the fastest that maps on the same Node',
        value: against('memory-map, buffer', onNode20),
        atMost: 1,
      },
      {
        what: '`buffer` on Node 26 against node:ffi',
        value: against('memory-map on Node 26, buffer', ['node:ffi on Node 26']),
        atMost: 1,
      },
      {
        what: '`buffer` on Bun against Bun.mmap',
        value: against('memory-map on Bun, buffer', ['Bun.mmap']),
        atMost: 1,
      },
      {
        what: '`buffer` on Deno against Deno FFI',
        value: against('memory-map on Deno, buffer', ['Deno FFI']),
        atMost: 1,
      },
    ]
  },
}

/** `pick` of those that were measured. */
function of(pick, times) {
  const measured = times.filter((time) => !Number.isNaN(time))
  return measured.length > 0 ? pick(...measured) : NaN
}

const flatness = (value, way) => value(way, '4 GiB') / value(way, '4 KiB')
