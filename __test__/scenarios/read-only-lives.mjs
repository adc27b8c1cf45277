// Survives stores to read-only pages and loads from forbidden ones.

import assert from 'node:assert'
import { randomFillSync } from 'node:crypto'
import fs from 'node:fs'

import { mapAnonymous, mapPrivate, mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const content = Buffer.alloc(4 * pageSize, 7)
const path = makeFile(content)
let told = 0
const onFault = ({ kind, contained }) => {
  assert.ok(kind === 'protection' && contained)
  told++
}
const maps = [
  mapShared(path, { onFault }),
  mapPrivate(path, { protection: 'read', onFault }),
  mapAnonymous(content.length, { onFault }),
  mapAnonymous(content.length, { shared: true, onFault }),
]
for (const map of maps.slice(2)) {
  map.buffer.set(content)
  map.protect('read')
}
const other = fs.openSync(makeFile(content), 'r+')
for (const map of maps) {
  const { buffer } = map
  const faultsNow = () => maps.reduce((sum, map) => sum + map.faults, 0)
  for (const store of [
    () => (buffer[0] = 1),
    () => buffer.fill(1),
    () => content.copy(buffer),
    () => buffer.set(content),
    () => randomFillSync(buffer),
  ]) {
    const before = map.faults
    store()
    assert.ok(map.faults > before)
    await until(() => told === faultsNow())
    assert.ok(buffer.equals(content))
  }
  assert.throws(() => fs.readSync(other, buffer, 0, 10, 0), { code: 'EFAULT' })
  map.protect('none')
  assert.throws(() => fs.writeSync(other, buffer, 0, 10, 0), { code: 'EFAULT' })
  assert.strictEqual(buffer[5], 0)
  assert.strictEqual(new TextDecoder().decode(buffer), '\0'.repeat(content.length))
  await until(() => told === faultsNow())
  map.protect('read')
  assert.ok(buffer.equals(content))
}
assert.ok(fs.readFileSync(path).equals(content))
assert.ok(fs.readFileSync('mapped-1').equals(content))
console.log('end')
