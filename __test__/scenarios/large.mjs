// A file of 1 TiB, also where the largest Buffer has 4 GiB.

import assert from 'node:assert'
import { constants } from 'node:buffer'
import fs from 'node:fs'

import { mapShared } from '../../index.js'

const TiB = 2 ** 40
const path = fs.realpathSync('.') + '/large'
const fd = fs.openSync(path, 'w+')
fs.ftruncateSync(fd, TiB)
const text = Buffer.from('sixteen letters.')
// At the start, across where windows meet, and at the end.
const places = [0, 1, 2 ** 30 - 8, 2 ** 31 - 8, 2 ** 32 - 8, 2 ** 32 + 4096, 2 ** 39 + 12345, TiB - 16]
for (const at of places.slice(1)) fs.writeSync(fd, text, 0, 16, at)
const inFile = (at, length = 16) => {
  const bytes = Buffer.alloc(length)
  fs.readSync(fd, bytes, 0, length, at)
  return bytes.toString()
}

const map = mapShared(path, { protection: 'read-write' })
assert.strictEqual(map.length, TiB)

for (const at of places.slice(1)) {
  for (const offset of [at, BigInt(at)]) {
    assert.strictEqual(map.view(offset, 16).toString(), 'sixteen letters.')
    assert.strictEqual(map.read(offset, 16).toString(), 'sixteen letters.')
    assert.strictEqual(map.dataView(offset, 16).getUint8(15), '.'.charCodeAt(0))
    assert.strictEqual(map.indexOf(text, offset), at)
    assert.strictEqual(map.count('e', { offset, length: 16 }), 4)
  }
  assert.strictEqual(map.lastIndexOf(text, at + 16), at)
}
assert.strictEqual(map.indexOf('letters', 2 ** 39), 2 ** 39 + 12345 + 8)
assert.strictEqual(map.indexOf('nowhere', TiB - 2 ** 20), -1)

for (const at of places) {
  map.write(Buffer.from('first'), BigInt(at))
  assert.strictEqual(inFile(at, 5), 'first')
  const view = map.view(at, 16)
  view.write('a store of view.')
  assert.strictEqual(inFile(at), 'a store of view.')
  await map.sync({ offset: BigInt(at), length: 16 })
  map.syncSync({ offset: at, length: 16 })
  if (at % 8 === 0) {
    const numbers = map.typedArray(Float64Array, at, 2)
    numbers[1] = 0.5
    assert.strictEqual(map.dataView(at + 8, 8).getFloat64(0, true), 0.5)
    assert.strictEqual(numbers.length, 2)
  }
  map.advise('random', { offset: BigInt(at), length: 16 })
  await map.prefetch({ offset: at, length: 16 })
}
for (const outside of [TiB, BigInt(TiB) - 15n]) {
  for (const method of ['view', 'read']) {
    assert.throws(() => map[method](outside, 16), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
}

// A view is a window of its own where the whole is too large for one.
if (constants.MAX_LENGTH >= TiB) {
  assert.strictEqual(map.buffer.length, TiB)
  assert.strictEqual(map.buffer.subarray(-16, -8).toString(), 'a store ')
  assert.strictEqual(map.view().length, TiB)
} else {
  const tooLarge = { name: 'RangeError', code: 'ERR_MMAP_TOO_LARGE' }
  assert.throws(() => map.buffer, tooLarge)
  assert.throws(() => map.view(0, TiB), tooLarge)
  assert.throws(() => map.view(), /\d/) // says what is possible
}
const long = map.view(2 ** 31 - 8, 2 ** 30)
assert.strictEqual(long.subarray(0, 8).toString(), 'a store ')
assert.strictEqual(long.length, 2 ** 30)

map.close()
assert.throws(() => map.view(0, 1), { code: 'ERR_MMAP_CLOSED' })
assert.strictEqual(long.length, 0)
assert.ok(fs.fstatSync(fd).blocks * 512 < 2 ** 20, 'the file has a few blocks')
fs.closeSync(fd)
console.log('end')
