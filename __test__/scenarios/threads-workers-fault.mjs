// Workers fault in mappings of their own, all at once.

import assert from 'node:assert'
import fs from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { mapShared, pageSize } from '../../index.js'
import { makeFile, sleep, until } from '../helpers/scenario.mjs'

const path = makeFile(Buffer.alloc(16 * pageSize, 7))
const worker = `
  import { parentPort } from 'node:worker_threads'
  import fs from 'node:fs'
  const { mapShared, mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
  const path = '${fs.realpathSync(path)}'
  let told = 0
  const onFault = () => told++
  let faults = 0
  for (let round = 0; round < 60; round++) {
    const file = mapShared(path, { onFault })
    const memory = mapAnonymous(16 * pageSize, { onFault })
    memory.buffer.fill(9)
    memory.protect('read')
    for (let page = 0; page < 16; page++) {
      file.buffer[page * pageSize] = 1
      memory.buffer[page * pageSize] = 1
    }
    const goal = (faults += file.faults + memory.faults)
    for (let i = 0; told < goal; i++) {
      if (i > 100000) throw new Error('not told: ' + told + ' of ' + goal)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    for (let page = 0; page < 16; page++) {
      if (file.buffer[page * pageSize] !== 7) throw new Error('a trace in the file')
      if (memory.buffer[page * pageSize] !== 9) throw new Error('a trace in memory')
    }
    file.close()
    memory.close()
  }
  parentPort.postMessage([told, faults])
`
fs.writeFileSync('worker.mjs', worker)
let ends = 0
const workers = Array.from({ length: 6 }, () => {
  const worker = new Worker(pathToFileURL('worker.mjs'))
  return new Promise((resolve, reject) => {
    worker.on('message', ([told, faults]) => {
      assert.strictEqual(told, faults)
      assert.ok(faults >= 60 * 2, faults)
      ends++
      resolve(undefined)
    })
    worker.on('error', reject)
  })
})
// And the main thread, meanwhile.
let told = 0
const map = mapShared(path, { onFault: () => told++ })
while (ends < 6) {
  map.buffer.fill(1)
  await Promise.race([sleep(2), Promise.all(workers)])
}
await Promise.all(workers)
await until(() => told === map.faults)
assert.ok(map.buffer.every((byte) => byte === 7))
assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
console.log('end')
