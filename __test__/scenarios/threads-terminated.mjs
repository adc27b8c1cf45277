// Workers that are terminated in the middle of a fault.

import assert from 'node:assert'
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { mapShared, pageSize } from '../../index.js'
import { makeFile, sleep } from '../helpers/scenario.mjs'

const path = makeFile(Buffer.alloc(16 * pageSize, 7))
fs.writeFileSync(
  'worker.mjs',
  `
  import { parentPort } from 'node:worker_threads'
  const { mapShared, mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
  const map = mapShared('${fs.realpathSync(path)}', { onFault() {} })
  const memory = mapAnonymous(16 * pageSize, { onFault() {} })
  memory.buffer.fill(9)
  memory.protect('read')
  map.buffer[0] = 1
  parentPort.postMessage('ready')
  for (;;) {
    map.buffer.fill(1)
    memory.buffer.fill(1)
    if (Math.random() < 0.5) try { map.check() } catch {}
    if (Math.random() < 0.5) try { memory.check() } catch {}
    if (Math.random() < 0.01) await new Promise((resolve) => setTimeout(resolve, 0))
  }
`,
)
// A worker of Deno's that computes is not stopped before two seconds have passed.
const rounds = globalThis.Deno ? 2 : 8
for (let round = 0; round < rounds; round++) {
  const workers = Array.from({ length: 3 }, () => new Worker(pathToFileURL('worker.mjs')))
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
  await sleep(round)
  await Promise.all(workers.map((worker) => worker.terminate()))
}
assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
const map = mapShared(path, { onFault() {} })
map.buffer[0] = 1
await sleep(20)
assert.strictEqual(map.faults, 1)
console.log('end')
