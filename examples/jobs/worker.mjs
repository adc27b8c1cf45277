// A worker of front.mjs: counts the primes below a number.

import { mapShared } from 'memory-map'
import { Channel, Queue } from 'memory-map/sync'

import { JOBS, RESULTS } from './layout.mjs'

const map = mapShared(process.argv[2], { protection: 'read-write' })
const jobs = Queue.open(map, { offset: JOBS.offset })
const results = Channel.open(map, { offset: RESULTS.offset })
process.once('disconnect', () => process.exit()) // the front has ended

for await (const { data, deliveries } of jobs) {
  const { id, job } = JSON.parse(data.toString())
  const result = deliveries > 3 ? { error: 'this job has killed three workers' } : { primes: primesBelow(job.limit) }
  await results.sendAsync(JSON.stringify({ id, ...result, pid: process.pid }))
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
