// What do the pages of a mapping cost when they are first touched, and what helps?

import process from 'node:process'

import { GIB, MIB, sparse } from '../harness/files.mjs'

const PAGE = 4096

let checksum = 0

/** Milliseconds from mapping on until each page was touched, and faults that touching took (getrusage(2)). */
const touch = (open, use) => ({
  run: async ({ file, size, warm }) => {
    const library = await import('../../index.js')
    for (let i = 0; i < 20; i++) use(open(library, warm, 2 * MIB).buffer)
    const start = performance.now()
    const map = open(library, file, size)
    await map.ready
    const { buffer } = map
    const { minorPageFault } = process.resourceUsage()
    use(buffer)
    const time = [performance.now() - start]
    return { time, faults: [process.resourceUsage().minorPageFault - minorPageFault] }
  },
})

function load(buffer) {
  for (let at = 0; at < buffer.length; at += PAGE) checksum += buffer[at]
}

function store(buffer) {
  for (let at = 0; at < buffer.length; at += PAGE) buffer[at] = 1
}

const mapped = (options) => touch(({ mapShared }, file) => mapShared(file, options), load)
const anonymous = (options) => touch(({ mapAnonymous }, _, size) => mapAnonymous(size, options), store)

const limit = (argument) => ({ program: 'c', args: ({ file }) => ['touch', file, argument] })

export const question = {
  title: 'The first touch of each page',
  about:
    'One byte of every page of 1 GiB, whose pages are in the cache and not yet in the mapping: for a file loads, ' +
    'for anonymous memory stores. Linux brings in 16 pages of a cached file for each fault; `populate` and ' +
    '`prefetch` bring them all at once, the latter on another thread; the system counts a fault for each of those too, ' +
    'but nothing waits for them here.',
  tables: {
    time: { title: 'From mapping to the last page', unit: 'ms' },
    faults: { title: 'Page faults while touching', unit: 'count' },
  },
  cases: (quick) => [{ name: '1 GiB', file: sparse(quick ? 16 * MIB : GIB), warm: sparse(2 * MIB) }],
  ways: {
    'C, mmap(2)': limit('plain'),
    'C, MAP_POPULATE': limit('populate'),
    'memory-map': mapped(),
    'memory-map, no guard': mapped({ guard: false }),
    'memory-map, populate': mapped({ populate: true }),
    'memory-map, prefetch': touch(({ mapShared }, file) => {
      const map = mapShared(file)
      return { buffer: map.buffer, ready: map.prefetch() }
    }, load),
    'memory-map, sequential advice': mapped({ advice: 'sequential' }),
    'memory-map, random advice': mapped({ advice: 'random' }),
    anonymous: anonymous(),
    'anonymous, populate': anonymous({ populate: true }),
    'anonymous, transparent huge pages': anonymous({ hugePages: 'transparent' }),
  },
  plot: { kind: 'bars', table: 'time' },
  targets: (value) => [
    { what: 'against C', value: value('memory-map', '1 GiB') / value('C, mmap(2)', '1 GiB'), atMost: 1.25 },
    {
      what: 'populate against C',
      value: value('memory-map, populate', '1 GiB') / value('C, MAP_POPULATE', '1 GiB'),
      atMost: 1.25,
    },
    {
      what: 'faults with populate against without',
      value: value('memory-map, populate', '1 GiB', 'faults') / value('memory-map', '1 GiB', 'faults'),
      atMost: 0.1,
    },
  ],
}
