// A worker ends after its buffer was transferred away and collected there.

import assert from 'node:assert'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'

import { file, ours, settle } from './lifetimes.mjs'

fs.writeFileSync(file, Buffer.alloc(65536, 7))
const source = `
  const { workerData } = require('node:worker_threads')
  import(workerData.root + 'index.js').then(async ({ mapShared }) => {
    globalThis.map = mapShared(workerData.file)
    const { arrayBuffer } = map
    arrayBuffer.transfer?.()
    for (let i = 0; i < 5; i++) {
      globalThis.Bun ? Bun.gc(true) : globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })`
for (let i = 0; i < 4; i++) {
  const worker = new Worker(source, { eval: true, workerData: { file, root: process.env.MEMORY_MAP_ROOT } })
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
}
await settle(() => ours() === 0)
assert.strictEqual(ours(), 0)
console.log('end')
