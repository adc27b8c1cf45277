// What calls say of a channel, a queue or a receiver that was closed while another call is pending.

import test from 'ava'
import { type MemoryMap, mapShared } from 'memory-map'
import { Broadcast, Channel, Queue } from 'memory-map/sync'

import { sparseFile } from './helpers/scratch.ts'

type Closable = { close(): void }
type Opened = { one: Closable; pending: () => Promise<unknown>; calls: Record<string, () => unknown> }

type Receives = {
  receive(timeout: number): unknown
  tryReceive(): unknown
  receiveMany(most: number, timeout: number): unknown
}

const receives = (from: Receives) => ({
  receive: () => from.receive(0),
  tryReceive: () => from.tryReceive(),
  receiveMany: () => from.receiveMany(1, 0),
})

const borrows = (from: { borrow(timeout: number): unknown; tryBorrow(): unknown }) => ({
  borrow: () => from.borrow(0),
  tryBorrow: () => from.tryBorrow(),
})

const openers: [what: string, open: (map: MemoryMap) => Opened][] = [
  [
    'a channel that somebody receives from',
    (map) => {
      const channel = Channel.create(map)
      const target = new Uint8Array(10)
      return {
        one: channel,
        pending: () => channel.receiveAsync(),
        calls: {
          ...receives(channel),
          ...borrows(channel),
          receiveInto: () => channel.receiveInto(target, 0),
          tryReceiveInto: () => channel.tryReceiveInto(target),
        },
      }
    },
  ],
  [
    'a channel that somebody sends to',
    (map) => {
      const channel = Channel.create(map)
      while (channel.trySend(new Uint8Array(100)));
      return {
        one: channel,
        pending: () => channel.sendAsync(new Uint8Array(100)),
        calls: {
          send: () => channel.send('', 0),
          trySend: () => channel.trySend(''),
          sendMany: () => channel.sendMany([''], 0),
          reserve: () => channel.reserve(1, 0),
          tryReserve: () => channel.tryReserve(1),
        },
      }
    },
  ],
  [
    'a queue',
    (map) => {
      const queue = Queue.create(map)
      return { one: queue, pending: () => queue.receiveAsync(), calls: receives(queue) }
    },
  ],
  [
    'a receiver of a broadcast',
    (map) => {
      const receiver = Broadcast.create(map).subscribe()
      const calls = { ...receives(receiver), ...borrows(receiver) }
      return { one: receiver, pending: () => receiver.receiveAsync(), calls }
    },
  ],
]

for (const [what, open] of openers) {
  for (const closed of ['', 'the mapping of ']) {
    test(`each call says that ${closed}${what} is closed, also while the pending call has not ended`, async (t) => {
      using map = mapShared(sparseFile(t, 8192), { protection: 'read-write' })
      const { one, pending, calls } = open(map)
      const call = t.throwsAsync(pending(), { code: 'ERR_MMAP_CLOSED' })
      ;(closed ? map : one).close()
      for (const [name, run] of Object.entries(calls)) t.throws(run, { code: 'ERR_MMAP_CLOSED' }, name)
      await call
    })
  }
}
