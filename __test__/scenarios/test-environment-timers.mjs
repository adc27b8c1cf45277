// Timers and clocks that stand still, as those of Jest, Vitest, Sinon and `node:test` do: what is under way goes on.

import assert from 'node:assert'

import { mapShared } from '../../index.js'
import { Channel, Condition, Mutex, Queue, Rpc } from '../../sync.js'

import { makeFile, until } from '../helpers/scenario.mjs'

const map = mapShared(makeFile(2 ** 18), { protection: 'read-write' })
const channel = Channel.create(map, { offset: 0, length: 2 ** 16 })
const queue = Queue.create(map, { offset: 2 ** 16, length: 2 ** 16 })
const rpc = Rpc.create(map, { offset: 2 ** 17, length: 2 ** 16 })
const [mutex, condition] = [new Mutex(map, 3 * 2 ** 16), new Condition(map, 3 * 2 ** 16 + 64)]

const names = ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout', 'setInterval', 'queueMicrotask']
const before = names.map((name) => [name, globalThis[name]])
const { now } = performance
for (const name of names) globalThis[name] = () => 0
performance.now = () => 1000

const stop = new AbortController()
const serving = rpc.serve((request) => request, { signal: stop.signal })
for (let i = 0; i < 10; i++) assert.equal(String(await rpc.call('again', { timeout: 60_000 })), 'again')
stop.abort()
await serving
await assert.rejects(rpc.call('nobody', { timeout: 20 }))

const receiving = channel.receiveAsync()
channel.send('first')
assert.equal(String(await receiving), 'first')
assert.equal(await channel.receiveAsync({ timeout: 20 }), undefined)
for (let i = 0; i < 1000; i++) channel.send('many')
let received = 0
for await (const _ of channel) if (++received === 1000) break
assert.equal(await queue.receiveAsync({ timeout: 20 }), undefined)
mutex.lock()
assert.equal(await condition.waitAsync(mutex, { timeout: 20 }), 'timed-out')

const file = makeFile(2 ** 20)
const thrown = []
let told = 0
const streamed = mapShared(file, {
  onFault() {
    told++
    throw new Error('from onFault')
  },
})
let bytes = 0
for await (const chunk of streamed.createReadStream()) bytes += chunk.length
assert.equal(bytes, 2 ** 20)
process.on('uncaughtException', (error) => thrown.push(error.message))
streamed.buffer[0] = 1 // which a mapping to read from forbids
assert.throws(() => streamed.check(), { code: 'ERR_MMAP_FAULT' })

for (const [name, value] of before) globalThis[name] = value
performance.now = now
await until(() => told === 1 && thrown.length === 1)
assert.deepEqual(thrown, ['from onFault'])
console.log('end')
process.exit()
