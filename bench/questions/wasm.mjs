// What does it cost to have a WebAssembly module read a file?

import fs from 'node:fs'

import { GIB, MIB, text } from '../harness/files.mjs'

const PAGE = 65_536

/** A parser of CSV, csv-core compiled from Rust, with room for the file at the end of its memory. */
function parser(length) {
  const file = new URL('../../__test__/wasm/csv.wasm', import.meta.url)
  const { memory, records } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file))).exports
  return { memory, records, at: memory.grow(Math.ceil(length / PAGE)) * PAGE }
}

const residentNow = () => process.memoryUsage.rss() / MIB

/** `put` puts the file into the module's memory, and returns what takes it out. */
const way = (put) => ({
  run: async ({ file, quick, part }) => {
    const { size } = fs.statSync(file)
    // All of it takes more than a second, and differs by a few percent.
    const rounds = quick ? 1 : part ? 7 : 3
    const length = part || size
    const [time, memory] = [[], []]
    for (let i = 0; i < rounds; i++) {
      // A memory of its own, for pages that were once touched stay.
      const module = parser(size)
      const before = residentNow()
      const start = performance.now()
      const takeOut = await put(file, module)
      module.records(module.at + size - length, length)
      time.push(performance.now() - start)
      memory.push(residentNow() - before)
      takeOut()
    }
    return { time, memory }
  },
})

export const question = {
  title: 'Have a WebAssembly module read a file',
  about:
    'From the path of a file in the cache to the number of its records, by csv-core compiled from Rust, in a ' +
    'module that has room for the file. The memory is what the process has more than before; pages of a mapping are ' +
    'those of the cache, which other processes share.',
  tables: {
    time: { title: 'Time', unit: 'ms' },
    memory: { title: 'Memory', unit: 'MiB' },
  },
  cases: (quick) => {
    const file = text(quick ? MIB : GIB / 4)
    return [
      { name: 'the last 4 KiB', file, part: 4096 },
      { name: 'all of it', file, part: 0 },
    ]
  },
  ways: {
    'memory-map, into': way(async (file, { memory, at }) => {
      const { mapPrivate } = await import('../../index.js')
      const map = mapPrivate(file)
      map.into(memory, at)
      return () => map.close()
    }),
    'memory-map, copied from a view': way(async (file, { memory, at }) => {
      const { mapPrivate } = await import('../../index.js')
      const map = mapPrivate(file)
      new Uint8Array(memory.buffer).set(map.view(), at)
      return () => map.close()
    }),
    'fs.readSync into the memory': way((file, { memory, at }) => {
      const fd = fs.openSync(file)
      const target = new Uint8Array(memory.buffer, at)
      for (let read = 1, done = 0; read > 0; done += read) read = fs.readSync(fd, target, done, target.length - done)
      fs.closeSync(fd)
      return () => {}
    }),
    'fs.readFileSync, copied': way((file, { memory, at }) => {
      new Uint8Array(memory.buffer).set(fs.readFileSync(file), at)
      return () => {}
    }),
  },
  targets: (value) => [
    {
      what: 'into: the last 4 KiB, against fs.readSync',
      value: value('memory-map, into', 'the last 4 KiB') / value('fs.readSync into the memory', 'the last 4 KiB'),
      atMost: 0.1,
    },
  ],
}
