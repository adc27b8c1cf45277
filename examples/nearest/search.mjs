// The vectors that are nearest to one of a file, by a scan on several threads. All threads see the same pages.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { mapShared } from 'memory-map'

const DIMENSIONS = 128
const THREADS = 4

const [path, target, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4] ?? 3)]
const map = mapShared(path, { backing: 'shared-array-buffer', advice: 'sequential' })
try {
  const matrix = map.typedArray(Float32Array)
  const rows = matrix.length / DIMENSIONS
  const worker = new URL('scan.mjs', import.meta.url)
  const parts = Array.from({ length: THREADS }, async (_, part) => {
    const [start, end] = [part, part + 1].map((at) => Math.floor((at * rows) / THREADS))
    const workerData = { matrix, dimensions: DIMENSIONS, target, count, start, end } // matrix is not copied
    const [found] = await once(new Worker(worker, { workerData }), 'message')
    return found
  })
  const found = (await Promise.all(parts)).flat().sort((a, b) => a.distance - b.distance)
  for (const { row, distance } of found.slice(0, count)) console.log(`${row} ${distance.toFixed(3)}`)
} finally {
  map.close()
}
