// Frozen prototypes, as where JavaScript is hardened: what inherits from them cannot be given such a property by assignment.

import assert from 'node:assert'

import { makeFile } from '../helpers/scenario.mjs'

const file = makeFile('one\ntwo\n'.repeat(10_000))
const TypedArray = Object.getPrototypeOf(Uint8Array)
const classes = [
  Object,
  Function,
  Array,
  Error,
  TypeError,
  RangeError,
  Promise,
  Map,
  Set,
  WeakMap,
  RegExp,
  TypedArray,
  Uint8Array,
]
for (const one of [...classes, Float64Array, ArrayBuffer, SharedArrayBuffer]) {
  Object.freeze(one)
  Object.freeze(one.prototype)
}

const { mapAnonymous, mapShared } = await import('../../index.js')
const { Channel, Mutex } = await import('../../sync.js')

let told = 0
const map = mapShared(file, { onFault: () => told++ })
assert.equal(map.buffer.toString('latin1', 0, 3), 'one')
assert.equal([...map.lines({ encoding: 'utf8' })].length, 20_000)
assert.equal([...map.lines()].length, 20_000)
assert.equal(map.typedArray(Uint8Array, 0, 3).subarray(1).length, 2)
let bytes = 0
for await (const chunk of map.createReadStream()) bytes += chunk.length
assert.equal(bytes, map.length)
await assert.rejects(map.find('three', { signal: AbortSignal.abort() }), { name: 'AbortError', code: 'ABORT_ERR' })
assert.throws(() => map.view(-1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
assert.throws(() => mapShared('missing'), { code: 'ENOENT', syscall: 'open' })
map.buffer[0] = 1 // which a mapping to read from forbids
assert.throws(() => map.check(), { name: 'MemoryFaultError', code: 'ERR_MMAP_FAULT' })
map.close()

const shared = mapShared(makeFile(2 ** 16), { protection: 'read-write', backing: 'shared-array-buffer' })
shared.typedArray(Float64Array).sort()
const mutex = new Mutex(shared, 0)
assert.equal(mutex.lock(), 'acquired')
mutex.unlock()
const channel = Channel.create(shared, { offset: 64, length: 2 ** 14 })
const receiving = channel.receiveAsync()
channel.send('message')
assert.equal(String(await receiving), 'message')
shared.close()
mapAnonymous(1).close()
console.log('end')
