// Threads of an addon load and store while the file changes under them.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, mapShared, pageSize } from '../../index.js'
import { chance, fixture, makeFile, sleep, until } from '../helpers/scenario.mjs'

const { startReader, startWriter } = fixture()
const pages = 64
const path = makeFile(Buffer.alloc(pages * pageSize, 7))
let told = 0
const onFault = () => {
  told++
}
const file = mapShared(path, { protection: 'read-write', onFault })
const readOnly = mapShared(path, { onFault })
const memory = mapAnonymous(pages * pageSize, { onFault })
memory.buffer.fill(9)
memory.protect('read')
fs.truncateSync(path, 0)
const jobs = [file, readOnly, memory].flatMap(({ buffer }) => [
  startReader(buffer, 800),
  startReader(buffer, 1500),
  startWriter(buffer, 1500),
  startWriter(buffer, 1500),
])
let running = true
const all = Promise.all(jobs).then((passes) => {
  running = false
  assert.ok(passes.every((count) => count > 0))
})
const random = chance(3)
while (running) {
  fs.truncateSync(path, random(pages + 1) * pageSize)
  for (const map of [file, readOnly, memory]) {
    const protection = /** @type {const} */ (['none', 'read', 'read'])[random(3)]
    if (random(3) === 0) map.protect(map === file ? 'read-write' : protection)
    if (random(3) === 0)
      try {
        map.check()
      } catch {}
  }
  if (random(4) === 0) await sleep(0)
}
await all
assert.ok(file.faults > 0 && readOnly.faults > 0 && memory.faults > 0)
memory.protect('read')
await until(() => memory.buffer.every((byte) => byte === 9))
fs.truncateSync(path, 0)
fs.truncateSync(path, pages * pageSize)
// The last stores beyond the end are seen until their faults are told, on a later turn.
await until(() => file.buffer.every((byte) => byte === 0))
for (const map of [file, readOnly, memory]) {
  for (let i = 0; ; i++) {
    assert.ok(i < 1e6)
    try {
      map.check()
      break
    } catch {}
  }
}
await until(() => told > 0)
console.log('end')
