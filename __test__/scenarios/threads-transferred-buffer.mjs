// A fault of a worker in a transferred buffer is reported on the mapping's thread.

import assert from 'node:assert'
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const path = makeFile(Buffer.alloc(4 * pageSize, 7))
const faults = []
const map = mapShared(path, { onFault: (fault) => faults.push(fault) })
fs.writeFileSync(
  'worker.mjs',
  `
  import { parentPort } from 'node:worker_threads'
  parentPort.once('message', (buffer) => {
    const bytes = new Uint8Array(buffer)
    const before = bytes[0]
    bytes.fill(1)
    parentPort.postMessage(before)
  })`,
)
const worker = new Worker(pathToFileURL('worker.mjs'))
const moved = map.buffer.buffer.transfer()
worker.postMessage(moved, [moved])
assert.strictEqual(await new Promise((resolve) => worker.once('message', resolve)), 7)
await until(() => faults.length > 0)
for (const fault of faults) {
  assert.strictEqual(fault.map, map)
  assert.strictEqual(fault.kind, 'protection')
}
assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
await worker.terminate()
console.log('end')
