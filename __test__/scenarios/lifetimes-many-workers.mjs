// Many workers end with open mappings, in every way, and leave nothing.

import assert from 'node:assert'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'

import { file, mapped, ours, descriptors, collectTimes, settle } from './lifetimes.mjs'

fs.writeFileSync(file, Buffer.alloc(65536, 7))
const source = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.root + 'index.js').then(({ mapShared, mapAnonymous }) => {
    const maps = Array.from({ length: 3 }, () => mapShared(workerData.file, { protection: 'read-write', onFault() {} }))
    const views = maps.map((map) => map.buffer)
    const memory = mapAnonymous(65536).buffer
    maps[1].protect('read')
    views[1][0] = 1
    parentPort.postMessage('ready')
    if (workerData.how === 0) process.exit(0)
    if (workerData.how === 1) for (let i = 0; ; i++) memory[i % 65536] = views[0][i % 65536]
    if (workerData.how === 2) setInterval(() => {}, 1000)
  })`
const count = Number(process.env.WORKERS)
// Deno runs neither the finalizers nor the cleanup hooks of a worker: what it leaves open stays mapped.
const settleWorkers = () => (globalThis.Deno ? collectTimes(50) : settle(() => ours() === 0))
// A worker of Deno's that computes is not stopped before two seconds have passed, so only some do that there.
const spins = (i) => !globalThis.Deno || i < 4
let baseline
for (let i = 0; i < count; i++) {
  const how = i % 4 === 1 && !spins(i) ? 2 : i % 4
  const worker = new Worker(source, { eval: true, workerData: { how, file, root: process.env.MEMORY_MAP_ROOT } })
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  if (how === 1 || how === 2) await worker.terminate()
  else await ended
  if (i === 11) {
    await settleWorkers()
    baseline = { areas: mapped().length, descriptors: descriptors() }
  }
}
// Less than two areas for each worker, where there are few of them: some of a runtime's own come and go, most on Deno.
const slack = globalThis.Deno ? 150 : 40 + count * (globalThis.Bun ? 0.36 : 0.21)
const leftOpen = globalThis.Deno ? 3 * count : 0
const nothingIsLeft = () =>
  mapped().length < baseline.areas + slack && descriptors() < baseline.descriptors + 9 + leftOpen
await settleWorkers()
await settle(nothingIsLeft) // A runtime may tell of a worker's end before its thread has ended.
if (!globalThis.Deno) assert.strictEqual(ours(), 0, 'the file is no longer mapped')
assert.ok(mapped().length < baseline.areas + slack, mapped().length + ' areas after ' + baseline.areas)
assert.ok(descriptors() < baseline.descriptors + 9 + leftOpen, descriptors() + ' after ' + baseline.descriptors)
assert.ok(fs.readFileSync(file).every((byte) => byte === 7))
console.log('end')
