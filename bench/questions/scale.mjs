// Does each mapping cost more when there are many at once?

import { KIB, sparse } from '../harness/files.mjs'

const counts = [10, 100, 1000, 10_000, 50_000]

let checksum = 0

/** Microseconds for each of many: to map, to load from it for the first time, to close. */
const ways = (open, use, close) => ({
  run: async ({ file, count }) => {
    const map = await open(file)
    for (let i = 0; i < 200; i++) {
      const one = map()
      checksum += use(one)
      close(one)
    }
    const maps = []
    const times = [performance.now()]
    for (let i = 0; i < count; i++) maps.push(map())
    times.push(performance.now())
    for (const one of maps) checksum += use(one)
    times.push(performance.now())
    for (const one of maps) close(one)
    times.push(performance.now())
    const each = (i) => [((times[i + 1] - times[i]) * 1000) / count]
    return { map: each(0), fault: each(1), close: each(2) }
  },
})

const mapping = (options) => async (file) => {
  const { mapShared } = await import('../../index.js')
  return () => mapShared(file, options)
}

/** A mapping of a file keeps a descriptor, of which a process may not have as many. */
const ofFile = (ways) => ({ ...ways, only: ({ count }) => count <= 10_000 })

const close = (one) => one.close()

export const question = {
  title: 'Many mappings at once',
  about:
    'A page of the same file, mapped again and again and held. Linux lets a process have 65,530 mappings; ' +
    'of a file fewer, for each keeps a descriptor. The most are anonymous ones.',
  tables: {
    map: { title: 'To map, each', unit: 'µs' },
    fault: { title: 'The first load, each', unit: 'µs' },
    close: { title: 'To close, each', unit: 'µs' },
  },
  cases: (quick) =>
    counts
      .filter((count) => !quick || count <= 1000)
      .map((count) => ({ name: count.toLocaleString('en'), count, file: sparse(4 * KIB) })),
  ways: {
    'C, mmap(2)': { program: 'c', args: ({ file, count }) => ['scale', file, count] },
    'memory-map, read': ofFile(ways(mapping(), (map) => map.read(0, 8)[7], close)),
    'memory-map, read, no guard': ofFile(ways(mapping({ guard: false }), (map) => map.read(0, 8)[7], close)),
    'memory-map, buffer': ofFile(ways(mapping(), (map) => map.buffer[7], close)),
    'memory-map, anonymous, read': ways(
      async () => {
        const { mapAnonymous } = await import('../../index.js')
        return () => mapAnonymous(4 * KIB)
      },
      (map) => map.read(0, 8)[7],
      close,
    ),
    'koffi (FFI)': ways(
      async (file) => {
        const { map } = await import('../peers/koffi.mjs')
        return () => map(file)
      },
      ({ buffer }) => buffer[7],
      close,
    ),
  },
  plot: { kind: 'lines', table: 'map' },
  targets: (value) =>
    ['map', 'fault', 'close'].map((table) => ({
      what: `${table}: 50,000 against 1,000`,
      value:
        value('memory-map, anonymous, read', '50,000', table) / value('memory-map, anonymous, read', '1,000', table),
      atMost: 1.5,
    })),
}
