// Threads use shared memory while its mapping is collected, closed or not.

import assert from 'node:assert'
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { mapShared, pageSize } from '../../index.js'
import { gc, makeFile, sleep } from '../helpers/scenario.mjs'

fs.writeFileSync(
  'worker.mjs',
  `
  import { parentPort, workerData } from 'node:worker_threads'
  const gate = new Int32Array(workerData)
  parentPort.on('message', ({ buffer, round }) => {
    const bytes = new Uint8Array(buffer)
    Atomics.add(gate, 0, 1)
    Atomics.wait(gate, 1, round - 1)
    for (let i = 0; i < bytes.length; i += ${pageSize}) bytes[i] = 1
    parentPort.postMessage(round)
  })`,
)
const gate = new Int32Array(new SharedArrayBuffer(8))
const workers = [1, 2].map(() => new Worker(pathToFileURL('worker.mjs'), { workerData: gate.buffer }))
const open = (round) => {
  Atomics.store(gate, 1, round)
  Atomics.notify(gate, 1)
}

for (let round = 1; round <= 150; round++) {
  const path = makeFile(Buffer.alloc(16 * pageSize, 7))
  const all = /** @type {const} */ ({ protection: 'read-write', backing: 'shared-array-buffer', onFault() {} })
  const maps = [mapShared(path, all)]
  const done = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)))
  for (const worker of workers) worker.postMessage({ buffer: maps[0].buffer.buffer, round })
  while (Atomics.load(gate, 0) < 2 * round) await sleep(0)
  if (round % 2) {
    maps.pop().close()
    open(round)
    gc()
  } else {
    maps.pop()
    await sleep(0)
    gc()
    await sleep(0)
    fs.truncateSync(path, 0)
    open(round)
  }
  assert.deepStrictEqual(await Promise.all(done), [round, round])
  fs.unlinkSync(path)
}
for (const worker of workers) await worker.terminate()
console.log('end')
