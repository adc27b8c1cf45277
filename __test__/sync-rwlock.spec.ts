// `RwLock`: readers in several processes share it, a writer has it alone, and a process that is killed does not keep it.

import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared, type MemoryMap, openSharedMemory, pageSize, unlinkSharedMemory } from 'memory-map'
import { RwLock } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { blockUntil, growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { until } from './helpers/until.ts'

const PLACE = 64

function open(t: ExecutionContext, file = sparseFile(t, 8192)) {
  const map = sharedMap(t, file)
  return { file, map, lock: new RwLock(map, PLACE) }
}

/** A second process with the same lock. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, `lock = new sync.RwLock(map, ${PLACE})`, runtime)
}

/** The words of the lock: the gate, the state, an event and the slots from the fourth on. */
const wordsOf = (map: MemoryMap) => map.typedArray(BigUint64Array, PLACE, RwLock.byteLength / 8)
const readersIn = (map: MemoryMap) => wordsOf(map).slice(4).filter(Boolean).length

/** Waits until a writer waits for the readers to leave: it has the gate, and is about to sleep. */
const untilWriterWaits = (map: MemoryMap) =>
  until(() => {
    const words = wordsOf(map)
    return Atomics.load(words, 0) !== 0n && Atomics.load(words, 2) % 2n === 1n
  })

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: readers share the lock, a writer has it alone, and both get 'recovered' after a writer was killed`, async (t) => {
    const { file, map, lock } = open(t)
    const peer = await peerOf(t, file, runtime)
    t.is(await peer.run('lock.lockShared()'), 'acquired')
    t.is(lock.lockShared(), 'acquired')
    t.is(lock.tryLockShared(), 'acquired')
    t.false(await peer.run('lock.tryLockExclusive()'))
    t.is(await peer.run('lock.lockExclusiveAsync(5)'), 'timed-out')
    lock.unlock()
    const there = peer.run('lock.unlock(), lock.lockExclusiveAsync()')
    await untilWriterWaits(map)
    lock.unlock()
    t.is(await there, 'acquired')

    t.false(lock.tryLockShared())
    t.is(lock.lockShared(5), 'timed-out')
    t.is(lock.lockExclusive(5), 'timed-out')
    t.is(await lock.lockSharedAsync(5), 'timed-out')
    t.throws(() => lock.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
    const waits = [lock.lockSharedAsync(), lock.lockSharedAsync({ timeout: 1e6 })]
    await peer.run('lock.unlock()')
    t.deepEqual(await Promise.all(waits), ['acquired', 'acquired'])
    t.is(await peer.run('lock.tryLockShared()'), 'acquired')
    await peer.run('lock.unlock()')
    lock.unlock()
    lock.unlock()

    t.is(await peer.run('lock.lockExclusive()'), 'acquired')
    const here = lock.lockSharedAsync()
    t.is((await peer.kill()).signal, 'SIGKILL')
    t.is(await here, 'recovered')
    t.is(lock.tryLockShared(), 'recovered')
    lock.unlock()
    lock.unlock()
    t.is(lock.lockShared(), 'recovered')
    lock.unlock()
    t.is(lock.lockExclusive(), 'recovered')
    lock.unlock()
    t.is(lock.lockShared(), 'acquired')
    lock.unlock()
    t.is(await lock.lockExclusiveAsync(), 'acquired')
    lock.unlock()
  })
}

test('a reader that is killed no longer has the lock: a writer gets it, whether it waits or tries', async (t) => {
  const { file, map, lock } = open(t)
  for (const how of ['lockExclusive', 'tryLockExclusive', 'lockExclusiveAsync'] as const) {
    const peer = await peerOf(t, file)
    await peer.run('lock.lockShared()')
    t.is(lock.lockExclusive(5), 'timed-out')
    const here = how === 'lockExclusiveAsync' ? lock.lockExclusiveAsync() : undefined
    if (here) await untilWriterWaits(map)
    await peer.kill()
    t.is(here ? await here : lock[how as 'lockExclusive'](), 'acquired')
    lock.unlock()
  }
})

test('a writer that is killed while it waits for readers keeps nobody waiting, and leaves nothing to recover', async (t) => {
  const { file, map, lock } = open(t)
  const peer = await peerOf(t, file)
  lock.lockShared()
  const waiting = peer.run('lock.lockExclusiveAsync()').catch(() => {})
  await untilWriterWaits(map)
  const other = open(t, file).lock
  t.false(other.tryLockShared())
  const reading = other.lockSharedAsync()
  await peer.kill()
  await waiting
  t.is(await reading, 'acquired')
  t.is(lock.lockShared(), 'acquired')
})

test('while a writer waits, new readers wait behind it', async (t) => {
  const { file, map, lock } = open(t)
  const [writer, reader] = [open(t, file).lock, open(t, file).lock]
  lock.lockShared()
  const order: string[] = []
  const writing = writer.lockExclusiveAsync().then(() => order.push('writer'))
  await untilWriterWaits(map)
  const reading = reader.lockSharedAsync().then(() => order.push('reader'))
  t.false(reader.tryLockShared())
  t.is(reader.lockShared(5), 'timed-out')
  // A blocking call of a mapping that has the lock does not wait behind a writer that waits for this mapping.
  t.is(lock.lockShared(), 'acquired')
  lock.unlock()
  const behind = lock.lockSharedAsync().then(() => order.push('behind'))
  t.deepEqual(order, [])
  lock.unlock()
  await writing
  await sleep(20)
  t.deepEqual(order, ['writer'])
  writer.unlock()
  await Promise.all([reading, behind])
  t.is(readersIn(map), 2)
  lock.unlock()
  reader.unlock()
  t.is(readersIn(map), 0)
})

test('all who use one mapping are one owner', async (t) => {
  const { map, lock } = open(t)
  const same = new RwLock(map, PLACE)
  const deadlock = { code: 'ERR_MMAP_DEADLOCK' }
  lock.lockExclusive()
  for (const what of ['lockShared', 'lockExclusive'] as const) {
    t.throws(() => lock[what](), deadlock)
    t.throws(() => same[what](10), deadlock)
    t.throws(() => same[what](0), deadlock)
  }
  t.false(same.tryLockShared())
  t.false(same.tryLockExclusive())
  const [shared, exclusive] = [lock.lockSharedAsync(), same.lockExclusiveAsync(5)]
  t.is(await exclusive, 'timed-out')
  same.unlock()
  t.is(await shared, 'acquired')
  t.is(same.lockShared(), 'acquired')
  t.throws(() => lock.lockExclusive(), deadlock)
  t.throws(() => lock.lockExclusive(10), deadlock)
  t.false(lock.tryLockExclusive())
  t.is(readersIn(map), 1)
  lock.unlock()
  const writing = lock.lockExclusiveAsync()
  await untilWriterWaits(map)
  same.unlock() // what it shares, although another function has the gate and waits
  t.is(await writing, 'acquired')
  lock.unlock()
  t.throws(() => lock.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
})

test('writers lose no count, and readers never see one that is half written', async (t) => {
  const { file, map, lock } = open(t)
  const peers = await Promise.all([peerOf(t, file), peerOf(t, file), peerOf(t, file)])
  const work = (isWriter: boolean) => `(async () => {
    const words = map.typedArray(Uint32Array, 4096, 32)
    for (let i = 0; i < 1000; i++) {
      const writes = i % 3 === ${isWriter ? 0 : 3}
      const how = i % 2 ? '' : 'Async'
      await lock['lock' + (writes ? 'Exclusive' : 'Shared') + how]()
      if (words[0] !== words[16]) throw new Error('half written')
      if (writes) {
        words[0]++
        words[16]++
      }
      lock.unlock()
    }
  })()`
  const working = peers.map((peer, i) => peer.run(work(i < 2)))
  await Promise.all(working)
  const words = map.typedArray(Uint32Array, 4096, 32)
  lock.lockShared()
  t.deepEqual([words[0], words[16]], [668, 668])
  lock.unlock()
  t.deepEqual([...wordsOf(map).slice(4), wordsOf(map)[0], wordsOf(map)[1]].filter(Boolean), [])
})

test('sixty mappings share a lock, and one more waits for one of them to leave', async (t) => {
  const { file, map, lock } = open(t)
  const others = Array.from({ length: 60 }, () => open(t, file))
  for (const other of others) t.is(other.lock.lockShared(), 'acquired')
  t.is(readersIn(map), 60)
  t.false(lock.tryLockShared())
  t.is(lock.lockShared(5), 'timed-out')
  const waiting = lock.lockSharedAsync()
  others[17]!.lock.unlock()
  t.is(await waiting, 'acquired')
  lock.unlock()
  t.is(others[17]!.lock.lockShared(), 'acquired')
  others[18]!.map.close()
  t.is(lock.tryLockShared(), 'acquired') // in the place of the one that was closed
})

for (const [name, end] of Object.entries({
  'a signal': (_: MemoryMap, controller: AbortController) => controller.abort(new Error('enough')),
  close: (map: MemoryMap) => map.close(),
})) {
  const error = { code: name === 'close' ? 'ERR_MMAP_CLOSED' : 'ABORT_ERR' }

  test(`waits that ${name} ends do not get the lock, and keep no reader waiting`, async (t) => {
    const { file, map, lock } = open(t)
    const mine = open(t, file)
    const controller = new AbortController()
    const { signal } = controller
    lock.lockShared()
    const waits: Promise<unknown>[] = [mine.lock.lockExclusiveAsync({ signal })]
    await untilWriterWaits(map)
    waits.push(mine.lock.lockExclusiveAsync({ signal }), mine.lock.lockSharedAsync({ signal }))
    t.false(lock.tryLockShared())
    end(mine.map, controller)
    for (const wait of waits) await t.throwsAsync(wait, error)
    t.is(lock.tryLockShared(), 'acquired')
    lock.unlock()
    lock.unlock()
    t.is(lock.tryLockExclusive(), 'acquired')
    lock.unlock()
  })

  test(`a wait that ${name} ends before it was reported gives the lock back as it was`, async (t) => {
    const { file, map, lock } = open(t)
    const [dead, first, second] = [open(t, file), open(t, file), open(t, file)]
    const controllers = [new AbortController(), new AbortController()] as const
    dead.lock.lockExclusive()
    dead.map.close()
    const before = wordsOf(map)[1]
    t.is(lock.lockShared(), 'recovered')
    const writing = first.lock.lockExclusiveAsync({ signal: controllers[0].signal })
    lock.unlock()
    blockUntil(() => Atomics.load(wordsOf(map), 1) !== before)
    end(first.map, controllers[0])
    await t.throwsAsync(writing, error)
    t.is(lock.lockExclusive(), 'recovered')

    const reading = second.lock.lockSharedAsync({ signal: controllers[1].signal })
    lock.unlock()
    blockUntil(() => readersIn(map) === 1)
    end(second.map, controllers[1])
    await t.throwsAsync(reading, error)
    t.is(lock.lockExclusive(), 'acquired')
    lock.unlock()
  })
}

test('a mapping keeps the lock when it moves, and loses it when it is closed', async (t) => {
  const { file, map, lock } = open(t)
  const other = open(t, file)
  lock.lockShared()
  const writing = lock.lockExclusiveAsync()
  await untilWriterWaits(other.map)
  growUntilMoved(map)
  await t.throwsAsync(writing, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  t.false(other.lock.tryLockExclusive())
  t.is(other.lock.tryLockShared(), 'acquired')
  other.lock.unlock()
  lock.unlock()
  t.is(lock.lockExclusive(), 'acquired')
  map.resize(0)
  t.throws(() => lock.unlock(), { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  map.resize(8192)
  t.false(other.lock.tryLockShared())
  map.close()
  t.is(other.lock.lockShared(), 'recovered')
  t.throws(() => lock.lockShared(), { code: 'ERR_MMAP_CLOSED' })
})

test('a lock works in every kind of memory that is shared', (t) => {
  const name = `/mm-rwlock-${process.pid}`
  const maps = [
    mapShared(sparseFile(t, 8192), { protection: 'read-write', backing: 'shared-array-buffer' }),
    ...(isWindows ? [] : [mapAnonymous(4096, { shared: true })]),
    openSharedMemory(name, { create: true, exclusive: true, length: 4096, protection: 'read-write' }),
  ]
  t.teardown(() => unlinkSharedMemory(name))
  for (const map of maps) {
    const lock = new RwLock(map, 8)
    t.is(lock.lockExclusive(), 'acquired')
    lock.unlock()
    t.is(lock.lockShared(), 'acquired')
    t.is(map.typedArray(BigUint64Array, 40, 60).filter(Boolean).length, 1)
    lock.unlock()
    map.close()
  }
})

test('wrong arguments are refused', async (t) => {
  const { file, map, lock } = open(t)
  t.is(RwLock.byteLength, 512)
  t.deepEqual(JSON.parse(JSON.stringify(lock)), { byteOffset: PLACE })
  t.throws(() => new RwLock(map, 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new RwLock(map, 8192 - 504), { code: 'ERR_OUT_OF_RANGE' })
  const last = new RwLock(map, 8192 - 512)
  t.is(last.tryLockExclusive(), 'acquired')
  const readable = mapShared(file)
  t.throws(() => new RwLock(readable, 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  readable.close()
  t.throws(() => new RwLock(readable, 0), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => new RwLock(mapAnonymous(4096), 0), { code: 'ERR_MMAP_NOT_SHARED' })
  t.throws(() => lock.lockShared('1' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => lock.lockExclusive(NaN), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(lock.lockSharedAsync({ timeOut: 1 } as object), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.throwsAsync(lock.lockExclusiveAsync({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  t.is(lock.tryLockExclusive(), 'acquired')
})

test("a lock over bytes that held something else is free, and its first owners get 'recovered'", (t) => {
  const { map, lock } = open(t, sparseFile(t, pageSize))
  map.buffer.fill(1)
  t.is(lock.lockShared(), 'recovered')
  lock.unlock()
  t.is(lock.lockExclusive(), 'recovered')
  lock.unlock()
  t.is(lock.lockExclusive(), 'acquired')
})
