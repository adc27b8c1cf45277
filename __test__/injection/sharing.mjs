// What processes share, as calls of which each system call is to fail; see ./operations.mjs.

import assert from 'node:assert/strict'

import { LENGTH, nothing, sync, using } from './scene.mjs'

const { Barrier, Broadcast, Channel, Condition, Event, Latest, Mutex, notify, Queue, Rpc, RwLock, Semaphore } = sync
const { wait, waitAsync } = sync

const synchronising = (kind) => /^(a shared file|named memory|shared memory)$/.test(kind)
/** The mapping zeroed, and `make(map)`. */
const fresh = (make) => (map) => {
  map.write(Buffer.alloc(LENGTH))
  return make(map)
}
const sharing = (make, run, check) => using(synchronising, fresh(make), run, check, true)
/** A call that may have stored something when it fails, and can be made again. */
const waiting = (make, run, check) => (kind) => {
  const operation = sharing(make, run, check)(kind)
  return operation && { ...operation, same: () => {} }
}
const channel = (map) => Channel.create(map)
const channels = (map) => ({ inbox: Channel.create(map), outbox: Channel.open(map) })
/** What something that waits gives, when `wake` is called in a moment. */
const woken = async (promise, wake) => {
  const called = new Promise((resolve, reject) => {
    setTimeout(() => {
      try {
        resolve(wake())
      } catch (error) {
        reject(error)
      }
    }, 1)
  })
  const results = await Promise.allSettled([promise, called])
  for (const { reason } of results) if (reason !== undefined) throw reason
  return results[0].value
}
/** What `take` gives until it gives nothing, as text. */
const rest = (take) => {
  const texts = []
  for (let message = take(); message !== undefined; message = take()) texts.push(String(message))
  return texts
}
/** Milliseconds that are not waited for, however busy the machine. */
const LONG = 30_000
const isSent = (_, sent, at) => {
  assert.ok(sent)
  assert.equal(String(at.receive(0)), 'message')
}

export const synchronisers = {
  'Channel.create': sharing(
    nothing,
    (map) => Channel.create(map),
    (_, made) => assert.ok(made.trySend('x')),
  ),
  'Channel.open': sharing(
    channel,
    (map) => Channel.open(map),
    (_, made) => assert.ok(made.trySend('x')),
  ),
  send: waiting(channel, (_, at) => at.send('message'), isSent),
  sendAsync: waiting(channel, (_, at) => at.sendAsync('message'), isSent),
  receive: waiting(
    channel,
    (_, at) => at.receive(5),
    (_, message) => assert.equal(message, undefined),
  ),
  receiveAsync: waiting(
    channels,
    (_, { inbox, outbox }) => woken(inbox.receiveAsync(LONG), () => outbox.send('late')),
    (_, message) => assert.equal(String(message), 'late'),
  ),
  'reserve, commit, borrow, release': waiting(
    channel,
    (_, at) => {
      const reserved = at.reserve(100, 0)
      reserved.fill(7)
      at.commit(reserved)
      const borrowed = at.borrow(0)
      const [first] = borrowed
      at.release(borrowed)
      return first
    },
    (_, first) => assert.equal(first, 7),
  ),
  'new Mutex': sharing(
    nothing,
    (map) => new Mutex(map, 0),
    (_, mutex) => {
      assert.equal(mutex.lock(), 'acquired')
      mutex.unlock()
    },
  ),
  'Mutex.lock, unlock': waiting(
    (map) => new Mutex(map, 0),
    (_, mutex) => {
      const how = mutex.lock()
      mutex.unlock()
      return how
    },
    (_, how) => assert.equal(how, 'acquired'),
  ),
  'Mutex.lockAsync': waiting(
    (map) => new Mutex(map, 0),
    async (_, mutex) => {
      if (mutex.tryLock() === false) throw new Error('the mutex is locked')
      const how = await woken(mutex.lockAsync(LONG), () => mutex.unlock())
      mutex.unlock()
      return how
    },
    (_, how) => assert.equal(how, 'acquired'),
  ),
  'new Barrier': sharing(
    nothing,
    (map) => new Barrier(map, 0, 1),
    (_, made) => assert.equal(made.wait(), 0),
  ),
  'Condition.wait': waiting(
    (map) => new Mutex(map, 0),
    (map, mutex) => {
      if (mutex.tryLock() === false) throw new Error('the mutex is locked')
      const how = new Condition(map, 64).wait(mutex, 5)
      mutex.unlock()
      return how
    },
    (_, how) => assert.equal(how, 'timed-out'),
  ),
  'new Event': sharing(
    nothing,
    (map) => new Event(map, 0),
    (_, made) => assert.equal(made.isSet(), false),
  ),
  'Event.wait': waiting(
    (map) => new Event(map, 0),
    (_, event) => event.wait(5),
    (_, got, event) => {
      assert.equal(got, false)
      event.set()
      assert.ok(event.wait(0))
    },
  ),
  'Event.waitAsync': waiting(
    (map) => new Event(map, 0),
    (_, event) => {
      event.clear()
      return woken(event.waitAsync(LONG), () => event.set())
    },
    (_, got) => assert.ok(got),
  ),
  'new Semaphore': sharing(
    nothing,
    (map) => new Semaphore(map, 0, 2),
    (_, made) => assert.ok(made.tryAcquire()),
  ),
  acquire: waiting(
    (map) => new Semaphore(map, 0, 0),
    (_, semaphore) => semaphore.acquire(5),
    (_, got, semaphore) => {
      assert.equal(got, false)
      semaphore.release()
      assert.ok(semaphore.acquire(0))
    },
  ),
  acquireAsync: waiting(
    (map) => new Semaphore(map, 0, 0),
    (_, semaphore) => woken(semaphore.acquireAsync(LONG), () => semaphore.release()),
    (_, got) => assert.ok(got),
  ),
  'new RwLock': sharing(
    nothing,
    (map) => new RwLock(map, 0),
    (_, lock) => {
      assert.equal(lock.lockExclusive(), 'acquired')
      lock.unlock()
    },
  ),
  'RwLock.lockExclusive, lockShared, unlock': waiting(
    (map) => new RwLock(map, 0),
    (_, lock) => {
      const alone = lock.lockExclusive()
      lock.unlock()
      const together = lock.lockShared()
      lock.unlock()
      return [alone, together]
    },
    (_, how) => assert.deepEqual(how, ['acquired', 'acquired']),
  ),
  ...Object.fromEntries(
    ['lockSharedAsync', 'lockExclusiveAsync'].map((method) => [
      `RwLock.${method}`,
      waiting(
        (map) => new RwLock(map, 0),
        async (_, lock) => {
          if (lock.tryLockExclusive() === false) throw new Error('it is locked')
          const how = await woken(lock[method](LONG), () => lock.unlock())
          lock.unlock()
          return how
        },
        (_, how) => assert.equal(how, 'acquired'),
      ),
    ]),
  ),
  'Queue.create': sharing(
    nothing,
    (map) => Queue.create(map),
    (_, made) => assert.ok(made.trySend('x')),
  ),
  'Queue.open': sharing(
    (map) => Queue.create(map),
    (map) => Queue.open(map),
    (_, made) => assert.ok(made.trySend('x')),
  ),
  'Queue.send, receive, requeue, release': waiting(
    (map) => Queue.create(map),
    (_, queue) => {
      queue.send('job')
      queue.receive(LONG).requeue()
      const again = queue.receive(LONG)
      again.release()
      return again
    },
    (_, { data, deliveries }) => assert.deepEqual([String(data), deliveries > 1], ['job', true]),
  ),
  'Queue.sendMany, receiveMany': waiting(
    (map) => Queue.create(map),
    (_, queue) => {
      const sent = queue.sendMany(['one', 'two', 'three'])
      for (const message of queue.receiveMany(10)) message.release()
      return sent
    },
    (_, sent, queue) => {
      assert.equal(sent, 3)
      assert.deepEqual(
        rest(() => queue.tryReceive()?.data),
        [],
      )
    },
  ),
  'Queue.sendAsync': waiting(
    (map) => Queue.create(map),
    (_, queue) => queue.sendAsync('job'),
    (_, sent, queue) => {
      assert.ok(sent)
      assert.equal(String(queue.receive(0)?.data), 'job')
    },
  ),
  'Queue.receiveAsync': waiting(
    (map) => ({ inbox: Queue.create(map), outbox: Queue.open(map) }),
    (_, { inbox, outbox }) => woken(inbox.receiveAsync(LONG), () => outbox.send('late')),
    (_, message) => assert.equal(String(message.data), 'late'),
  ),
  ...Object.fromEntries(
    [false, true].flatMap((lossless) => {
      const options = { lossless }
      const what = lossless ? 'lossless Broadcast' : 'Broadcast'
      const both = (map) => {
        const broadcast = Broadcast.create(map, options)
        return { broadcast, receiver: broadcast.subscribe() }
      }
      return Object.entries({
        create: sharing(
          nothing,
          (map) => Broadcast.create(map, options),
          (_, made) => assert.equal(made.lossless, lossless),
        ),
        subscribe: waiting(
          (map) => Broadcast.create(map, options),
          (_, broadcast) => broadcast.subscribe(),
          (_, receiver, broadcast) => {
            assert.ok(broadcast.trySend('news'))
            assert.equal(String(receiver.tryReceive()), 'news')
          },
        ),
        'send, receive': waiting(
          both,
          (_, { broadcast, receiver }) => {
            broadcast.send('news')
            return receiver.receive(LONG)
          },
          (_, message) => assert.equal(String(message), 'news'),
        ),
        'sendMany, receiveMany': waiting(
          both,
          (_, { broadcast, receiver }) => {
            const sent = broadcast.sendMany(['one', 'two', 'three'])
            return [sent, receiver.receiveMany(10).slice(-3).map(String)]
          },
          (_, result, { receiver }) => {
            assert.deepEqual(result, [3, ['one', 'two', 'three']])
            assert.equal(receiver.lost, 0)
          },
        ),
        sendAsync: waiting(
          both,
          (_, { broadcast }) => broadcast.sendAsync('news'),
          (_, sent, { receiver }) => {
            assert.ok(sent)
            assert.equal(rest(() => receiver.tryReceive()).at(-1), 'news')
          },
        ),
        receiveAsync: waiting(
          both,
          (_, { broadcast, receiver }) => woken(receiver.receiveAsync(LONG), () => broadcast.send('late')),
          (_, message) => assert.equal(String(message), 'late'),
        ),
      }).map(([name, operation]) => [`${what}, ${name}`, operation])
    }),
  ),
  'new Latest, write, read': waiting(
    nothing,
    (map) => {
      const latest = new Latest(map)
      latest.write('newest')
      return latest.read()
    },
    (_, value) => assert.equal(String(value), 'newest'),
  ),
  'Latest.waitAsync': waiting(
    (map) => new Latest(map),
    (_, latest) => woken(latest.waitAsync(latest.version, LONG), () => latest.write('newest')),
    (_, got, latest) => assert.deepEqual([got, String(latest.read())], [true, 'newest']),
  ),
  'Rpc.create': waiting(
    nothing,
    (map) => Rpc.create(map, { clients: 2 }),
    (map) => assert.equal(Rpc.open(map).clients, 2),
  ),
  'Rpc.serve, call': waiting(
    (map) => Rpc.create(map, { clients: 2 }),
    async (_, rpc) => {
      const stop = new AbortController()
      const serving = rpc.serve((request) => `${request}!`, { signal: stop.signal })
      const called = rpc.call('hello', LONG)
      // Where serving fails, that says why there is no reply.
      const results = await Promise.allSettled([
        Promise.race([called, serving]),
        called.finally(() => stop.abort()),
        serving,
      ])
      for (const { reason } of results) if (reason !== undefined) throw reason
      return results[0].value
    },
    (_, reply) => assert.equal(String(reply), 'hello!'),
  ),
  wait: waiting(
    nothing,
    (map) => wait(map, 8, 0, 5),
    (_, result) => assert.match(result, /^(timed-out|not-equal)$/),
  ),
  'waitAsync, notify': waiting(
    nothing,
    (map) => {
      map.write(Buffer.from([0]), 8)
      return woken(waitAsync(map, 8, 0, LONG), () => {
        map.write(Buffer.from([1]), 8)
        return notify(map, 8)
      })
    },
    (_, result) => assert.match(result, /^(ok|not-equal)$/),
  ),
}
