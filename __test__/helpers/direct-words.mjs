// Mutexes, semaphores and channels whose words JavaScript changes itself, in one process, on one runtime.

import assert from 'node:assert'
import { truncateSync, writeFileSync } from 'node:fs'

const { mapShared, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const { Channel, Event, Latest, Mutex, Semaphore } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')

// How often the native library is called.
const key = Object.getOwnPropertySymbols(process).find(({ description }) => description === 'memory-map@0.1.0')
const { native } = process[key]
const calls = { count: 0 }
for (const name of [
  'mutexLock',
  'mutexTryLock',
  'mutexUnlock',
  'channelReceive',
  'channelReceiveAhead',
  'eventIsSet',
]) {
  const call = native[name]
  native[name] = (...rest) => (calls.count++, call(...rest))
}

/** Calls until a call is made without the native library. */
function warmUp(run) {
  for (let i = 0; i < 1000; i++) {
    const before = calls.count
    run()
    if (calls.count === before) return
  }
  assert.fail('the native library is called each time')
}

const cycle = (mutex) => () => {
  assert.strictEqual(mutex.lock(), 'acquired')
  mutex.unlock()
}

let next = 0
function open(length = 2 * pageSize, options = {}) {
  const file = `words-${next++}`
  writeFileSync(file, Buffer.alloc(length))
  return { file, map: mapShared(file, { protection: 'read-write', ...options, onFault() {} }) }
}

// Windows does not let a mapped file be truncated.
const truncates = process.platform !== 'win32'

const tests = {
  'a lock that nobody wants'() {
    const { file, map } = open()
    const other = new Mutex(mapShared(file, { protection: 'read-write' }), 8)
    const mutex = new Mutex(map, 8)
    warmUp(cycle(mutex))
    assert.strictEqual(mutex.lock(), 'acquired')
    assert.strictEqual(other.tryLock(), false)
    assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_DEADLOCK' })
    assert.strictEqual(mutex.tryLock(), false)
    mutex.unlock()
    assert.throws(() => mutex.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
    assert.strictEqual(other.tryLock(), 'acquired')
    assert.strictEqual(mutex.tryLock(), false)
    assert.throws(() => mutex.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
    other.unlock()
    cycle(mutex)()
    assert.strictEqual(mutex.lock(), 'acquired')
    map.close()
    assert.strictEqual(other.lock(), 'recovered')
    assert.throws(() => mutex.unlock(), { code: 'ERR_MMAP_CLOSED' })
    assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_CLOSED' })
  },

  'a lock in a page that is gone'() {
    if (!truncates) return
    const { file, map } = open()
    const mutex = new Mutex(map, pageSize)
    warmUp(cycle(mutex))
    for (const again of [false, true]) {
      truncateSync(file, pageSize)
      assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_FAULT' })
      assert.throws(() => mutex.tryLock(), { code: 'ERR_MMAP_FAULT' })
      assert.throws(() => mutex.unlock(), { code: 'ERR_MMAP_FAULT' })
      truncateSync(file, 2 * pageSize)
      if (again) cycle(mutex)()
      const other = new Mutex(mapShared(file, { protection: 'read-write' }), pageSize)
      assert.strictEqual(mutex.lock(), 'acquired')
      assert.strictEqual(other.tryLock(), false)
      mutex.unlock()
      assert.strictEqual(other.tryLock(), 'acquired')
      other.unlock()
      warmUp(cycle(mutex))
    }
  },

  'a lock beside a page that is gone'() {
    if (!truncates) return
    const { file, map } = open()
    const mutex = new Mutex(map, 8)
    const view = map.buffer
    warmUp(cycle(mutex))
    truncateSync(file, pageSize)
    for (let i = 0; i < 100; i++) {
      assert.strictEqual(mutex.lock(), 'acquired')
      assert.strictEqual(view[pageSize], 0)
      mutex.unlock()
    }
    assert.strictEqual(map.faults > 0, true)
    warmUp(cycle(mutex))
  },

  'a lock whose mapping moves, while views stay'() {
    for (const backing of ['array-buffer', 'shared-array-buffer']) {
      const { file, map } = open(2 * pageSize, { backing })
      const other = new Mutex(mapShared(file, { protection: 'read-write' }), 8)
      const mutex = new Mutex(map, 8)
      warmUp(cycle(mutex))
      for (const length of [300 * pageSize, 3 * pageSize, 5000 * pageSize]) {
        mutex.lock()
        map.resize(length)
        assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_DEADLOCK' })
        assert.strictEqual(other.tryLock(), false)
        mutex.unlock()
        assert.strictEqual(other.tryLock(), 'acquired')
        assert.strictEqual(mutex.tryLock(), false)
        other.unlock()
        warmUp(cycle(mutex))
      }
      map.close()
      assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_CLOSED' })
    }
  },

  'a lock whose view was transferred away'() {
    if (!ArrayBuffer.prototype.transfer) return
    const { file, map } = open()
    const other = new Mutex(mapShared(file, { protection: 'read-write' }), 8)
    const mutex = new Mutex(map, 8)
    warmUp(cycle(mutex))
    const kept = map.arrayBuffer.transfer()
    assert.strictEqual(mutex.lock(), 'acquired')
    assert.strictEqual(other.tryLock(), false)
    mutex.unlock()
    warmUp(cycle(mutex))
    assert.strictEqual(kept.byteLength, 2 * pageSize)
  },

  'a lock without the guard'() {
    const { file, map } = open(2 * pageSize, { guard: false })
    const mutex = new Mutex(map, pageSize)
    for (let i = 0; i < 100; i++) cycle(mutex)()
    if (!truncates) return
    truncateSync(file, pageSize)
    assert.throws(() => mutex.lock(), { code: 'ERR_MMAP_FAULT' })
  },

  'an event whose view was transferred away, or whose page is gone'() {
    const { file, map } = open()
    const event = new Event(map, pageSize)
    const other = new Event(mapShared(file, { protection: 'read-write' }), pageSize)
    const look = () => assert.strictEqual(event.isSet(), other.isSet())
    warmUp(() => event.isSet())
    const both = () => [() => other.set(), () => other.clear()].forEach((change) => (change(), look()))
    both()
    if (ArrayBuffer.prototype.transfer) {
      const kept = map.arrayBuffer.transfer()
      both()
      warmUp(() => event.isSet())
      both()
      assert.strictEqual(kept.byteLength, 2 * pageSize)
    }
    if (!truncates) return
    truncateSync(file, pageSize)
    for (let i = 0; i < 3; i++) assert.throws(() => event.isSet(), { code: 'ERR_MMAP_FAULT' })
  },

  'messages that were copied, after their view was transferred away'() {
    if (!ArrayBuffer.prototype.transfer) return
    const { map } = open(4 * pageSize)
    const channel = Channel.create(map)
    const rounds = () => {
      for (let i = 0; ; i++) {
        const before = calls.count
        channel.sendMany(Array(20).fill('a'))
        for (let j = 0; j < 20; j++) assert.strictEqual(String(channel.receive(0)), 'a')
        if (calls.count === before + 1) return
        assert.strictEqual(i < 50, true)
      }
    }
    rounds()
    const kept = map.arrayBuffer.transfer()
    rounds()
    assert.strictEqual(kept.byteLength, 4 * pageSize)
  },

  permits() {
    const { file, map } = open()
    const semaphore = new Semaphore(map, pageSize)
    const other = new Semaphore(mapShared(file, { protection: 'read-write' }), pageSize)
    assert.strictEqual(semaphore.tryAcquire(), false)
    semaphore.release(3)
    for (let i = 0; i < 100; i++) {
      assert.strictEqual(semaphore.tryAcquire(), true)
      assert.strictEqual(other.acquire(), true)
      assert.strictEqual(semaphore.acquire(), true)
      assert.strictEqual(semaphore.tryAcquire(), false)
      assert.strictEqual(other.tryAcquire(), false)
      semaphore.release(2)
      other.release()
    }
    semaphore.release(2 ** 31 - 1 - 3)
    assert.throws(() => semaphore.release(), { code: 'ERR_OUT_OF_RANGE' })
    assert.strictEqual(semaphore.tryAcquire(), true)
    if (!truncates) return
    truncateSync(file, pageSize)
    for (let i = 0; i < 3; i++) {
      assert.throws(() => semaphore.release(), { code: 'ERR_MMAP_FAULT' })
      assert.throws(() => semaphore.tryAcquire(), { code: 'ERR_MMAP_FAULT' })
      assert.throws(() => semaphore.acquire(), { code: 'ERR_MMAP_FAULT' })
    }
  },

  'permits of a semaphore that was never given any'() {
    const semaphore = new Semaphore(open().map, 0)
    for (let i = 0; i < 100; i++) assert.strictEqual(semaphore.tryAcquire(), false)
    semaphore.release()
    assert.strictEqual(semaphore.tryAcquire(), true)
    assert.strictEqual(semaphore.tryAcquire(), false)
  },

  'a channel with nothing in it'() {
    const { file, map } = open(4 * pageSize)
    const channel = Channel.create(map)
    const sender = Channel.open(mapShared(file, { protection: 'read-write' }))
    const nothing = () => assert.strictEqual(channel.tryReceive(), undefined)
    warmUp(nothing)
    sender.send('a')
    assert.strictEqual(String(channel.tryReceive()), 'a')
    warmUp(nothing)
    assert.throws(() => sender.tryReceive(), { code: 'ERR_MMAP_BUSY' })
    sender.send('b')
    assert.strictEqual(String(channel.borrow()), 'b')
    assert.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_BUSY' })
    Channel.create(map)
    sender.send('c')
    assert.strictEqual(String(sender.tryReceive()), 'c')
    assert.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_BUSY' })
    if (!truncates) return
    truncateSync(file, 0)
    assert.throws(() => sender.tryReceive(), { code: 'ERR_MMAP_FAULT' })
    assert.throws(() => sender.tryReceive(), { code: 'ERR_MMAP_FAULT' })
  },

  'messages that come one by one, and then together'() {
    const { map } = open(4 * pageSize)
    const channel = Channel.create(map)
    const { channelReceiveAhead } = native
    let several = 0
    native.channelReceiveAhead = (...rest) => (several++, channelReceiveAhead(...rest))
    const exchange = (...texts) => {
      const before = [several, calls.count]
      channel.sendMany(texts)
      for (const text of texts) assert.strictEqual(String(channel.receive(0)), text)
      return [several - before[0], calls.count - before[1]]
    }
    for (let i = 0; i < 100; i++) exchange('a')
    assert.deepStrictEqual(exchange('a'), [0, 1])
    for (let i = 0; i < 10; i++) exchange('a', 'b', 'c')
    assert.deepStrictEqual(exchange('a', 'b', 'c'), [1, 1])
    for (let i = 0; i < 10; i++) exchange('a')
    assert.deepStrictEqual(exchange('a'), [0, 1])
    native.channelReceiveAhead = channelReceiveAhead
  },

  'messages that were copied, in a page that is gone'() {
    const { file, map } = open(4 * pageSize)
    const channel = Channel.create(map)
    const receive = (text) => assert.strictEqual(String(channel.receive(0)), text)
    for (let i = 0; i < 20; i++) {
      channel.sendMany(Array(20).fill('a'))
      const before = calls.count
      for (let j = 0; j < 20; j++) receive('a')
      if (i === 19) assert.strictEqual(calls.count - before, 1)
    }
    if (!truncates) return
    channel.sendMany(['a', 'b', 'c', 'd'])
    receive('a')
    truncateSync(file, 0)
    for (let i = 0; i < 3; i++) assert.throws(() => channel.receive(0), { code: 'ERR_MMAP_FAULT' })
    truncateSync(file, 4 * pageSize)
    assert.strictEqual(channel.receive(0), undefined) // of zeros
  },

  'messages that were copied, in a mapping that moves or is closed'() {
    for (const backing of ['array-buffer', 'shared-array-buffer']) {
      const { map } = open(4 * pageSize, { backing })
      const channel = Channel.create(map)
      let [sent, received] = [0, 0]
      const receive = (count) => {
        for (let i = 0; i < count; i++) assert.strictEqual(channel.receive(0).readUInt32LE(), received++)
      }
      const send = (count) => channel.sendMany(Array.from({ length: count }, () => Uint32Array.of(sent++)))
      for (let i = 0; i < 20; i++) {
        send(20)
        receive(20)
      }
      for (const length of [300 * pageSize, 5000 * pageSize]) {
        send(20)
        receive(5)
        map.resize(length)
        receive(15)
        assert.deepStrictEqual(channel.pending, { messages: 0, bytes: 0 })
      }
      assert.strictEqual(map.faults, 0)
      send(20)
      receive(5)
      map.close()
      assert.throws(() => channel.receive(0), { code: 'ERR_MMAP_CLOSED' })
    }
  },

  'what is looked at in a mapping that moves is not looked for where that was'() {
    for (const backing of ['array-buffer', 'shared-array-buffer']) {
      const { map } = open(8 * pageSize, { backing })
      const event = new Event(map, 0)
      const latest = new Latest(map, { offset: 64, length: 1024 })
      const channel = Channel.create(map, { offset: pageSize, length: pageSize })
      latest.write('value')
      const target = Buffer.alloc(16)
      const look = () => {
        assert.strictEqual(event.isSet(), false)
        assert.strictEqual(latest.read(target), 5)
        assert.strictEqual(channel.tryReceive(), undefined)
      }
      for (let i = 0; i < 200; i++) look()
      for (const length of [300 * pageSize, 5000 * pageSize]) {
        map.resize(length)
        look()
      }
      assert.strictEqual(map.faults, 0)
    }
  },

  'an empty channel that is closed'() {
    for (const backing of ['array-buffer', 'shared-array-buffer']) {
      const { map } = open(4 * pageSize, { backing })
      const channel = Channel.create(map)
      warmUp(() => assert.strictEqual(channel.tryReceive(), undefined))
      map.close()
      assert.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_CLOSED' })
    }
  },
}

for (const [name, run] of Object.entries(tests)) {
  try {
    run()
  } catch (error) {
    console.log(`${name}: ${error.stack}`)
  }
}
