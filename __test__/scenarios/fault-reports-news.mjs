// A fault is reported once in each way: onFault, warning, channel, check, sync, read and write.

import assert from 'node:assert'
import { channel as channelOf } from 'node:diagnostics_channel'
import fs from 'node:fs'

import { MemoryFaultError, mapAnonymous, mapShared, pageSize } from '../../index.js'
import { makeFile, sleep, until } from '../helpers/scenario.mjs'

const channel = []
// Which is held to the end: Bun collects one that nobody has, with its subscribers (docs/faults.md).
const published = channelOf('memory-map.fault')
published.subscribe((fault) => channel.push(fault))
const warnings = []
process.on('warning', (warning) => warnings.push(warning))

const path = makeFile(Buffer.alloc(4 * pageSize, 7))
const faults = []
const map = mapShared(path, { protection: 'read-write', onFault: (fault) => faults.push(fault) })
fs.truncateSync(path, pageSize)
map.buffer[3 * pageSize] = 1
assert.strictEqual(map.faults, 1)
await Promise.resolve()
assert.strictEqual(faults.length, 0)
await until(() => faults.length === 1)
assert.strictEqual(faults[0].map, map)
assert.strictEqual(faults[0].offset, 3 * pageSize)
assert.deepStrictEqual(channel.slice(), faults.slice())

await assert.rejects(map.sync(), (error) => error instanceof MemoryFaultError && error.fault === faults[0])
await map.sync({ length: pageSize })
map.check()
assert.throws(
  () => map.read(),
  (/** @type {any} */ error) => error.code === 'ERR_MMAP_FAULT' && error.fault.kind === 'beyond-end',
)
assert.throws(() => map.write(Buffer.alloc(8), 2 * pageSize), { code: 'ERR_MMAP_FAULT' })
map.syncSync({ length: pageSize })
await until(() => faults.length === 3)
map.buffer[2 * pageSize] = 1
assert.throws(() => map.syncSync(), { code: 'ERR_MMAP_FAULT' })
map.syncSync({ length: pageSize })
await until(() => faults.length === 4)
assert.strictEqual(warnings.length, 0)

const silent = mapAnonymous(pageSize, { protection: 'read' })
silent.buffer[0] = 1
await until(() => channel.length === 5)
silent.buffer[1] = 1
await until(() => channel.length === 6)
await sleep(20)
assert.deepStrictEqual(
  warnings.map(({ name }) => name),
  ['MemoryFaultWarning'],
)
assert.strictEqual(faults.length, 4)
assert.strictEqual(map.faults + silent.faults, 6)
assert.ok(published.hasSubscribers)
console.log('end')
