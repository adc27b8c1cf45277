// Messages of a channel that are copied in one call of the native library, and received one by one.

import test, { type ExecutionContext } from 'ava'
import { Channel } from 'memory-map/sync'

import { random } from './helpers/random.mjs'
import { runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { until } from './helpers/until.ts'

function make(t: ExecutionContext, length = 64 * 1024) {
  const file = sparseFile(t, length)
  const map = sharedMap(t, file)
  return { file, map, channel: Channel.create(map) }
}

/** Receives messages one by one, until several are copied in one call. */
function warmUp(channel: Channel): void {
  for (let i = 0; i < 10; i++) {
    channel.sendMany(Array<string>(20).fill('x'))
    for (let j = 0; j < 20; j++) channel.receive()
  }
}

/** A message with its number, and a length that goes with it. */
function numbered(number: number): Buffer {
  const message = Buffer.alloc(4 + ((number * 37) % (number % 29 === 0 ? 6000 : 120)), number & 255)
  message.writeUInt32LE(number)
  return message
}

test('however messages are received, each comes once, whole and in order', async (t) => {
  const { map, channel } = make(t)
  const messages = channel[Symbol.asyncIterator]()
  const target = Buffer.alloc(channel.maxLength)
  const next = random(7)
  let [sent, received] = [0, 0]
  const see = (message: Buffer | undefined): void => {
    const expected = numbered(received++)
    if (!message?.equals(expected))
      t.fail(`message ${received - 1} is ${message?.length} bytes, not ${expected.length}`)
  }
  const ways: (() => unknown)[] = [
    () => see(channel.receive()),
    () => see(channel.tryReceive()),
    async () => see(await channel.receiveAsync()),
    async () => see((await messages.next()).value),
    () => channel.receiveMany(1 + next(5)).forEach(see),
    () => see(target.subarray(0, channel.receiveInto(target))),
    () => {
      const borrowed = channel.borrow()!
      see(Buffer.from(borrowed))
      t.throws(() => channel.receive(), { code: 'ERR_MMAP_BUSY' })
      t.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_BUSY' })
      channel.release(borrowed)
    },
    () => t.is(channel.pending.messages, sent - received),
  ]
  for (let round = 0; round < 3000; round++) {
    for (let count = next(12); count > 0 && channel.trySend(numbered(sent)); count--) sent++
    if (round % 500 === 499) growUntilMoved(map)
    // Mostly one by one, or nothing is ever copied before its turn.
    for (let count = next(16); count > 0; count--) {
      if (received < sent) await ways[next(next(4) === 0 ? ways.length : 4)]!()
    }
  }
  for (const message of channel.receiveMany(2 ** 16)) see(message)
  t.is(channel.tryReceive(), undefined)
  t.is(received, sent)
  t.true(received > 10_000)
})

test('what was copied is in the channel until it is received', async (t) => {
  const { file, channel } = make(t)
  warmUp(channel)
  channel.sendMany(['one', 'two', 'three'])
  t.is(String(channel.receive()), 'one')
  t.deepEqual(channel.pending, { messages: 2, bytes: 8 })
  t.is(String(channel.receive()), 'two')
  t.deepEqual(channel.pending, { messages: 1, bytes: 5 })
  channel.close()
  t.throws(() => channel.receive(0), { code: 'ERR_MMAP_CLOSED' })
  const other = Channel.open(sharedMap(t, file))
  t.is(String(other.receive()), 'three')
  t.is(other.tryReceive(), undefined)
})

test('nothing of a channel that was made anew is what was copied before', (t) => {
  const { map, channel } = make(t)
  warmUp(channel)
  channel.sendMany(['one', 'two', 'three'])
  t.is(String(channel.receive()), 'one')
  Channel.create(map).send('new')
  t.is(String(channel.receive()), 'new')
  t.is(channel.tryReceive(), undefined)
})

test('senders that wait for room are woken for an eighth of the ring, and when it is empty', (t) => {
  const { map, channel } = make(t, 4096)
  const words = map.typedArray(Int32Array)
  // A thread that is about to sleep sets the lowest bit, and whoever wakes it clears that (docs/channel.md).
  const isWoken = (): boolean => {
    Atomics.or(words, 384 / 4, 1)
    channel.receive()
    return (Atomics.load(words, 384 / 4) & 1) === 0
  }
  warmUp(channel)
  for (let round = 0; round < 20; round++) {
    channel.sendMany(Array<Buffer>(20).fill(Buffer.alloc(100)))
    const woken = Array.from({ length: 20 }, isWoken)
    t.true(woken[19])
    // 20 times 120 bytes, of which an eighth has 448.
    const count = woken.slice(0, 19).filter(Boolean).length
    t.true(count >= 5 && count <= 6, String(count))
  }
})

for (const runtime of runtimes()) {
  test(`a receiver that is killed leaves what it has not given out (${runtime.name} ${runtime.version})`, async (t) => {
    const { file, map, channel } = make(t, 2 ** 20)
    const count = map.typedArray(Int32Array, 2 ** 19, 1)
    const range = { offset: 2 ** 18, length: 2 ** 18 }
    const sender = Channel.create(map, range)
    channel.close()
    let sent = 0
    for (let run = 0; run < 3; run++) {
      const peer = await peerWith(
        t,
        file,
        `const channel = sync.Channel.open(map, { offset: ${range.offset} })
         const count = map.typedArray(Int32Array, ${2 ** 19}, 1)
         void (async () => {
           let isFirst = true
           for await (const message of channel) {
             const number = message.readUInt32LE()
             // The one before may have died before it counted the last one.
             if (number === count[0] || (isFirst && number === count[0] + 1)) Atomics.store(count, 0, number + 1)
             else count[0] = -1
             isFirst = false
           }
         })()`,
        runtime,
      )
      const most = sent + 20_000 + run * 777
      while (sent < most) {
        if (sender.trySend(numbered(sent))) sent++
        else await new Promise((resolve) => setImmediate(resolve))
      }
      await until(() => Atomics.load(count, 0) > sent - 2000)
      await peer.kill()
      t.not(count[0], -1)
    }
    const heir = Channel.open(map, { offset: range.offset })
    let message: Buffer | undefined
    await until(() => {
      try {
        message = heir.tryReceive()
        return true
      } catch {
        return false // the system needs a moment to end the process
      }
    })
    let next = count[0]!
    if (message?.readUInt32LE() === next + 1 || (message === undefined && next === sent - 1)) next++
    for (; message !== undefined; message = heir.tryReceive()) t.is(message.readUInt32LE(), next++)
    t.is(next, sent)
  })
}

test('a message whose memory was transferred takes no other with it', (t) => {
  const { channel } = make(t)
  warmUp(channel)
  channel.sendMany(Array.from({ length: 50 }, (_, i) => numbered(i)))
  for (let i = 0; i < 50; i++) {
    const message = channel.receive()!
    t.deepEqual(message, numbered(i))
    if (i % 7 === 0) structuredClone(message.buffer, { transfer: [message.buffer as ArrayBuffer] })
  }
  t.deepEqual(channel.pending, { messages: 0, bytes: 0 })
})
