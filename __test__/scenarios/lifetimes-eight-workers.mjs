// Eight workers map one file and close at random.

import assert from 'node:assert'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'

import { file, ours, settle } from './lifetimes.mjs'

fs.writeFileSync(file, Buffer.alloc(2 ** 18, 7))
const source = `
  const { workerData } = require('node:worker_threads')
  import(workerData.root + 'index.js').then(async ({ mapShared }) => {
    const random = (await import(workerData.root + '__test__/helpers/random.mjs')).random(workerData.seed)
    const open = []
    for (let i = 0; i < 400; i++) {
      if (open.length < 5) open.push(mapShared(workerData.file, { protection: 'read-write', onFault() {} }))
      const map = open[random(open.length)]
      if (map.buffer[random(map.length)] !== 7) throw new Error('wrong byte')
      map.buffer[random(map.length)] = 7
      if (random(3) === 0) open.splice(random(open.length), 1)[0].close()
      if (random(20) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  })`
const codes = await Promise.all(
  Array.from(
    { length: 8 },
    (_, seed) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(source, { eval: true, workerData: { seed, file, root: process.env.MEMORY_MAP_ROOT } })
        worker.once('exit', resolve).once('error', reject)
      }),
  ),
)
assert.ok(codes.every((code) => code === 0))
// The end of a worker is told before its memory is gone.
if (!globalThis.Deno) {
  await settle(() => ours() === 0)
  assert.strictEqual(ours(), 0)
}
console.log('end')
