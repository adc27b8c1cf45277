// Channels: messages between processes through shared memory. (Long: all ways to send and receive, with the same helpers.)

import { truncateSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { Channel } from 'memory-map/sync'

import { truncating } from './helpers/platform.ts'
import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap, withoutViews } from './helpers/sharing.ts'
import { HANG_MS, turns, until } from './helpers/until.ts'

function make(t: ExecutionContext, length = 64 * 1024) {
  const file = sparseFile(t, length)
  const map = sharedMap(t, file)
  return { file, map, channel: Channel.create(map) }
}

function reopen(t: ExecutionContext, file: string): Channel {
  return Channel.open(sharedMap(t, file))
}

/** A second process with the same channel. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, 'channel = sync.Channel.open(map)', runtime)
}

/** Sends messages of many lengths, each with the sender's name and a number. */
const SEND = (name: string, count: number, send: string) => `(async () => {
  for (let i = 0; i < ${count}; i++) {
    const data = Buffer.alloc(8 + (i * 37) % 3000, ${JSON.stringify(name)})
    data.writeUInt32LE(i, 4)
    ${send}
  }
})()`

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: the messages of two senders arrive whole, and each sender's in order`, async (t) => {
    const { file, channel } = make(t)
    const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
    const count = 2000
    const sending = [
      peers[0].run(SEND('a', count, 'channel.send(data)')),
      peers[1].run(SEND('b', count, 'await channel.sendAsync(data)')),
    ]
    const next: Record<string, number> = { a: 0, b: 0 }
    let left = 2 * count
    for await (const message of channel) {
      const [letter, number] = [message.toString('latin1', 0, 1), message.readUInt32LE(4)]
      if (number !== next[letter]!++) t.fail(`${letter} ${number}`)
      if (message.length !== 8 + ((number * 37) % 3000)) t.fail('cut')
      if (!message.subarray(8).every((byte) => byte === letter.charCodeAt(0))) t.fail('torn')
      if (--left === 0) break
    }
    t.deepEqual(next, { a: count, b: count })
    await Promise.all(sending)
    for (const peer of peers) t.is((await peer.end()).code, 0)
  })

  test(`${name}: another process receives, blocking or not, and leaves what it did not release when it is killed`, async (t) => {
    const { file, channel } = make(t)
    const peer = await peerOf(t, file, runtime)
    channel.send('one')
    t.is(await peer.run('channel.receive().toString()'), 'one')
    const pending = peer.run('channel.receiveAsync().then(String)')
    await sleep(30)
    t.true(channel.trySend('two'))
    t.is(await pending, 'two')
    t.is(await peer.run('String(channel.receive(10))'), 'undefined')
    t.throws(() => channel.receive(), { code: 'ERR_MMAP_BUSY' })
    for (const text of ['three', 'four']) channel.send(text)
    t.is(await peer.run('channel.borrow().toString()'), 'three')
    await peer.kill()
    // The borrowed message was not released, so it comes again.
    t.is(channel.receive()!.toString(), 'three')
    t.is(channel.receive()!.toString(), 'four')
  })

  test(`${name}: the message that a sender is writing when it is killed is skipped`, async (t) => {
    const { file, channel } = make(t)
    const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
    await peers[0].run('channel.send("before"); half = channel.reserve(1000); half.fill(7); 0')
    await peers[1].run('channel.send("after")')
    t.is(channel.receive()!.toString(), 'before')
    t.is(channel.tryReceive(), undefined)
    const waiting = channel.receiveAsync()
    await sleep(50)
    await peers[0].kill()
    t.is((await waiting)!.toString(), 'after')
    t.is((await peers[1].end()).code, 0)
  })
}

test('the bytes of every kind of view are sent', async (t) => {
  const { channel } = make(t, 8192)
  const memory = Uint8Array.from({ length: 24 }, (_, i) => i).buffer
  for (const view of [new Float64Array(memory, 8, 2), new DataView(memory, 8, 16), new BigInt64Array(memory, 8, 2)]) {
    channel.send(view)
    t.deepEqual(channel.receive(), Buffer.from(memory, 8, 16))
    t.true(await channel.sendAsync(view))
    t.deepEqual(channel.receive(), Buffer.from(memory, 8, 16))
  }
  t.throws(() => channel.send(new ArrayBuffer(8) as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

for (const runtime of runtimes()) {
  test(`${runtime.name} ${runtime.version}: batches arrive whole and in order, among single messages`, async (t) => {
    const { file, channel } = make(t)
    const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
    const count = 3000
    const sending = [
      peers[0].run(`(() => {
        const all = Array.from({ length: ${count} }, (_, i) => {
          const data = Buffer.alloc(8 + ((i * 37) % 6000), 'a')
          data.writeUInt32LE(i, 4)
          return data
        })
        return channel.sendMany(all)
      })()`),
      peers[1].run(SEND('b', count, 'channel.send(data)')),
    ]
    const next: Record<string, number> = { a: 0, b: 0 }
    for (let left = 2 * count; left > 0;) {
      await sleep(0) // the lines for the other processes are written on turns of this event loop
      const messages = channel.receiveMany(100, 20)
      t.true(messages.length <= 100)
      left -= messages.length
      for (const message of messages) {
        const [letter, number] = [message.toString('latin1', 0, 1), message.readUInt32LE(4)]
        if (number !== next[letter]!++) t.fail(`${letter} ${number}`)
        if (message.length !== 8 + ((number * 37) % (letter === 'a' ? 6000 : 3000))) t.fail('cut')
        if (!message.subarray(8).every((byte) => byte === letter.charCodeAt(0))) t.fail('torn')
      }
      // Messages of a batch may share an ArrayBuffer, but no bytes.
      messages[0]?.fill('c')
    }
    t.deepEqual(next, { a: count, b: count })
    t.is(await sending[0], count)
    await sending[1]
  })
}

for (const runtime of runtimes()) {
  test(`${runtime.name} ${runtime.version}: messages are received into every kind of memory`, async (t) => {
    const { file, channel } = make(t)
    const peer = await peerOf(t, file, runtime)
    channel.sendMany(['buffer', 'bytes', 'shared', 'view'])
    const received = await peer.run(`[
      Buffer.alloc(8), new Uint8Array(8), new Uint8Array(new SharedArrayBuffer(8)), new DataView(new ArrayBuffer(16), 8),
    ].map((target) => {
      const length = channel.receiveInto(target)
      return Buffer.from(target.buffer, target.byteOffset, length).toString()
    })`)
    t.deepEqual(received, ['buffer', 'bytes', 'shared', 'view'])
  })
}

test('sendMany sends as many messages as there is room for before the timeout', (t) => {
  const { channel } = make(t, 2048)
  t.is(channel.sendMany([]), 0)
  t.deepEqual(channel.receiveMany(10, 0), [])
  t.deepEqual(channel.receiveMany(10, 20), [])
  t.is(channel.sendMany(['one', Buffer.from('two'), new Uint16Array([0x3333]), '']), 4)
  t.deepEqual(channel.receiveMany(3).map(String), ['one', 'two', '33'])
  t.deepEqual(channel.receiveMany(3).map(String), [''])
  const many = Array.from({ length: 200 }, (_, i) => `message ${i}`)
  const sent = channel.sendMany(many, 0)
  t.true(sent > 10 && sent < 200)
  t.is(channel.sendMany(many, 20), 0)
  t.deepEqual(channel.receiveMany(1000).map(String), many.slice(0, sent))
})

test('a batch that cannot be sent or received as a whole is refused, and nothing is sent', (t) => {
  const { channel } = make(t, 2048)
  t.throws(() => channel.sendMany(['fits', Buffer.alloc(channel.maxLength + 1)]), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => channel.sendMany(['fits', 5 as never]), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => channel.receiveMany(0), { code: 'ERR_OUT_OF_RANGE' })
  t.deepEqual(channel.receiveMany(10, 0), [])
  const borrowed = (channel.send('kept'), channel.borrow()!)
  t.throws(() => channel.receiveMany(1), { code: 'ERR_MMAP_BUSY' })
  channel.release(borrowed)
  channel.close()
  t.throws(() => channel.sendMany([]), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => channel.receiveMany(1), { code: 'ERR_MMAP_CLOSED' })
})

test("a message is received into the caller's memory, and the bytes behind it stay as they were", async (t) => {
  const { channel } = make(t)
  const target = Buffer.alloc(8, '-')
  channel.sendMany(['hello', '', '12345678', 'async', 'words'])
  t.is(channel.receiveInto(target), 5)
  t.is(`${target}`, 'hello---')
  t.is(channel.tryReceiveInto(target), 0)
  t.is(channel.receiveInto(target, 20), 8)
  t.is(`${target}`, '12345678')
  t.is(await channel.receiveIntoAsync(target.subarray(1)), 5)
  t.is(`${target}`, '1async78')
  const words = new Uint16Array(4)
  t.is(channel.receiveInto(words), 5)
  t.deepEqual(words, Uint16Array.of(0x6f77, 0x6472, 0x73, 0))
  t.is(channel.receiveInto(target, 0), undefined)
  t.is(channel.tryReceiveInto(target), undefined)
  t.is(await channel.receiveIntoAsync(target, 1), undefined)
})

test('a message that is longer than its target is not received', async (t) => {
  const { channel } = make(t)
  const long = Buffer.alloc(5000, 'x')
  for (const receive of [
    () => channel.receiveInto(Buffer.alloc(4999)),
    () => channel.tryReceiveInto(Buffer.alloc(0)),
    () => channel.receiveIntoAsync(new DataView(new ArrayBuffer(3))),
  ]) {
    channel.send(long)
    const error = await t.throwsAsync(async () => receive(), { code: 'ERR_OUT_OF_RANGE' })
    t.regex(error!.message, /"target".*5000/)
    t.true(channel.receive()!.equals(long))
  }
  const detached = new Uint8Array(8)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  channel.send('x')
  t.throws(() => channel.receiveInto(detached), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => channel.receiveInto('text' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => channel.tryReceiveInto([1] as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(channel.receiveIntoAsync(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(channel.receive()?.toString(), 'x')
})

test('receiveInto waits its turn among other ways to receive', async (t) => {
  const { channel } = make(t)
  const target = Buffer.alloc(8)
  const first = channel.receiveIntoAsync(target)
  const second = channel.receiveAsync()
  t.throws(() => channel.receiveInto(Buffer.alloc(8)), { code: 'ERR_MMAP_BUSY' })
  channel.sendMany(['1', '2'])
  t.is(channel.tryReceiveInto(Buffer.alloc(8)), undefined)
  t.is(await first, 1)
  t.is(`${target.subarray(0, 1)}${await second}`, '12')
  const borrowed = (channel.send('kept'), channel.borrow()!)
  t.throws(() => channel.receiveInto(target), { code: 'ERR_MMAP_BUSY' })
  channel.release(borrowed)
  channel.close()
  t.throws(() => channel.receiveInto(target), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => channel.tryReceiveInto(target), { code: 'ERR_MMAP_CLOSED' })
  await t.throwsAsync(channel.receiveIntoAsync(target), { code: 'ERR_MMAP_CLOSED' })
})

test('a message arrives while receiveAsync is pending, after some turns of the event loop', async (t) => {
  const { channel } = make(t)
  for (let i = 0; i < 50; i++) {
    const receiving = channel.receiveAsync()
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
    channel.send(`${i}`)
    t.is(`${await receiving}`, `${i}`)
  }
})

test('messages of every size up to half the ring arrive', (t) => {
  const { channel } = make(t, 8192)
  t.true(channel.maxLength >= channel.capacity / 2 - 1)
  for (let length = 0; length <= channel.maxLength; length += length < 100 ? 1 : 97) {
    t.true(channel.trySend(Buffer.alloc(length, length)))
    const message = channel.tryReceive()!
    if (!message.equals(Buffer.alloc(length, length))) t.fail(`${length}`)
  }
  const longest = Buffer.alloc(channel.maxLength, 1)
  for (let i = 0; i < 20; i++) {
    channel.send(longest)
    channel.send('x')
    t.true(channel.receive()!.equals(longest))
    t.is(channel.receive()!.toString(), 'x')
  }
  t.throws(() => channel.send(Buffer.alloc(channel.maxLength + 1)), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => channel.reserve(channel.maxLength + 1), { code: 'ERR_OUT_OF_RANGE' })
})

test('a full channel holds senders back, and their messages keep their order', async (t) => {
  const { channel } = make(t, 2048)
  let sent = 0
  while (channel.trySend(`${sent}`)) sent++
  t.false(channel.send('late', 10))
  t.false(await channel.sendAsync('late', 10))
  const pending = Array.from({ length: 5 }, (_, i) => channel.sendAsync(`${sent + i}`))
  t.false(channel.trySend('too early'))
  t.throws(() => channel.send('too early'), { code: 'ERR_MMAP_BUSY' })
  for (let i = 0; i < sent + 5; i++) t.is((await channel.receiveAsync())!.toString(), `${i}`)
  t.deepEqual(await Promise.all(pending), [true, true, true, true, true])
  t.true(channel.trySend('again'))
})

test('a message that waits for room keeps the bytes that it had at the call', async (t) => {
  const { channel } = make(t, 2048)
  while (channel.trySend('full')) continue
  const data = Buffer.from('mine')
  const pending = channel.sendAsync(data)
  data.fill(0)
  let message = 'full'
  while (message === 'full') message = channel.receive(HANG_MS)!.toString()
  t.is(message, 'mine')
  t.true(await pending)
})

test('room of which no view can be made is given back, and holds up no message', async (t) => {
  const { map, channel } = make(t)
  await withoutViews(map, async () => {
    t.throws(() => channel.reserve(8), { message: 'no memory' })
    await t.throwsAsync(channel.reserveAsync(8), { message: 'no memory' })
  })
  channel.send('it')
  t.is(String(channel.tryReceive()), 'it')
})

test('reserved room is filled in place and committed, or abandoned', (t) => {
  const { file, channel } = make(t)
  const other = reopen(t, file)
  const [one, two] = [channel.reserve(100)!, channel.tryReserve(50)!]
  t.deepEqual([one.length, two.length], [100, 50])
  two.write('two')
  channel.commit(two, 3)
  t.is(other.tryReceive(), undefined)
  channel.abandon(one)
  const message = other.borrow()!
  t.is(message.toString(), 'two')
  t.throws(() => other.tryReceive(), { code: 'ERR_MMAP_BUSY' })
  other.release(message)
  t.is(other.tryBorrow(), undefined)
  t.throws(() => other.release(message), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const none of [two, Buffer.alloc(4), undefined as never]) {
    t.throws(() => channel.commit(none), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => channel.commit(none, 3), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  t.throws(() => channel.commit(channel.reserve(4)!, 5), { code: 'ERR_OUT_OF_RANGE' })
})

test('close ends an iteration, and then another channel may receive', async (t) => {
  const { file, channel } = make(t)
  const other = reopen(t, file)
  const seen: string[] = []
  const iterating = (async () => {
    for await (const message of channel) seen.push(message.toString())
  })()
  other.send('one')
  await until(() => seen.length > 0)
  await turns() // so that the loop waits for the next message
  channel.close()
  await iterating
  t.deepEqual(seen, ['one'])
  t.throws(() => channel.send('x'), { code: 'ERR_MMAP_CLOSED' })
  await t.throwsAsync(channel.receiveAsync(), { code: 'ERR_MMAP_CLOSED' })
  other.send('two')
  t.is((await other.receiveAsync())!.toString(), 'two')
})

test('close ends a pending receiveAsync, beside which nothing else may receive', async (t) => {
  const { file } = make(t)
  const other = reopen(t, file)
  const pending = other.receiveAsync()
  await sleep(30)
  t.is(other.tryReceive(), undefined)
  t.throws(() => other.receive(), { code: 'ERR_MMAP_BUSY' })
  t.throws(() => other.borrow(), { code: 'ERR_MMAP_BUSY' })
  other.close()
  await t.throwsAsync(pending, { code: 'ERR_MMAP_CLOSED', message: 'The channel is closed' })
})

test('a receive that has only just begun, and those behind it, end when the mapping moves', async (t) => {
  const { file, map, channel } = make(t)
  const receives = [channel.receiveAsync(), channel.receiveAsync({ timeout: 1e6 }), channel.borrowAsync()]
  growUntilMoved(map)
  for (const receive of receives) await t.throwsAsync(receive, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  reopen(t, file).send('later')
  t.is((await channel.receiveAsync())!.toString(), 'later')
})

test('the channels of a mapping that moves as it grows go on', async (t) => {
  const { file, map, channel } = make(t)
  const other = reopen(t, file)
  const reserved = channel.reserve(5)!
  reserved.write('first')
  const receiving = channel.receiveAsync()
  await sleep(30)
  growUntilMoved(map)
  await t.throwsAsync(receiving, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  channel.commit(reserved)
  other.send('second')
  t.is(channel.receive()!.toString(), 'first')
  t.is(channel.borrow()!.toString(), 'second')
  channel.close()
  t.is(other.receive()!.toString(), 'second')
})

test('closing the mapping ends a pending receiveAsync', async (t) => {
  const { map, channel } = make(t)
  const receiving = channel.receiveAsync()
  await sleep(30)
  map.close()
  await t.throwsAsync(receiving, { code: 'ERR_MMAP_CLOSED' })
  t.true(channel.closed)
  t.throws(() => channel.trySend('x'), { code: 'ERR_MMAP_CLOSED' })
})

truncating('a file with no channel, or only a part of one, is refused', (t) => {
  const { file, map } = make(t)
  const refused = { code: 'ERR_MMAP_INVALID' }
  const random = scratchFile(t, Buffer.from(Uint8Array.from({ length: 8192 }, () => Math.random() * 256)))
  t.throws(() => reopen(t, random), refused)
  t.throws(() => reopen(t, sparseFile(t, 100)), refused)
  t.throws(() => Channel.open(map, { offset: 64 }), refused)
  t.throws(() => Channel.open(map, { offset: 32 }), {
    code: 'ERR_OUT_OF_RANGE',
    message: 'The offset must be a multiple of 64 in memory',
  })
  t.throws(() => Channel.create(map, { length: 100 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Channel.create(map, { lenght: 100 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  const version = map.typedArray(BigUint64Array, 8, 1)
  version[0] = 2n
  t.throws(() => reopen(t, file), { ...refused, message: /version/ })
  version[0] = 1n
  reopen(t, file)
  truncateSync(file, 4096)
  t.throws(() => reopen(t, file), { ...refused, message: /short/ })
})

test('a channel whose memory is overwritten with random bytes ends with an error', (t) => {
  let errors = 0
  for (let round = 0; round < 200; round++) {
    const { map, channel } = make(t, 2048)
    while (channel.trySend('message')) continue
    for (let i = 0; i < 64; i++) map.buffer[64 + Math.floor(Math.random() * 1984)] = Math.random() * 256
    try {
      for (let i = 0; i < 200 && channel.tryReceive(); i++) continue
      channel.trySend('x')
    } catch (error) {
      errors++
      t.regex((error as { code: string }).code, /^ERR_MMAP_(INVALID|BUSY)$/)
    }
    map.close()
  }
  t.true(errors > 0)
})

test.serial('a message whose length changes while it is received is read from its own memory', (t) => {
  const { map, channel } = make(t, 2 ** 20)
  const long = channel.reserve(80_000)!.fill('a')
  channel.commit(long, 70_000)
  const used = map.typedArray(Uint32Array, long.byteOffset - map.buffer.byteOffset - 4, 1)
  t.is(used[0], 70_000)
  const allocate = Buffer.allocUnsafeSlow
  t.teardown(() => void (Buffer.allocUnsafeSlow = allocate))
  Buffer.allocUnsafeSlow = (size) => {
    if (size === 70_000) used[0] = 75_000
    return allocate(size)
  }
  t.true(channel.receive()?.equals(Buffer.alloc(75_000, 'a')))
})

truncating('truncating the file ends a pending receive with a fault', async (t) => {
  const { file, channel } = make(t)
  const receiving = channel.receiveAsync()
  await sleep(200)
  truncateSync(file, 0)
  await t.throwsAsync(receiving, { code: 'ERR_MMAP_FAULT' })
  t.throws(() => channel.send('x'), { code: 'ERR_MMAP_FAULT' })
  writeFileSync(file, '')
})

test('a pending receiveAsync takes hardly any processor time', async (t) => {
  const { file } = make(t)
  const peer = await peerOf(t, file)
  await peer.run('pending = channel.receiveAsync(); 0')
  const used = async () => (await peer.run('Object.values(process.cpuUsage()).reduce((a, b) => a + b)')) as number
  // A process that has just started is busy for a while. A thread that spins would be busy in every second.
  let microseconds
  for (const end = Date.now() + HANG_MS; ;) {
    const before = await used()
    await sleep(1000)
    microseconds = (await used()) - before
    if (microseconds < 50_000 || Date.now() > end) break
  }
  t.true(microseconds < 50_000, `${microseconds} µs in a second`)
})

test('the event loop turns while messages come faster than they are used', async (t) => {
  const { channel } = make(t, 8 * 2 ** 20)
  const count = 50_000
  const messages = Array.from({ length: count }, (_, i) => String(i))
  for (const receive of ['for await', 'receiveAsync']) {
    t.is(channel.sendMany(messages), count)
    let turns = 0
    const turn = (): void => void (turns++, (next = setImmediate(turn)))
    let next = setImmediate(turn)
    let received = 0
    if (receive === 'for await') {
      for await (const message of channel) {
        t.is(message.toString(), String(received)) // takes some microseconds
        if (++received === count) break
      }
    } else {
      while (received < count) t.is((await channel.receiveAsync())!.toString(), String(received++))
    }
    clearImmediate(next)
    t.true(turns > 1)
  }
})

test('an iterator gives messages in the order of its calls, until it or the channel is ended', async (t) => {
  const { file, channel } = make(t)
  const sender = reopen(t, file)
  const iterator = channel[Symbol.asyncIterator]()
  t.is(iterator[Symbol.asyncIterator](), iterator)
  const results = [1, 2, 3].map(() => iterator.next())
  sender.send('a')
  sender.send('b')
  const later = iterator.next()
  sender.send('c')
  sender.send('d')
  const values = (await Promise.all([...results, later])).map(({ value }) => String(value))
  t.deepEqual(values, ['a', 'b', 'c', 'd'])
  sender.send('e')
  t.deepEqual(await iterator.return!(), { value: undefined, done: true })
  t.deepEqual(await iterator.next(), { value: undefined, done: true })
  t.is(String(channel.tryReceive()), 'e')

  const waiting = channel[Symbol.asyncIterator]().next()
  channel.close()
  t.deepEqual(await waiting, { value: undefined, done: true })
  t.deepEqual(await channel[Symbol.asyncIterator]().next(), { value: undefined, done: true })
})
