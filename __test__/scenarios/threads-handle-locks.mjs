// Locks, waits and channels of two threads with one mapping: they are two owners, and what one leaves behind when it closes
// its mapping or ends, the other one gets.

import assert from 'node:assert'

import { mapAnonymous, mapShared, MemoryMap, openSharedMemory, pageSize, unlinkSharedMemory } from '../../index.js'
import { Channel, Mutex, notify, Semaphore, wait, waitAsync } from '../../sync.js'
import { makeFile, until } from '../helpers/scenario.mjs'
import { Thread } from '../helpers/thread.mjs'

const name = `memory-map-handle-${process.pid}`
const makers = {
  file: (options) => mapShared(makeFile(Buffer.alloc(4 * pageSize)), { protection: 'read-write', ...options }),
  memory: (options) => {
    const map = openSharedMemory(name, { create: true, length: 4 * pageSize, protection: 'read-write', ...options })
    unlinkSharedMemory(name)
    return map
  },
  ...(process.platform === 'win32'
    ? {}
    : { unnamed: (options) => mapAnonymous(4 * pageSize, { shared: true, ...options }) }),
}

/**
 * Ends `waiting`, a wait for a word to be other than zero. Only Linux tells whether anybody waits: elsewhere the word is
 * changed, perhaps before it is waited for.
 */
async function wake(map, byteOffset, waiting) {
  if (process.platform === 'linux') {
    await until(() => notify(map, byteOffset) === 1)
    assert.strictEqual(await waiting, 'ok')
  } else {
    map.typedArray(Int32Array, byteOffset, 1)[0] = 1
    assert.ok(['ok', 'not-equal'].includes(await waiting))
  }
}

for (const backing of ['array-buffer', 'shared-array-buffer']) {
  for (const make of Object.values(makers)) {
    const map = make({ backing })
    const thread = new Thread(map.handle)
    const mutex = new Mutex(map, 0)
    await thread.run(({ map, kept, sync }) => {
      kept.mutex = new sync.Mutex(map, 0)
    })
    const lock = () => thread.run(({ kept }) => kept.mutex.lock())
    const unlock = () => thread.run(({ kept }) => kept.mutex.unlock())

    // Two owners, each of which knows what it holds.
    assert.strictEqual(mutex.lock(), 'acquired')
    assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_DEADLOCK' })
    assert.strictEqual(await thread.run(({ kept }) => kept.mutex.tryLock()), false)
    await assert.rejects(unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
    const waits = lock()
    mutex.unlock()
    assert.strictEqual(await waits, 'acquired')
    await assert.rejects(lock(), { code: 'ERR_MMAP_DEADLOCK' })
    assert.strictEqual(mutex.tryLock(), false)
    const later = mutex.lockAsync()
    await unlock()
    assert.strictEqual(await later, 'acquired')
    mutex.unlock()

    // The counter that both add to under the lock.
    const many = 300
    const counting = thread.run(({ map, kept }, many) => {
      const counter = map.typedArray(Float64Array, 64, 1)
      for (let i = 0; i < many; i++) {
        kept.mutex.lock()
        counter[0] += 1
        kept.mutex.unlock()
      }
    }, many)
    const counter = map.typedArray(Float64Array, 64, 1)
    for (let i = 0; i < many; i++) {
      await mutex.lockAsync()
      counter[0] += 1
      mutex.unlock()
    }
    await counting
    assert.strictEqual(counter[0], 2 * many)

    // Waits on a word.
    const woken = thread.run(({ map, sync }) => sync.wait(map, 128, 0))
    await wake(map, 128, woken)
    map.typedArray(Int32Array, 128, 1)[0] = 1
    assert.strictEqual(wait(map, 128, 0), 'not-equal')
    const waiting = waitAsync(map, 128, 1)
    await thread.run(async ({ map, sync }) => {
      map.typedArray(Int32Array, 128, 1)[0] = 2
      sync.notify(map, 128)
    })
    assert.ok(['ok', 'not-equal'].includes(await waiting))

    // A semaphore.
    const semaphore = new Semaphore(map, 192, 0)
    const acquired = thread.run(({ map, sync }) => new sync.Semaphore(map, 192).acquire())
    semaphore.release()
    assert.strictEqual(await acquired, true)

    // A channel, each way.
    const channel = Channel.create(map, { offset: pageSize, length: pageSize })
    await thread.run(({ map, sync, kept }, offset) => {
      kept.channel = sync.Channel.open(map, { offset })
    }, pageSize)
    const sent = thread.run(({ kept }) => {
      for (let i = 0; i < 1000; i++) kept.channel.send(`message ${i}`)
    })
    for (let i = 0; i < 1000; i++) assert.strictEqual((await channel.receiveAsync()).toString(), `message ${i}`)
    await sent
    await assert.rejects(
      thread.run(({ kept }) => kept.channel.tryReceive()),
      { code: 'ERR_MMAP_BUSY' },
    )
    channel.close()
    channel[Symbol.dispose]()
    const sender = Channel.open(map, { offset: pageSize })
    const received = thread.run(({ kept }) => kept.channel.receive().toString())
    sender.send('back')
    assert.strictEqual(await received, 'back')

    // What a thread holds when it closes its mapping, the next one recovers; and the same when it ends.
    assert.strictEqual(await lock(), 'acquired')
    const next = mutex.lockAsync()
    await thread.run(({ map }) => map.close())
    assert.strictEqual(await next, 'recovered')
    mutex.unlock()
    await assert.rejects(lock(), { code: 'ERR_MMAP_CLOSED' })
    // It was the receiver.
    sender.send('for whom it may concern')
    assert.strictEqual(sender.receive().toString(), 'for whom it may concern')
    await thread.end()

    for (const how of /** @type {const} */ (['return', 'exit', 'terminate'])) {
      const owner = new Thread(map.handle)
      await owner.run(({ map, sync, kept }) => {
        kept.mutex = new sync.Mutex(map, 0)
        kept.mutex.lock()
        void map.buffer
      })
      assert.strictEqual(mutex.tryLock(), false)
      const taken = mutex.lockAsync()
      await owner.end(how)
      assert.strictEqual(await taken, 'recovered', how)
      mutex.unlock()
    }

    // A thread that is ended while it waits holds nothing, and takes nothing.
    mutex.lock()
    const waiter = new Thread(map.handle)
    await waiter.run(({ map, sync, kept }) => {
      kept.mutex = new sync.Mutex(map, 0)
      void kept.mutex.lockAsync()
    })
    await waiter.end()
    mutex.unlock()
    await until(() => mutex.tryLock() !== false)
    mutex.unlock()

    // Closing here ends what waits here, and nothing there.
    const last = new Thread(map.handle)
    await last.run(({ map, sync, kept }) => {
      kept.mutex = new sync.Mutex(map, 0)
      kept.mutex.lock()
      kept.waiting = sync.waitAsync(map, 256, 0)
    })
    const ended = mutex.lockAsync()
    const handle = map.handle
    map.close()
    await assert.rejects(ended, { code: 'ERR_MMAP_CLOSED' })
    assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_CLOSED' })
    const again = MemoryMap.from(handle)
    const waited = last.run(({ kept }) => kept.waiting)
    await wake(again, 256, waited)
    const held = new Mutex(again, 0)
    assert.strictEqual(held.tryLock(), false)
    await last.run(({ kept }) => kept.mutex.unlock())
    assert.strictEqual(held.lock(), 'acquired')
    again.close()
    assert.strictEqual(await last.run(({ kept }) => kept.mutex.lock()), 'recovered')
    await last.end()
  }
}

// What is not shared with other processes has no locks.
const alone = mapAnonymous(pageSize)
const other = MemoryMap.from(alone.handle)
for (const map of [alone, other]) assert.throws(() => new Mutex(map, 0), { code: 'ERR_MMAP_NOT_SHARED' })
console.log('end')
