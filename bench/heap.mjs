// What the collector makes of large mappings: mapping 1 GiB and 4 KiB, and reading a byte through `buffer`, with two
// million live objects on the heap.
//
//   npm run build && node bench/heap.mjs
//
// An ArrayBuffer counts as allocated memory, so V8 collects; a SharedArrayBuffer does not. Medians and the longest, in turns.

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { mapShared } from 'memory-map'

const TIMES = 15
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-map-heap-'))
const files = { '4 KiB': 4096, '1 GiB': 2 ** 30 }
for (const [name, length] of Object.entries(files)) {
  fs.writeFileSync(path.join(folder, name), '')
  fs.truncateSync(path.join(folder, name), length) // sparse: nothing but the first page is read
}
const live = Array.from({ length: 2_000_000 }, (_, i) => ({ number: i, text: `${i}` }))

let sum = 0
const ways = {
  buffer: (file) => {
    const map = mapShared(file)
    sum += map.buffer[0]
    map.close()
  },
  "buffer, backing 'shared-array-buffer'": (file) => {
    const map = mapShared(file, { backing: 'shared-array-buffer' })
    sum += map.buffer[0]
    map.close()
  },
  'read(0, 1)': (file) => {
    const map = mapShared(file)
    sum += map.read(0, 1)[0]
    map.close()
  },
}
const times = new Map()
for (let i = 0; i <= TIMES; i++) {
  for (const [way, run] of Object.entries(ways)) {
    for (const name of Object.keys(files)) {
      const start = performance.now()
      run(path.join(folder, name))
      const time = performance.now() - start
      const key = `${way} ${name}`
      if (i > 0) times.set(key, [...(times.get(key) ?? []), time]) // the first turn warms up
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
console.log(`Node ${process.versions.node}, ${live.length} objects live`)
for (const way of Object.keys(ways)) {
  const [small, large] = Object.keys(files).map((name) => median(times.get(`${way} ${name}`)))
  const most = Math.max(...times.get(`${way} 1 GiB`))
  const row = `4 KiB ${small.toFixed(3)} ms, 1 GiB ${large.toFixed(3)} ms (at most ${most.toFixed(1)} ms)`
  console.log(`  ${way.padEnd(40)}${row}, ${(large / small).toFixed(1)} times`)
}
fs.rmSync(folder, { recursive: true })
if (sum !== 0) throw new Error('the files are not what they were')
