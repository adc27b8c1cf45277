// Survives truncation, and shows the file when it grows.

import assert from 'node:assert'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import zlib from 'node:zlib'

import { MemoryFaultError, mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const size = 64 * pageSize
const path = makeFile(Buffer.alloc(size, 7))
const faults = []
const onFault = (fault) => faults.push(fault)
const map = mapShared(path, { protection: 'read-write', offset: 10, onFault })
const { buffer } = map
fs.truncateSync(path, 2 * pageSize)
const expected = Buffer.alloc(size - 10)
expected.fill(7, 0, 2 * pageSize - 10)

let sum = 0
for (let i = 0; i < buffer.length; i++) sum += buffer[i]
assert.strictEqual(sum, 7 * (2 * pageSize - 10))
assert.ok(buffer.equals(expected))
assert.strictEqual(buffer.indexOf(8), -1)
assert.ok(zlib.gunzipSync(zlib.gzipSync(buffer)).equals(expected))
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')
assert.strictEqual(hash(buffer), hash(expected))
assert.strictEqual(new TextDecoder().decode(buffer), new TextDecoder().decode(expected))
assert.strictEqual(map.faults, 1)
buffer.fill(9)
buffer.set(Buffer.alloc(100, 9), size - 200)
await until(() => faults.length > 0)

const [{ kind, offset, length, contained }, ...more] = faults
assert.deepStrictEqual(
  [kind, offset, length, contained, more.length],
  ['beyond-end', 2 * pageSize - 10, size - 2 * pageSize, true, 0],
)
fs.truncateSync(path, size)
expected.fill(9, 0, 2 * pageSize - 10)
assert.ok(buffer.equals(expected))
buffer[size - 11] = 1
assert.strictEqual(fs.readFileSync(path)[size - 1], 1)
assert.throws(() => map.check(), MemoryFaultError)
map.check()
console.log('end')
