// Queues: work for several processes. Each message goes to one of them.

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared } from 'memory-map'
import { Channel, Queue, QueueMessage } from 'memory-map/sync'

import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS, turns, until } from './helpers/until.ts'

function make(t: ExecutionContext, length = 64 * 1024) {
  const file = sparseFile(t, length)
  const map = sharedMap(t, file)
  return { file, map, queue: Queue.create(map) }
}

function reopen(t: ExecutionContext, file: string): Queue {
  return Queue.open(sharedMap(t, file))
}

/** A second process with the same queue. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, 'queue = sync.Queue.open(map)', runtime)
}

const text = (message: QueueMessage | undefined): string | undefined => message?.data.toString()

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: two receivers share the messages, and each goes to one of them`, async (t) => {
    const { file, queue } = make(t)
    const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
    const count = 500
    const working = peers.map((peer) =>
      peer.run(`(async () => {
        const seen = []
        for await (const message of queue) {
          if (message.data.length === 0) break // and it is requeued: for the other one
          seen.push(message.data.readUInt32LE())
        }
        return seen
      })()`),
    )
    for (let i = 0; i < count; i++) {
      const data = Buffer.alloc(4 + ((i * 37) % 3000))
      data.writeUInt32LE(i)
      await queue.sendAsync(data)
    }
    await queue.sendAsync('')
    const seen = (await Promise.all(working)) as number[][]
    for (const one of seen)
      t.deepEqual(
        one,
        [...one].sort((a, b) => a - b),
      )
    t.deepEqual(
      seen.flat().sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    )
    t.deepEqual(queue.pending, { messages: 1, bytes: 0, delivered: 0 })
    for (const peer of peers) t.is((await peer.end()).code, 0)
  })

  test(`${name}: the messages of a receiver that is killed go to another, with how often they were delivered`, async (t) => {
    const { file, queue } = make(t)
    const peer = await peerOf(t, file, runtime)
    queue.sendMany(['one', 'two', 'three'])
    t.is(await peer.run('first = queue.receive(), second = queue.receive(), first.data.toString()'), 'one')
    t.is(await peer.run('second.release(), second.data.toString()'), 'two')
    t.deepEqual(queue.pending, { messages: 1, bytes: 5, delivered: 1 })
    const three = queue.receive()!
    t.deepEqual([text(three), three.deliveries], ['three', 1])
    const waiting = queue.receiveAsync()
    await turns()
    await peer.kill()
    const again = (await waiting)!
    t.deepEqual([text(again), again.deliveries], ['one', 2])
    again.release()
    three.release()
    t.deepEqual(queue.pending, { messages: 0, bytes: 0, delivered: 0 })
  })

  test(`${name}: a receiver that reads the words itself gets the messages of one that is killed`, async (t) => {
    const { file, queue } = make(t)
    const peer = await peerOf(t, file, runtime)
    for (let i = 0; i < 40; i++) {
      t.is(await queue.receiveAsync(0), undefined) // so often that it makes views of the words
      queue.send(`${i}`)
      const message = (await queue.receiveAsync())!
      t.is(text(message), `${i}`)
      message.release()
    }
    queue.send('one')
    t.is(await peer.run('queue.receive().data.toString()'), 'one')
    const waiting = queue.receiveAsync()
    await turns()
    await peer.kill()
    const again = (await waiting)!
    t.deepEqual([text(again), again.deliveries], ['one', 2])
  })

  test(`${name}: a receiver that waits gets what another requeues, and what is sent`, async (t) => {
    const { file, queue } = make(t)
    const peer = await peerOf(t, file, runtime)
    queue.send('poison')
    const message = queue.receive()!
    const receiving = peer.run(`queue.receive().deliveries`)
    await turns()
    message.requeue()
    t.is(await receiving, 2)
    const other = peer.run(`queue.receiveAsync().then((message) => message.data.toString())`)
    await turns()
    queue.send('sent')
    t.is(await other, 'sent')
    // A process that ends requeues what it has.
    t.is((await peer.end()).code, 0)
    const back = [queue.receive(HANG_MS), queue.receive(HANG_MS)]
    t.deepEqual(back.map(text).sort(), ['poison', 'sent'])
    t.deepEqual(back.map((one) => one!.deliveries).sort(), [2, 3])
  })
}

test('messages are released and requeued by hand, by a loop, and by `using`', async (t) => {
  const { queue } = make(t)
  t.is(queue.tryReceive(), undefined)
  t.is(queue.receive(1), undefined)
  queue.sendMany(['one', 'two', 'three'])
  const first = queue.receive()!
  first.release()
  t.throws(() => first.release(), { code: 'ERR_MMAP_NOT_OWNER' })
  t.throws(() => first.requeue(), { code: 'ERR_MMAP_NOT_OWNER' })
  for await (const message of queue) {
    t.is(text(message), 'two')
    break
  }
  await t.throwsAsync(
    (async () => {
      for await (const message of queue) throw new Error(`${text(message)} ${message.deliveries}`)
    })(),
    { message: 'two 2' },
  )
  const seen: string[] = []
  for await (const message of queue) {
    seen.push(`${text(message)} ${message.deliveries}`)
    if (text(message) === 'three') {
      message.release()
      break
    }
  }
  t.deepEqual(seen, ['two 3', 'three 1'])
  t.deepEqual(queue.pending, { messages: 0, bytes: 0, delivered: 0 })
  queue.send('last')
  queue.receive()![Symbol.dispose]()
  t.is(queue.pending.messages, 1)
  t.is(JSON.stringify(queue.receive()), '{"length":4,"deliveries":2}')
})

test('messages of a batch are released or requeued one by one', (t) => {
  const { map, file, queue } = make(t)
  const other = reopen(t, file)
  t.deepEqual(queue.receiveMany(5, 1), [])
  const sent = Array.from({ length: 50 }, (_, i) => `${i} ${'x'.repeat((i * 7) % 60)}`)
  queue.sendMany(sent)
  const given = queue.receiveMany(10)
  t.deepEqual(given.map(text), sent.slice(0, 10))
  t.deepEqual(other.receiveMany(30).map(text), sent.slice(10, 40))
  t.deepEqual(queue.pending.delivered, 40)
  given[3]!.requeue()
  given[5]!.requeue()
  for (const index of [0, 1, 2, 4, 6, 7, 8]) given[index]!.release()
  const again = queue.receiveMany(5)
  t.deepEqual(
    again.map(({ data, deliveries }) => [`${data}`, deliveries]),
    [[sent[3], 2], [sent[5], 2], ...sent.slice(40, 43).map((text) => [text, 1])],
  )
  const bytes = Buffer.concat(again.map(({ data }) => data))
  map.buffer.fill(0, 512) // they are copies
  t.deepEqual(Buffer.concat(again.map(({ data }) => data)), bytes)
  t.throws(() => queue.receiveMany(0), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => queue.receiveMany('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => queue.receiveMany(1, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('when the memory of a short message is transferred, the next ones come in other memory; a long one has its own', (t) => {
  const { queue } = make(t)
  const sent = Array.from({ length: 20 }, (_, i) => `${i} ${'x'.repeat(1000)}`)
  queue.sendMany(sent)
  for (const expected of sent.slice(0, 10)) {
    const message = queue.receive()!
    t.is(text(message), expected)
    structuredClone(0, { transfer: [message.data.buffer as ArrayBuffer] })
    t.is(message.data.length, 0)
    message.release()
  }
  t.deepEqual(queue.receiveMany(20).map(text), sent.slice(10))
  t.is(queue.pending.delivered, 10)
  queue.sendMany(['short', Buffer.alloc(5000, 1), 'too'])
  const [short, long, too] = [queue.receive()!, queue.receive()!, queue.receive()!]
  t.is(long.data.buffer.byteLength, 5000)
  structuredClone(0, { transfer: [long.data.buffer as ArrayBuffer] })
  t.deepEqual([text(short), text(long), text(too)], ['short', '', 'too'])
})

test('a message for which there is no room beside others is whole, however often it comes', (t) => {
  const { queue } = make(t, 512 * 1024)
  const lengths = [3, 60_000, 5000, 0, 100_000, 7, 8]
  queue.sendMany(lengths.map((length, i) => Buffer.alloc(length, i + 1)))
  for (const deliveries of [1, 2]) {
    const given = queue.receiveMany(100)
    for (const [i, message] of given.entries()) {
      t.true(message.data.equals(Buffer.alloc(lengths[i]!, i + 1)), `${lengths[i]}`)
      t.is(message.deliveries, deliveries)
      message.requeue()
    }
    t.is(given.length, lengths.length)
  }
  for (const [i, length] of lengths.entries()) {
    const message = queue.receive()!
    t.true(message.data.equals(Buffer.alloc(length, i + 1)), `${length}`)
    t.is(message.deliveries, 3)
    message.release()
  }
})

test('a message that cannot be handed out is given up, and those that came with it', (t) => {
  const { queue } = make(t, 512 * 1024)
  const key = Object.getOwnPropertySymbols(process).find(({ description }) => /^memory-map@[\d.]+$/.test(description!))!
  const { native } = (process as never as Record<symbol, { native: { queueRead: unknown } }>)[key]!
  const { queueRead } = native
  const failing = (call: () => unknown) => {
    native.queueRead = () => {
      throw new Error('no memory')
    }
    try {
      t.throws(call, { message: 'no memory' })
    } finally {
      native.queueRead = queueRead
    }
  }
  const long = Buffer.alloc(5000, 1)
  queue.send(long)
  failing(() => queue.tryReceive())
  failing(() => queue.tryReceive()) // now of one that was delivered before
  const again = queue.tryReceive()!
  t.true(again.data.equals(long))
  t.is(again.deliveries, 3)
  again.release()
  queue.sendMany(['short', Buffer.alloc(30_000, 2), Buffer.alloc(40_000, 3), 'other'])
  queue.receiveMany(3).forEach((message) => message.requeue())
  failing(() => queue.receiveMany(9))
  t.is(queue.pending.delivered, 0)
  t.deepEqual(
    queue.receiveMany(9, 0).map(({ data, deliveries }) => [data.length, deliveries]),
    [
      [5, 3],
      [30_000, 3],
      [40_000, 3],
      [5, 2],
    ],
  )
})

test('a message cannot be settled once its mapping is closed, however often one tries', (t) => {
  const { map, queue } = make(t)
  queue.send('job')
  const message = queue.receive()!
  map.close()
  for (const settle of [() => message.release(), () => message.release(), () => message.requeue()]) {
    t.throws(settle, { code: 'ERR_MMAP_CLOSED' })
  }
})

test('close requeues the messages of a batch that were not released, in their order', async (t) => {
  const { file, queue } = make(t)
  const other = reopen(t, file)
  const sent = Array.from({ length: 300 }, (_, i) => `${i}`)
  queue.sendMany(sent)
  const given = [...queue.receiveMany(100), ...queue.receiveMany(100)]
  t.is(given.length, 200)
  for (const message of given.slice(0, 50)) message.release()
  queue.close()
  t.throws(() => queue.receiveMany(1), { code: 'ERR_MMAP_CLOSED' })
  const rest = other.receiveMany(1000)
  t.deepEqual(rest.map(text), sent.slice(50))
  t.deepEqual([rest[0]!.deliveries, rest.at(-1)!.deliveries], [2, 1])
  const waiting = other.receiveAsync()
  t.throws(() => other.receiveMany(5), { code: 'ERR_MMAP_BUSY' })
  other.send('later')
  t.is(text(await waiting), 'later')
})

test('a batch has up to a megabyte, or one longer message', (t) => {
  const { queue } = make(t, 8 * 2 ** 20)
  for (const length of [600_000, 300_000, 300_000, 3_000_000]) queue.send(Buffer.alloc(length, length % 251))
  const lengths: number[][] = []
  for (let given = queue.receiveMany(10, 0); given.length > 0; given = queue.receiveMany(10, 0)) {
    for (const { data } of given) t.true(data.equals(Buffer.alloc(data.length, data.length % 251)))
    lengths.push(given.map(({ data }) => data.length))
  }
  t.deepEqual(lengths, [[600_000, 300_000], [300_000], [3_000_000]])
})

for (const runtime of runtimes()) {
  test(`${runtime.name} ${runtime.version}: the batch of a receiver that is killed goes to another`, async (t) => {
    const { file, queue } = make(t)
    const peer = await peerOf(t, file, runtime)
    const sent = Array.from({ length: 20 }, (_, i) => `${i}`)
    queue.sendMany(sent)
    t.is(await peer.run('given = queue.receiveMany(20), given[0].release(), given[7].release(), given.length'), 20)
    await peer.kill()
    const again: QueueMessage[] = []
    while (again.length < 18) again.push(...queue.receiveMany(18, HANG_MS))
    t.deepEqual(
      again.map(text),
      sent.filter((_, i) => i !== 0 && i !== 7),
    )
    t.true(again.every(({ deliveries }) => deliveries === 2))
  })
}

test('requeued messages come before those that were never delivered, in their order', (t) => {
  const { queue } = make(t)
  queue.sendMany(['1', '2', '3', '4', '5'])
  const [one, two, three] = [queue.receive()!, queue.receive()!, queue.receive()!]
  three.requeue()
  one.requeue()
  t.deepEqual(
    [1, 2, 3, 4].map(() => text(queue.receive(0))),
    ['1', '3', '4', '5'],
  )
  two.release()
})

test('messages of every size arrive, while the ring wraps around', (t) => {
  const { file, queue } = make(t, 8192)
  const other = reopen(t, file)
  for (let length = 0; length <= queue.maxLength; length += length < 100 ? 1 : 97) {
    t.true(queue.trySend(Buffer.alloc(length, length)))
    const message = other.tryReceive()!
    if (!message.data.equals(Buffer.alloc(length, length))) t.fail(`${length}`)
    message.release()
  }
  t.throws(() => queue.send(Buffer.alloc(queue.maxLength + 1)), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => queue.send(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a full queue holds senders back until messages are released', async (t) => {
  const { queue } = make(t, 2048)
  let sent = 0
  while (queue.trySend(`${sent}`)) sent++
  t.false(queue.send('late', 10))
  t.is(queue.sendMany(['late'], 10), 0)
  const sending = queue.sendAsync('waits')
  t.throws(() => queue.send('early'), { code: 'ERR_MMAP_BUSY' })
  const kept = queue.receive()!
  for (let i = 1; i < sent; i++) queue.receive()!.release()
  await turns()
  t.is(queue.pending.messages, 0, 'the first one keeps the room of the others')
  kept.release()
  t.true(await sending)
  t.is(text(queue.receive()), 'waits')
})

test('receiveAsync takes nothing if it rejects; close ends it and requeues messages', async (t) => {
  const { file, queue } = make(t)
  const other = reopen(t, file)
  t.is(await queue.receiveAsync(10), undefined)
  await t.throwsAsync(queue.receiveAsync({ signal: AbortSignal.timeout(10) }), { name: 'AbortError' })
  const waiting = queue.receiveAsync()
  t.is(queue.tryReceive(), undefined)
  t.throws(() => queue.receive(), { code: 'ERR_MMAP_BUSY' })
  other.sendMany(['one', 'two'])
  const [one, two] = [(await waiting)!, queue.receive()!]
  const pending = queue.receiveAsync()
  queue.close()
  queue.close()
  await t.throwsAsync(pending, { code: 'ERR_MMAP_CLOSED', message: 'The queue is closed' })
  t.deepEqual([text(other.receive(0)), text(other.receive(0))], ['one', 'two'])
  for (const message of [one, two]) t.throws(() => message.release(), { code: 'ERR_MMAP_CLOSED' })
  one[Symbol.dispose]()
  for (const call of [() => queue.send('x'), () => queue.receive(), () => queue.pending, () => queue.sendMany([])]) {
    t.throws(call, { code: 'ERR_MMAP_CLOSED' })
  }
  for await (const message of queue) t.fail(`${text(message)} of a closed queue`)
  t.true(queue.closed)
})

test('closing or moving a mapping ends a pending receiveAsync', async (t) => {
  const { map, queue, file } = make(t)
  const other = reopen(t, file)
  queue.send('one')
  const message = queue.receive()!
  const waiting = queue.receiveAsync()
  await turns()
  growUntilMoved(map)
  await t.throwsAsync(waiting, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  message.requeue()
  t.is(queue.receive()!.deliveries, 2)
  const again = queue.receiveAsync()
  await turns()
  map.close()
  await t.throwsAsync(again, { code: 'ERR_MMAP_CLOSED' })
  t.is(text(other.receive(HANG_MS)), 'one')
})

test('openOrCreate opens a queue that is there, and a queue is not a channel', (t) => {
  const { map, queue } = make(t)
  queue.send('kept')
  t.is(text(Queue.openOrCreate(map).receive()), 'kept')
  t.throws(() => Channel.open(map), { code: 'ERR_MMAP_INVALID' })
  t.throws(() => Channel.openOrCreate(map), { code: 'ERR_MMAP_INVALID' })
})

test('openAsync waits until the queue is made', async (t) => {
  const fresh = sharedMap(t, sparseFile(t, 8192))
  const waiting = Queue.openAsync(fresh)
  await turns()
  Queue.openOrCreate(fresh).send('first')
  t.is(text((await waiting).receive()), 'first')
})

test('wrong arguments, and memory with something else, are refused', (t) => {
  const { map, queue } = make(t)
  t.throws(() => reopen(t, sparseFile(t, 100)), { code: 'ERR_MMAP_INVALID' })
  t.throws(() => Queue.create(map, { length: 100 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Queue.create(map, { lenght: 100 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => Queue.create(mapAnonymous(8192)), { code: 'ERR_MMAP_NOT_SHARED' })
  t.throws(() => new (Queue as never as new () => Queue)(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
  t.throws(() => new (QueueMessage as never as new () => QueueMessage)(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
  map.buffer.fill('text')
  t.throws(() => queue.receive(0), { code: 'ERR_MMAP_INVALID' })
  t.throws(() => reopen(t, scratchFile(t, Buffer.alloc(8192, 7))), { code: 'ERR_MMAP_INVALID' })
})

test('a receiver that waits gets the messages of a mapping that was closed', async (t) => {
  const { file, queue } = make(t)
  const map = mapShared(file, { protection: 'read-write' })
  queue.send('held')
  Queue.open(map).receive()
  const waiting = queue.receiveAsync()
  await turns()
  map.close()
  t.is((await waiting)!.deliveries, 2)
  await until(() => queue.pending.delivered === 1)
})
