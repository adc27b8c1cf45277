// A worker ends after it has sent its buffer away.

import assert from 'node:assert'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'

import { collect, sleep, file } from './lifetimes.mjs'

fs.writeFileSync(file, Buffer.alloc(65536, 7))
const source = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.root + 'index.js').then(({ mapShared }) => {
    const map = mapShared(workerData.file)
    let moved = map.arrayBuffer
    try {
      if (moved.transfer) moved = moved.transfer()
      if (workerData.close) map.close()
      parentPort.postMessage(moved, [moved])
    } catch {
      parentPort.postMessage(null)
    }
    if (workerData.exit) setTimeout(() => process.exit(0), 5)
    else setTimeout(() => {}, workerData.terminate ? 60000 : 5)
  })`
for (let i = 0; i < 12; i++) {
  const how = { close: i % 2 === 0, exit: i % 3 === 0, terminate: i % 3 === 1 }
  const worker = new Worker(source, { eval: true, workerData: { ...how, file, root: process.env.MEMORY_MAP_ROOT } })
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  const moved = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  if (how.terminate) await worker.terminate()
  else await ended
  collect()
  await sleep(5)
  if (moved === null || moved.byteLength === 0) continue
  const view = new Uint8Array(moved)
  for (let at = 0; at < view.length; at += 1024) assert.ok(view[at] === 0 || view[at] === 7)
  view[9] = 3
  assert.strictEqual(view[9], 3)
}
assert.strictEqual(fs.readFileSync(file)[9], 7)
console.log('end')
