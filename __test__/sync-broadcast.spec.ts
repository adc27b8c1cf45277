// Broadcasts: every receiver gets every message, or knows how many it lost. (Long: lossy and lossless, slow and dead ones.)

import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared } from 'memory-map'
import { Broadcast, type BroadcastRange, BroadcastReceiver, type SubscribeOptions } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap } from './helpers/sharing.ts'
import { turns, until } from './helpers/until.ts'

/** The smallest lossless broadcast: places for 64 receivers, and half a kilobyte for messages. */
const SMALLEST = { offset: 64, length: 4416 + 512 }

const open = (t: ExecutionContext, file = sparseFile(t, 2 ** 17)) => ({ file, map: sharedMap(t, file) })

/** A second process with the same broadcast, and a receiver. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(
    t,
    file,
    'broadcast = sync.Broadcast.open(map, { offset: 64 }), receiver = broadcast.subscribe()',
    runtime,
  )
}

/** Receives up to the message `end`; gives how many messages came and were lost, and those that are wrong. */
const COUNT = `(async () => {
  const [next, wrong] = [{}, []]
  let count = 0
  for await (const message of receiver) {
    const [name, i, tail] = message.toString().split(' ')
    if (name === 'end') break
    if (tail.length !== i % 50) wrong.push(message.toString())
    if (Number(i) < (next[name] ?? 0)) wrong.push(name + ' ' + i + ' after ' + next[name])
    next[name] = Number(i) + 1
    count++
  }
  return { count, lost: receiver.lost, wrong, next }
})()`

const text = (name: string, i: number) => `${name} ${i} ${'x'.repeat(i % 50)}`
const SEND = (name: string, count: number) => `(async () => {
  for (let i = 0; i < ${count}; i++) {
    const text = '${name} ' + i + ' ' + 'x'.repeat(i % 50)
    if (i % 3 === 0) broadcast.send(text)
    else await broadcast.sendAsync(text)
  }
})()`

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  for (const lossless of [false, true]) {
    const kind = lossless ? 'lossless' : 'lossy'

    test(`${name}: two processes send and two receive, ${kind}`, async (t) => {
      const { file, map } = open(t)
      const broadcast = Broadcast.create(map, { ...SMALLEST, lossless })
      const peers = [await peerOf(t, file, runtime), await peerOf(t, file, runtime)]
      const counts = peers.map((peer) => peer.run(COUNT))
      const sender = await peerOf(t, file, runtime)
      await sender.run('receiver.close()')
      const there = sender.run(SEND('there', 3000))
      for (let i = 0; i < 3000; i++) await broadcast.sendAsync(text('here', i))
      await there
      await broadcast.sendAsync('end')
      for (const { count, lost, wrong } of (await Promise.all(counts)) as any[]) {
        t.deepEqual(wrong, [])
        t.is(count + lost, 6000)
        if (lossless) t.is(lost, 0)
      }
    })
  }

  test(`${name}: a receiver that is stopped holds up the senders of a lossless broadcast, until it is killed`, async (t) => {
    const { file, map } = open(t)
    const lossless = Broadcast.create(map, { ...SMALLEST, lossless: true })
    const peer = await peerOf(t, file, runtime)
    const here = lossless.subscribe()
    while (lossless.trySend('message')) t.is(here.tryReceive()!.toString(), 'message')
    t.false(lossless.send('held back', 10))
    t.false(await lossless.sendAsync('held back', 10))
    if (!isWindows) process.kill(peer.pid, 'SIGSTOP')
    t.false(await lossless.sendAsync('held back', 100))
    const sent = lossless.sendAsync('at last')
    await peer.kill()
    t.true(await sent)
    t.is((await here.receiveAsync())!.toString(), 'at last')
    for (let i = 0; i < 100; i++) {
      t.true(lossless.send(`${i}`))
      t.is(here.receive()!.toString(), `${i}`)
    }
    t.is(here.lost, 0)
  })
}

test('a receiver begins with the next message, or with the oldest one', (t) => {
  const { map } = open(t)
  for (const lossless of [false, true]) {
    const broadcast = Broadcast.create(map, { ...SMALLEST, lossless })
    t.is(broadcast.lossless, lossless)
    broadcast.send('one')
    const [now, oldest] = [broadcast.subscribe(), broadcast.subscribe({ from: 'oldest' })]
    broadcast.send(Buffer.from('two'))
    t.is(now.receive()!.toString(), 'two')
    t.is(oldest.receive()!.toString(), 'one')
    t.is(oldest.tryReceive()!.toString(), 'two')
    for (const receiver of [now, oldest]) {
      t.is(receiver.tryReceive(), undefined)
      t.is(receiver.receive(5), undefined)
      t.is(receiver.lost, 0)
      receiver.close()
    }
  }
})

test('a receiver that is too slow learns how many messages it lost, and goes on', async (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map, { length: 1024 })
  const receiver = broadcast.subscribe()
  for (let i = 0; i < 100; i++) t.true(broadcast.trySend(`message ${i}`))
  t.is(receiver.lost, 0) // it does not know yet
  const received: string[] = []
  for await (const message of receiver) {
    received.push(message.toString())
    if (received.length === 1) t.is(received[0], `message ${receiver.lost}`)
    if (received.length + receiver.lost === 100) break
  }
  t.true(received.length > 10 && receiver.lost > 10)
  t.is(received.at(-1), 'message 99')
  broadcast.send('on')
  t.is((await receiver.receiveAsync())!.toString(), 'on')
})

test('messages of all lengths arrive, on either backing', (t) => {
  for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
    const map = mapShared(sparseFile(t, 2 ** 17), { protection: 'read-write', backing })
    t.teardown(() => map.close())
    const broadcast = Broadcast.create(map)
    const receivers = [broadcast.subscribe(), broadcast.subscribe()]
    t.is(broadcast.maxLength, Math.floor(broadcast.capacity / 2))
    for (let length = 0; length <= broadcast.maxLength; length += 331) {
      const message = Buffer.alloc(length, length)
      t.true(broadcast.send(message))
      for (const receiver of receivers) t.true(message.equals(receiver.receive()!))
    }
    t.deepEqual(
      receivers.map((receiver) => receiver.lost),
      [0, 0],
    )
  }
})

test('a received message does not change when others follow', (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map, { length: 1024 })
  const receiver = broadcast.subscribe()
  const received = Array.from({ length: 200 }, (_, i) => {
    broadcast.send(Buffer.of(i, i))
    return receiver.receive()!
  })
  t.true(received.every((message, i) => message.equals(Buffer.of(i, i))))
})

test('a worker receives what others send, and its place is free when it ends', async (t) => {
  const { file, map } = open(t)
  const broadcast = Broadcast.create(map, { ...SMALLEST, lossless: true })
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
    void (async () => {
      const { mapShared } = await import(workerData.root + 'index.js')
      const { Broadcast } = await import(workerData.root + 'sync.js')
      const map = mapShared(workerData.file, { protection: 'read-write' })
      const receiver = Broadcast.open(map, { offset: 64 }).subscribe()
      parentPort.postMessage('ready')
      parentPort.postMessage(receiver.receive().toString())
      parentPort.on('message', () => receiver) // or its place would be free as soon as it is collected
    })()`,
    { eval: true, workerData: { root: new URL('../', import.meta.url).href, file } },
  )
  const messages: unknown[] = []
  worker.on('message', (message) => messages.push(message))
  await until(() => messages.length === 1)
  broadcast.send('hello')
  await until(() => messages.length === 2)
  t.deepEqual(messages, ['ready', 'hello'])
  while (broadcast.trySend('more')) continue // it does not receive any more
  const sent = broadcast.sendAsync('last')
  await worker.terminate()
  t.true(await sent)
})

test('batches reach all receivers, with messages of all lengths, wherever the ring wraps', (t) => {
  const { map } = open(t)
  for (const lossless of [false, true]) {
    const broadcast = Broadcast.create(map, { length: 4416 + 2048, lossless })
    const receivers = [broadcast.subscribe(), broadcast.subscribe()]
    const { maxLength } = broadcast
    let next = 0
    for (let round = 0; round < 300; round++) {
      // In some batches, one message is longer than all others together may be.
      const batch = Array.from({ length: (round % 7) + 1 }, (_, i) => {
        return `${next + i} ${'x'.repeat(round % 5 === 0 && i === 0 ? maxLength - 10 : (next + i) % 40)}`
      })
      t.is(broadcast.sendMany(batch), batch.length)
      const [one, other] = receivers as [BroadcastReceiver, BroadcastReceiver]
      t.deepEqual(one.receiveMany(100).map(String), batch)
      const received = [...other.receiveMany(2), ...(batch.length > 2 ? other.receiveMany(100) : [])]
      t.deepEqual(received.map(String), batch)
      next += batch.length
    }
    t.deepEqual(
      receivers.map((receiver) => receiver.receiveMany(5, 1)),
      [[], []],
    )
    t.deepEqual(
      receivers.map(({ lost }) => lost),
      [0, 0],
    )
  }
})

test('a batch that is longer than the ring of a lossy broadcast leaves its last messages', (t) => {
  const { map } = open(t)
  const batch = Array.from({ length: 3000 }, (_, i) => `message ${i}`)
  const lossy = Broadcast.create(map, { length: 1024 })
  const receiver = lossy.subscribe()
  t.is(lossy.sendMany(batch), 3000)
  const received = receiver.receiveMany(3000).map(String)
  t.deepEqual(received, batch.slice(receiver.lost))
  t.is(received.length + receiver.lost, 3000)
  t.true(received.length > 10)
})

test('a batch for a lossless broadcast is sent as far as there is room, and batches wait their turn', async (t) => {
  const { map } = open(t)
  const batch = Array.from({ length: 3000 }, (_, i) => `message ${i}`)
  const lossless = Broadcast.create(map, { offset: 8192, length: 4416 + 1024, lossless: true })
  const slow = lossless.subscribe()
  const sent = lossless.sendMany(batch, 10)
  t.true(sent > 10 && sent < 100)
  t.deepEqual(slow.receiveMany(3000).map(String), batch.slice(0, sent))
  const waiting = slow.receiveAsync()
  t.throws(() => slow.receiveMany(5), { code: 'ERR_MMAP_BUSY' })
  const pending = Array.from({ length: 100 }, (_, i) => lossless.sendAsync(`later ${i}`))
  t.throws(() => lossless.sendMany(['x']), { code: 'ERR_MMAP_BUSY' })
  t.is(String(await waiting), 'later 0')
  for (let next = 1; next < 100; await turns()) {
    for (const message of slow.receiveMany(7, 0)) t.is(`${message}`, `later ${next++}`)
  }
  t.true((await Promise.all(pending)).every(Boolean))
  t.is(lossless.sendMany([]), 0)
})

test('a message that is borrowed stays until it is released, and only then senders have its room', async (t) => {
  for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
    const file = sparseFile(t, 2 ** 17)
    const map = mapShared(file, { protection: 'read-write', backing })
    t.teardown(() => map.close())
    const broadcast = Broadcast.create(map, { ...SMALLEST, lossless: true })
    const [receiver, other] = [broadcast.subscribe(), broadcast.subscribe()]
    t.is(receiver.tryBorrow(), undefined)
    t.is(receiver.borrow(5), undefined)
    t.is(await receiver.borrowAsync(5), undefined)
    const waiting = receiver.borrowAsync()
    t.is(receiver.tryBorrow(), undefined)
    t.throws(() => receiver.borrow(), { code: 'ERR_MMAP_BUSY' })
    broadcast.send('first')
    const first = (await waiting)!
    t.is(first.buffer, map.view(0, 1).buffer) // it is no copy
    broadcast.sendMany(['second', ''])
    const [second, empty] = [receiver.borrow()!, receiver.tryBorrow()!]
    const sent = ['first', 'second', '']
    for (let i = 0; broadcast.trySend(`more ${i}`); i++) sent.push(`more ${i}`)
    t.deepEqual(other.receiveMany(100).map(String), sent)
    for (const receive of [() => receiver.receive(0), () => receiver.tryReceive(), () => receiver.receiveMany(1)]) {
      t.throws(receive, { code: 'ERR_MMAP_BUSY', message: /borrowed/ })
    }
    await t.throwsAsync(receiver.receiveAsync(), { code: 'ERR_MMAP_BUSY' })
    receiver.release(second)
    receiver.release(empty)
    t.false(broadcast.trySend('no room'))
    t.is(`${first} ${second}`, 'first second')
    const late = broadcast.sendAsync('x'.repeat(40))
    await turns()
    receiver.release(first)
    t.true(await late)
    t.deepEqual(receiver.receiveMany(100).map(String), [...sent.slice(3), 'x'.repeat(40)])
    t.is(receiver.lost, 0)
    for (const wrong of [first, Buffer.from('first'), undefined as never]) {
      t.throws(() => receiver.release(wrong), { code: 'ERR_INVALID_ARG_VALUE', message: /borrow/ })
    }
  }
})

test('whoever has a borrowed message needs no receiver to keep it', async (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map, { ...SMALLEST, lossless: true })
  const borrow = () => broadcast.subscribe({ from: 'oldest' }).borrow()!
  broadcast.send('borrowed')
  const message = borrow()
  while (broadcast.trySend('more')) continue
  for (let i = 0; i < 20; i++) {
    globalThis.gc!()
    await turns()
    t.false(broadcast.trySend('more'))
  }
  t.is(message.toString(), 'borrowed')
})

test('what is borrowed holds senders back no longer than its receiver lives', async (t) => {
  const { file, map } = open(t)
  const broadcast = Broadcast.create(map, { ...SMALLEST, lossless: true })
  const peer = await peerOf(t, file)
  const receiver = broadcast.subscribe()
  broadcast.send('borrowed')
  t.is(await peer.run('borrowed = receiver.borrow(), String(borrowed)'), 'borrowed')
  const mine = receiver.borrow()!
  while (broadcast.trySend('more')) continue
  receiver.release(mine)
  while (receiver.tryReceive() !== undefined) continue
  t.false(broadcast.send('no room', 10))
  t.is(await peer.run('String(borrowed)'), 'borrowed')
  const sent = broadcast.sendAsync('room')
  await peer.kill()
  t.true(await sent)
  t.is(String(receiver.borrow()), 'room')
  while (broadcast.trySend('more')) continue
  receiver.close()
  t.true(broadcast.trySend('more'))
  t.throws(() => receiver.borrow(), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => receiver.release(mine), { code: 'ERR_INVALID_ARG_VALUE' })
  const lossy = Broadcast.create(map, { offset: 8192, length: 1024 }).subscribe()
  t.throws(() => lossy.borrow(), { code: 'ERR_MMAP_UNSUPPORTED', message: /lossless/ })
  await t.throwsAsync(lossy.borrowAsync(), { code: 'ERR_MMAP_UNSUPPORTED' })
})

test('processes with a read-only mapping receive', async (t) => {
  const { file, map } = open(t)
  const broadcast = Broadcast.create(map, SMALLEST)
  broadcast.send('before')
  const peers = await Promise.all(runtimes().map((runtime) => Peer.start(t, runtime)))
  for (const peer of peers) {
    await peer.run(`(async () => {
      const { Broadcast } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      map = lib.mapShared(${JSON.stringify(file)})
      broadcast = Broadcast.open(map, { offset: 64 })
      receiver = broadcast.subscribe({ from: 'oldest' })
      undefined
    })()`)
    t.is(await peer.run('receiver.receive().toString()'), 'before')
  }
  const waiting = peers.map((peer) => peer.run(`receiver.receiveAsync().then((message) => '' + message)`))
  await sleep(50)
  broadcast.send('woken')
  t.deepEqual(new Set(await Promise.all(waiting)), new Set(['woken']))
  const counts = peers.map((peer) => peer.run(COUNT))
  for (let i = 0; i < 1000; i++) {
    broadcast.send(text('here', i))
    if (i % 10 === 0) await sleep(0)
  }
  broadcast.send('end')
  for (const { count, lost, wrong } of (await Promise.all(counts)) as any[]) {
    t.deepEqual(wrong, [])
    t.is(count + lost, 1000)
  }
})

test('a read-only mapping cannot send, and does not hold senders back', (t) => {
  const { file, map } = open(t)
  const readOnly = mapShared(file)
  t.teardown(() => readOnly.close())
  const broadcast = Broadcast.create(map, { length: 1024 })
  const reader = Broadcast.open(readOnly)
  t.throws(() => reader.send('x'), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => reader.sendMany(['x']), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => Broadcast.create(readOnly), { code: 'ERR_MMAP_NOT_WRITABLE' })
  const receiver = reader.subscribe()
  t.is(receiver.receive(1), undefined)
  t.is(broadcast.sendMany(['one', 'two']), 2)
  t.deepEqual(receiver.receiveMany(3).map(String), ['one', 'two'])
  receiver.close()
  t.is(readOnly.faults, 0)
  Broadcast.create(map, { ...SMALLEST, lossless: true })
  t.throws(() => Broadcast.open(readOnly, { offset: 64 }), { code: 'ERR_MMAP_NOT_WRITABLE' })
})

test('waits end with their timeout, by a signal, by close, and when the mapping is closed', async (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map, { ...SMALLEST, lossless: true })
  const [first, second, third] = [broadcast.subscribe(), broadcast.subscribe(), broadcast.subscribe()]
  t.is(await first.receiveAsync(5), undefined)
  const controller = new AbortController()
  const ends = [
    t.throwsAsync(first.receiveAsync({ signal: controller.signal }), { name: 'AbortError' }),
    t.throwsAsync(second.receiveAsync(), { code: 'ERR_MMAP_CLOSED', message: /receiver is closed/ }),
    t.throwsAsync(third.receiveAsync(), { code: 'ERR_MMAP_CLOSED' }),
  ]
  t.throws(() => third.receive(), { code: 'ERR_MMAP_BUSY' })
  t.is(third.tryReceive(), undefined)
  await sleep(5)
  controller.abort()
  second.close()
  second.close()
  t.true(second.closed)
  t.throws(() => second.tryReceive(), { code: 'ERR_MMAP_CLOSED' })
  await Promise.all(ends.slice(0, 2))
  const other = Broadcast.create(map, { offset: 8192, length: 8192, lossless: true })
  const slow = other.subscribe()
  while (other.trySend('full')) continue
  const sends = [
    t.throwsAsync(other.sendAsync('x', { signal: controller.signal }), { name: 'AbortError' }),
    t.throwsAsync(other.sendAsync('y'), { code: 'ERR_MMAP_CLOSED', message: /broadcast is closed/ }),
  ]
  t.throws(() => other.send('z'), { code: 'ERR_MMAP_BUSY' })
  t.false(other.trySend('z'))
  await sleep(5)
  other.close()
  await Promise.all(sends)
  t.throws(() => other.send('z'), { code: 'ERR_MMAP_CLOSED' })
  t.is(slow.receive()!.toString(), 'full')
  map.close()
  await ends[2]
  t.true(first.closed && broadcast.closed)
  t.is(first.lost, 0)
  t.throws(() => first.tryReceive(), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => broadcast.send(''), { code: 'ERR_MMAP_CLOSED' })
})

test('iterating ends when the receiver is closed', async (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map)
  const receiver = broadcast.subscribe()
  const received: string[] = []
  const iterating = (async () => {
    for await (const message of receiver) received.push(message.toString())
  })()
  for (const message of ['one', 'two', 'three']) {
    await broadcast.sendAsync(message)
    await until(() => received.at(-1) === message)
  }
  receiver.close()
  await iterating
  t.deepEqual(received, ['one', 'two', 'three'])
})

test('a broadcast and a receiver print what they are', (t) => {
  const broadcast = Broadcast.create(open(t).map)
  const receiver = broadcast.subscribe()
  receiver.close()
  t.regex(String(receiver), /^BroadcastReceiver \{ lost: 0, closed: true \}$/)
  t.regex(String(broadcast), /^Broadcast \{ capacity: \d+, maxLength: \d+, lossless: false, closed: false \}$/)
})

test('memory with something else, or a broadcast of another version, is refused', (t) => {
  const { map } = open(t)
  t.throws(() => Broadcast.open(map), { code: 'ERR_MMAP_INVALID', message: /create/ })
  Broadcast.create(map, { length: 1024 })
  map.write(Buffer.of(9), 8)
  t.throws(() => Broadcast.open(map), { code: 'ERR_MMAP_INVALID', message: /version/ })
})

test('broadcasts and receivers are not made by `new`', (t) => {
  const { map } = open(t)
  t.throws(() => new (BroadcastReceiver as any)(map, {}), { code: 'ERR_ILLEGAL_CONSTRUCTOR', message: /subscribe/ })
  t.throws(() => new (Broadcast as any)(map, {}), { code: 'ERR_ILLEGAL_CONSTRUCTOR', message: /Broadcast.create/ })
})

test('errors name the argument that is wrong', async (t) => {
  const { map } = open(t)
  const broadcast = Broadcast.create(map, { length: 1024 })
  const any = broadcast as unknown as Record<string, (...args: unknown[]) => unknown>
  const receiver = broadcast.subscribe() as unknown as Record<string, (...args: unknown[]) => unknown>
  const create = (options: unknown) => Broadcast.create(map, options as BroadcastRange)
  const subscribe = (options: unknown) => broadcast.subscribe(options as SubscribeOptions)
  for (const [run, code, message] of [
    [() => Broadcast.create({} as typeof map), 'ERR_INVALID_ARG_TYPE', /map/],
    [() => create({ loss: 1 }), 'ERR_INVALID_ARG_VALUE', /lossless/],
    [() => create({ lossless: 1 }), 'ERR_INVALID_ARG_TYPE', /lossless/],
    [() => create({ offset: -1 }), 'ERR_OUT_OF_RANGE', /offset/],
    [() => create({ offset: 8 }), 'ERR_OUT_OF_RANGE', /multiple of/],
    [() => create({ length: 447 }), 'ERR_OUT_OF_RANGE', /448/],
    [() => create({ length: 4543, lossless: true }), 'ERR_OUT_OF_RANGE', /4544/],
    [() => Broadcast.create(mapAnonymous(4096)), 'ERR_MMAP_NOT_SHARED', /shared/],
    [() => subscribe({ from: 'new' }), 'ERR_INVALID_ARG_VALUE', /from.*'now' or 'oldest'/],
    [() => subscribe({ form: 'now' }), 'ERR_INVALID_ARG_VALUE', /from/],
    [() => any['send']!(5), 'ERR_INVALID_ARG_TYPE', /data/],
    [() => broadcast.send('x'.repeat(321)), 'ERR_OUT_OF_RANGE', /data.*320/],
    [() => any['send']!('x', 'y'), 'ERR_INVALID_ARG_TYPE', /timeout/],
    [() => receiver['receive']!('y'), 'ERR_INVALID_ARG_TYPE', /timeout/],
    [() => any['sendMany']!(5), 'ERR_INVALID_ARG_TYPE', /messages/],
    [() => any['sendMany']!(['x', 5]), 'ERR_INVALID_ARG_TYPE', /data/],
    [() => broadcast.sendMany(['x', 'x'.repeat(321)]), 'ERR_OUT_OF_RANGE', /data.*320/],
    [() => receiver['receiveMany']!(0), 'ERR_OUT_OF_RANGE', /most/],
    [() => receiver['receiveMany']!('1'), 'ERR_INVALID_ARG_TYPE', /most/],
    [() => receiver['receiveMany']!(1, 'y'), 'ERR_INVALID_ARG_TYPE', /timeout/],
  ] as const) {
    t.regex(t.throws(() => void run(), { code })!.message, message)
  }
  await t.throwsAsync(async () => receiver['receiveAsync']!({ time: 1 }), { code: 'ERR_INVALID_ARG_VALUE' })
})
