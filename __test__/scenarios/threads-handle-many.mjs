// Many threads that have one mapping, and end with it open, in every way: nothing is left of them.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared, MemoryMap, pageSize } from '../../index.js'
import { areaCount, gc, makeFile, until } from '../helpers/scenario.mjs'
import { Thread } from '../helpers/thread.mjs'

const path = makeFile(Buffer.alloc(16 * pageSize, 7))
const descriptors = () => fs.readdirSync('/proc/self/fd').length
const count = Number(process.env.WORKERS ?? 100)
const own = /** @type {any} */ ({ protection: 'read-write', onFault() {} })
const map = mapShared(path, own)
let baseline
for (let i = 0; i < count; i++) {
  const thread = new Thread(map.handle)
  await thread.run(({ MemoryMap, map, kept }, handle) => {
    map.buffer[0] = 7
    kept.maps = []
    for (let i = 0; i < 10; i++) {
      const one = MemoryMap.from(handle)
      if (i % 2 === 0) void one.buffer
      if (i % 3 === 0) one.close()
      else kept.maps.push(one)
    }
  }, map.handle)
  await thread.end(/** @type {const} */ (['return', 'exit', 'terminate'])[i % 3])
  if (i === 10) baseline = { areas: areaCount(), descriptors: descriptors() }
}
// Nobody else has it any more.
await until(() => {
  try {
    map.resize(17 * pageSize)
    return true
  } catch (error) {
    return (assert.strictEqual(error.code, 'ERR_MMAP_BUSY'), false)
  }
})
await until(() => (gc(), areaCount() < baseline.areas + 250 && descriptors() < baseline.descriptors + 20))
assert.ok(areaCount() < baseline.areas + 250, `${areaCount()} areas after ${baseline.areas}`)
assert.ok(descriptors() < baseline.descriptors + 20, `${descriptors()} descriptors after ${baseline.descriptors}`)
assert.strictEqual(map.buffer[0], 7)

// What nobody closes here is collected, and so no longer open here.
const other = MemoryMap.from(map.handle)
void other.buffer
for (let i = 0; i < 50; i++) void MemoryMap.from(map.handle).buffer
map.close()
const handle = other.handle
other.close()
await until(() => {
  gc()
  try {
    MemoryMap.from(handle).close()
    return false
  } catch (error) {
    return error.code === 'ERR_MMAP_CLOSED'
  }
})
await until(() => (gc(), !fs.readFileSync('/proc/self/maps', 'utf8').includes(fs.realpathSync(path))))
console.log('end')
