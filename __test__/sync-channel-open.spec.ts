// Channels that are opened before, after or while others make them; and messages that are read and written in place.

import test, { type ExecutionContext } from 'ava'
import { Broadcast, Channel } from 'memory-map/sync'

import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap, withoutViews } from './helpers/sharing.ts'
import { HANG_MS, turns, until } from './helpers/until.ts'

const LENGTH = 64 * 1024

const open = (t: ExecutionContext, file = sparseFile(t, LENGTH)) => ({ file, map: sharedMap(t, file) })

function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, ';({ Channel } = sync)', runtime)
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: processes that call openOrCreate at the same moment get the same channel`, async (t) => {
    for (let round = 0; round < 5; round++) {
      const { file, map } = open(t)
      const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
      const waiting = Channel.openAsync(map)
      await Promise.all(
        peers.map((peer, i) => peer.run(`channel = Channel.openOrCreate(map); channel.send('${i}'); channel.capacity`)),
      )
      const channel = await waiting
      const [one, two] = [channel.receive(HANG_MS), channel.receive(HANG_MS)]
      t.deepEqual([`${one}`, `${two}`].sort(), ['0', '1'])
      t.is(Channel.openOrCreate(map, { length: 4096 }).capacity, channel.capacity)
      for (const peer of peers) await peer.kill()
    }
  })

  test(`${name}: openAsync waits until another process has made the channel`, async (t) => {
    const { file, map } = open(t)
    const peer = await peerOf(t, file, runtime)
    const opening = peer.run('Channel.openAsync(map).then((channel) => channel.receiveAsync()).then(String)')
    await turns()
    Channel.create(map).send('made')
    t.is(await opening, 'made')
    t.is(await peer.run('Channel.openAsync(map, { timeout: 0 }).then((channel) => channel.pending.messages)'), 0)
  })

  test(`${name}: reserveAsync waits for room, and borrowAsync for messages`, async (t) => {
    const { file, map } = open(t)
    const channel = Channel.create(map, { length: 2048 })
    const peer = await peerOf(t, file, runtime)
    await peer.run('channel = Channel.open(map); 0')
    const borrowing = peer.run(`(async () => {
      first = await channel.borrowAsync()
      second = await channel.borrowAsync()
      return first.toString() + second.toString()
    })()`)
    await turns()
    channel.send('one')
    await turns()
    channel.send('two')
    t.is(await borrowing, 'onetwo')
    while (channel.trySend(Buffer.alloc(100, 1))) continue
    const reserving = channel.reserveAsync(300)
    t.throws(() => channel.send('early'), { code: 'ERR_MMAP_BUSY' })
    await peer.run(`(async () => {
      channel.release(second)
      channel.release(first)
      while (channel.tryReceive()) continue
    })()`)
    const room = (await reserving)!
    t.is(room.length, 300)
    room.fill(5)
    channel.commit(room)
    t.is(await peer.run('channel.receive().readUInt8(299)'), 5)
  })
}

test('openOrCreate overwrites nothing, be it a channel or something else', (t) => {
  const { map } = open(t)
  const channel = Channel.create(map, { length: 4096 })
  channel.send('kept')
  const again = Channel.openOrCreate(map)
  t.is(again.capacity, channel.capacity)
  t.is(`${again.receive()}`, 'kept')
  map.buffer.fill('text')
  t.throws(() => Channel.openOrCreate(map), { code: 'ERR_MMAP_INVALID' })
  t.is(map.buffer.toString('latin1', 0, 4), 'text')
  t.throws(() => Channel.openOrCreate(map, { length: 100 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Channel.openOrCreate(map, { timeout: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('openAsync ends with its timeout, by a signal, with the mapping, and where something else is', async (t) => {
  const { map } = open(t)
  t.is(await Channel.openAsync(map, { timeout: 10 }), undefined)
  const signal = AbortSignal.timeout(10)
  await t.throwsAsync(Channel.openAsync(map, { signal }), { name: 'AbortError' })
  const waiting = Channel.openAsync(map)
  await turns()
  map.close()
  await t.throwsAsync(waiting, { code: 'ERR_MMAP_CLOSED' })
  const other = scratchFile(t, Buffer.alloc(LENGTH, 'text'))
  await t.throwsAsync(Channel.openAsync(open(t, other).map), { code: 'ERR_MMAP_INVALID' })
  const short = open(t, sparseFile(t, 100)).map
  await t.throwsAsync(Channel.openAsync(short), { code: 'ERR_MMAP_INVALID' })
  await t.throwsAsync(Channel.openAsync({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('pending counts the messages that were sent and not released', (t) => {
  const { file, map } = open(t)
  const channel = Channel.create(map, { length: 2048 })
  const other = Channel.open(open(t, file).map)
  t.deepEqual(channel.pending, { messages: 0, bytes: 0 })
  channel.sendMany(['one', 'three', ''])
  t.deepEqual(other.pending, { messages: 3, bytes: 8 })
  const room = channel.reserve(10)!
  channel.send('behind')
  t.deepEqual(other.pending, { messages: 4, bytes: 14 })
  channel.commit(room, 4)
  t.deepEqual(other.pending, { messages: 5, bytes: 18 })
  const borrowed = other.borrow()!
  t.deepEqual(channel.pending, { messages: 5, bytes: 18 })
  other.release(borrowed)
  t.deepEqual(channel.pending, { messages: 4, bytes: 15 })
  for (let i = 0; i < 200; i++) {
    t.true(channel.trySend(Buffer.alloc(i % 100))) // the ring wraps around
    channel.abandon(channel.tryReserve(i % 100)!)
    other.receive()
    t.is(channel.pending.messages, 4)
  }
  channel.close()
  t.throws(() => channel.pending, { code: 'ERR_MMAP_CLOSED' })
})

test('several messages are borrowed and released in any order', (t) => {
  const { map } = open(t)
  const channel = Channel.create(map, { length: 2048 })
  for (let round = 0; round < 100; round++) {
    channel.sendMany(['', 'two', 'three', 'four'])
    const all = Array.from({ length: 4 }, () => channel.tryBorrow()!)
    t.deepEqual(all.map(String), ['', 'two', 'three', 'four'])
    t.is(channel.tryBorrow(), undefined)
    t.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_BUSY' })
    t.throws(() => channel.receiveMany(1), { code: 'ERR_MMAP_BUSY' })
    const first = all.splice(round % 4, 1)[0]!
    channel.release(first)
    t.throws(() => channel.release(first), { code: 'ERR_INVALID_ARG_VALUE' })
    t.is(channel.pending.messages, round % 4 === 0 ? 3 : 4)
    channel.send('later')
    const later = channel.tryBorrow()!
    channel.release(later)
    t.is(`${later}`, 'later')
    for (const message of all.reverse()) channel.release(message)
    t.is(channel.pending.messages, 0)
    t.is(channel.tryReceive(), undefined)
  }
})

test('a message that was borrowed and not released comes to the next receiver, and so do those after it', async (t) => {
  const { file, map } = open(t)
  const channel = Channel.create(map)
  const next = Channel.open(open(t, file).map)
  channel.sendMany(['one', 'two', 'three'])
  const [one, , three] = [channel.borrow()!, channel.borrow()!, channel.borrow()!]
  channel.release(one)
  channel.release(three)
  channel.close()
  t.deepEqual([`${next.receive()}`, `${next.receive()}`], ['two', 'three'])
  await t.throwsAsync(channel.borrowAsync(), { code: 'ERR_MMAP_CLOSED' })
})

test('a message of which no view can be made comes again, whatever else is borrowed', async (t) => {
  const map = sharedMap(t, sparseFile(t, 2 ** 16))
  const channel = Channel.create(map, { length: 2 ** 15 })
  const broadcast = Broadcast.create(map, { offset: 2 ** 15, lossless: true })
  const receiver = broadcast.subscribe()
  const ends = [
    { sender: channel, end: channel },
    { sender: broadcast, end: receiver },
  ]
  for (const { sender, end } of ends) {
    const fail = () => withoutViews(map, () => t.throws(() => end.borrow(), { message: 'no memory' }))
    sender.sendMany(['1', '2', '3', '4', '5', '6'])
    await fail()
    t.is(String(end.receive()), '1')
    await fail()
    const second = end.borrow()!
    await fail()
    const third = end.borrow()!
    t.deepEqual([second, third].map(String), ['2', '3'])
    end.release(third)
    await fail()
    await withoutViews(map, () => t.throwsAsync(end.borrowAsync(), { message: 'no memory' }))
    end.release(second)
    t.is(String(end.receive()), '4')
    await fail()
    t.deepEqual(end.receiveMany(9).map(String), ['5', '6'])
  }
})

test('reserveAsync and borrowAsync take nothing if they reject', async (t) => {
  const { map } = open(t)
  const channel = Channel.create(map, { length: 2048 })
  t.is(await channel.borrowAsync({ timeout: 10 }), undefined)
  const borrowing = channel.borrowAsync({ signal: AbortSignal.timeout(10) })
  t.is(channel.tryBorrow(), undefined)
  t.throws(() => channel.borrow(), { code: 'ERR_MMAP_BUSY' })
  await t.throwsAsync(borrowing, { name: 'AbortError' })
  let sent = 0
  while (channel.trySend(Buffer.alloc(100))) sent++
  t.is(await channel.reserveAsync(300, 10), undefined)
  await t.throwsAsync(channel.reserveAsync(300, { signal: AbortSignal.timeout(10) }), { name: 'AbortError' })
  await t.throwsAsync(channel.reserveAsync(channel.maxLength + 1), { code: 'ERR_OUT_OF_RANGE' })
  t.is(channel.receiveMany(1000).length, sent)
  // No room that was reserved lies before this message.
  channel.send('next')
  t.is(`${channel.receive(HANG_MS)}`, 'next')
  const order = [channel.reserveAsync(4), channel.sendAsync('after')] as const
  channel.commit((await order[0])!)
  await order[1]
  await until(() => channel.pending.messages === 2)
  t.deepEqual([channel.receive()!.length, `${channel.receive()}`], [4, 'after'])
})
