// A thread of search.mjs: the nearest of its part of the rows.

import { parentPort, workerData } from 'node:worker_threads'

const { matrix, dimensions, target, count, start, end } = workerData
const query = matrix.slice(target * dimensions, (target + 1) * dimensions)
const best = [] // sorted
for (let row = start; row < end; row++) {
  if (row === target) continue
  let sum = 0
  for (let at = 0, from = row * dimensions; at < dimensions; at++) sum += (matrix[from + at] - query[at]) ** 2
  if (best.length === count && sum >= best[count - 1].sum) continue
  const place = best.findIndex((other) => other.sum > sum)
  best.splice(place === -1 ? best.length : place, 0, { row, sum })
  best.length = Math.min(best.length, count)
}
parentPort.postMessage(best.map(({ row, sum }) => ({ row, distance: Math.sqrt(sum) })))
