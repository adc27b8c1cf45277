// A worker of front.mjs: counts the primes below a number.

import { mapShared } from 'memory-map'
import { Channel } from 'memory-map/sync'

import { jobsOf, RESULTS } from './layout.mjs'

const [path, index] = process.argv.slice(2)
const map = mapShared(path, { protection: 'read-write' })
const jobs = Channel.open(map, { offset: jobsOf(Number(index)).offset })
const results = Channel.open(map, { offset: RESULTS.offset })
process.once('disconnect', () => process.exit()) // the front has ended

for await (const message of jobs) {
  const { id, job } = JSON.parse(message.toString())
  await results.sendAsync(JSON.stringify({ id, primes: primesBelow(job.limit), pid: process.pid }))
}

function primesBelow(limit) {
  const composite = new Uint8Array(Math.max(limit, 0))
  let count = 0
  for (let number = 2; number < limit; number++) {
    if (composite[number] === 1) continue
    count++
    for (let multiple = number * number; multiple < limit; multiple += number) composite[multiple] = 1
  }
  return count
}
