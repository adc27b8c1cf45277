// Mutexes and semaphores of several processes, and what happens to them when a process is killed.

import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared, openSharedMemory, pageSize, unlinkSharedMemory } from 'memory-map'
import { Mutex, Semaphore } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS } from './helpers/until.ts'

const open = (t: ExecutionContext, file = sparseFile(t, 4096)) => ({ file, map: sharedMap(t, file) })

/** A second process with the same mutex, and a semaphore of two permits. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, 'mutex = new sync.Mutex(map, 64), semaphore = new sync.Semaphore(map, 128, 2)', runtime)
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: a mutex has one owner, and is recovered when the owner is killed`, async (t) => {
    const { file, map } = open(t)
    const mutex = new Mutex(map, 64)
    const peer = await peerOf(t, file, runtime)
    t.is(await peer.run('mutex.lock()'), 'acquired')
    t.false(mutex.tryLock())
    t.is(mutex.lock(20), 'timed-out')
    t.is(await mutex.lockAsync(20), 'timed-out')
    t.throws(() => mutex.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
    const waiting = mutex.lockAsync()
    await peer.run('mutex.unlock()')
    t.is(await waiting, 'acquired')

    const there = peer.run('mutex.lockAsync()')
    await sleep(20)
    mutex.unlock()
    t.is(await there, 'acquired')
    const here = mutex.lockAsync()
    await sleep(20)
    t.is((await peer.kill()).signal, 'SIGKILL')
    t.is(await here, 'recovered')
    mutex.unlock()
    t.is(mutex.tryLock(), 'acquired')
    mutex.unlock()
  })

  test(`${name}: a permit that one process releases goes to another`, async (t) => {
    const { file, map } = open(t)
    const peer = await peerOf(t, file, runtime)
    const semaphore = new Semaphore(map, 128, 100)
    t.true(semaphore.tryAcquire())
    t.true(await peer.run('semaphore.acquire(1000)'))
    t.false(await peer.run('semaphore.tryAcquire()'))
    t.false(semaphore.acquire(10))
    const waiting = semaphore.acquireAsync()
    await peer.run('semaphore.release()')
    t.true(await waiting)
    const there = peer.run('semaphore.acquireAsync()')
    semaphore.release()
    t.true(await there)
    t.is((await peer.end()).code, 0)
  })
}

test('an owner that was killed counts as dead while it is still a zombie', async (t) => {
  const { file, map } = open(t)
  const mutex = new Mutex(map, 64)
  for (let i = 0; i < 5; i++) {
    const peer = await peerOf(t, file)
    await peer.run('mutex.lock()')
    process.kill(peer.pid, 'SIGKILL')
    // The child stays a zombie while this thread is blocked.
    t.is(mutex.lock(HANG_MS), 'recovered')
    mutex.unlock()
  }
})

test('three processes count under a mutex, and lose no count', async (t) => {
  const { file, map } = open(t)
  const mutex = new Mutex(map, 64)
  const peers = await Promise.all([peerOf(t, file), peerOf(t, file)])
  const count = `(async () => {
    const words = map.typedArray(Uint32Array)
    for (let i = 0; i < 3000; i++) {
      if (i % 3) mutex.lock()
      else await mutex.lockAsync()
      words[0]++
      mutex.unlock()
    }
  })()`
  const counting = peers.map((peer) => peer.run(count))
  const words = map.typedArray(Uint32Array)
  for (let i = 0; i < 3000; i++) {
    await mutex.lockAsync()
    words[0]!++
    mutex.unlock()
  }
  await Promise.all(counting)
  t.is(words[0], 9000)
})

test('functions of one process take turns with lockAsync, and a lock that would never end is a deadlock', async (t) => {
  const { map } = open(t)
  const mutex = new Mutex(map, 0)
  let inside = 0
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      t.is(await mutex.lockAsync(), 'acquired')
      t.is(++inside, 1)
      await sleep(2)
      inside--
      mutex.unlock()
    }),
  )
  mutex.lock()
  t.throws(() => mutex.lock(), { code: 'ERR_MMAP_DEADLOCK' })
  t.throws(() => new Mutex(map, 0).lock(10), { code: 'ERR_MMAP_DEADLOCK' })
  t.throws(() => new Mutex(map, 0).lock(0), { code: 'ERR_MMAP_DEADLOCK' })
  mutex.unlock()
})

test('the lock of a worker that is terminated is recovered', async (t) => {
  const { file, map } = open(t)
  const mutex = new Mutex(map, 64)
  const worker = new Worker(
    `const { mapShared } = await import(${JSON.stringify(import.meta.resolve('memory-map'))})
     const { Mutex } = await import(${JSON.stringify(import.meta.resolve('memory-map/sync'))})
     const { parentPort } = await import('node:worker_threads')
     const map = mapShared(${JSON.stringify(file)}, { protection: 'read-write' })
     parentPort.postMessage(new Mutex(map, 64).lock())
     setInterval(() => map, 1000) // a mapping that is collected loses its lock`,
    { eval: true, execArgv: ['--input-type=module'] },
  )
  t.teardown(() => worker.terminate())
  t.is(await new Promise((resolve) => worker.once('message', resolve)), 'acquired')
  t.false(mutex.tryLock())
  await worker.terminate()
  t.is(mutex.lock(HANG_MS), 'recovered')
  mutex.unlock()
})

test('the lock of a mapping that is closed is recovered', (t) => {
  const { file, map } = open(t)
  const mutex = new Mutex(map, 64)
  const other = open(t, file).map
  new Mutex(other, 64).lock()
  other.close()
  t.is(mutex.lock(), 'recovered')
})

test('a mutex works in every kind of memory that is shared', (t) => {
  const name = `/mm-sync-${process.pid}`
  const file = sparseFile(t, 4096)
  const lasting = mapShared(file, { protection: 'read-write', backing: 'shared-array-buffer' })
  const before = new Mutex(lasting, 0)
  t.is(before.lock(), 'acquired')
  t.true(lasting.buffer.length === 4096) // the pages may move to where the runtime wants them
  const after = new Mutex(lasting, 0)
  after.unlock()
  const maps = [
    lasting,
    ...(isWindows ? [] : [mapAnonymous(4096, { shared: true })]),
    openSharedMemory(name, { create: true, exclusive: true, length: 4096, protection: 'read-write' }),
  ]
  t.teardown(() => unlinkSharedMemory(name))
  for (const map of maps) {
    const mutex = new Mutex(map, 8)
    t.is(mutex.lock(), 'acquired')
    t.true(map.typedArray(BigUint64Array)[1]! > 0n)
    mutex.unlock()
    map.close()
    t.throws(() => mutex.lock(), { code: 'ERR_MMAP_CLOSED' })
  }
  t.throws(() => before.lock(), { code: 'ERR_MMAP_CLOSED' })
})

test('a mapping that moves as it grows keeps its locks', async (t) => {
  const { file, map } = open(t)
  const other = new Mutex(open(t, file).map, 64)
  const mutex = new Mutex(map, 64)
  const semaphore = new Semaphore(map, 128, 2)
  mutex.lock()
  const waiting = mutex.lockAsync()
  growUntilMoved(map)
  await t.throwsAsync(waiting, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  t.throws(() => mutex.lock(), { code: 'ERR_MMAP_DEADLOCK' })
  t.false(other.tryLock())
  mutex.unlock()
  t.is(other.lock(), 'acquired')
  t.is(mutex.lock(0), 'timed-out')
  other.unlock()
  t.is(await mutex.lockAsync(), 'acquired')
  t.deepEqual(
    [1, 2, 3].map(() => semaphore.tryAcquire()),
    [true, true, false],
  )

  map.resize(0)
  t.is(other.tryLock(), false)
  t.throws(() => semaphore.release(), { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  map.resize(4096)
  semaphore.release()
  mutex.unlock()
  t.is(other.lock(), 'acquired')
})

test('wrong offsets and numbers of permits are refused', (t) => {
  const { file, map } = open(t)
  t.is(Mutex.byteLength, 8)
  t.throws(() => new Mutex(map, 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Mutex(map, 4096), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Semaphore(map, 4088), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Semaphore(map, 0, -1), { code: 'ERR_OUT_OF_RANGE' })
  const readable = mapShared(file)
  t.throws(() => new Mutex(readable, 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  readable.close()
  t.throws(() => new Mutex(readable, 0), { code: 'ERR_MMAP_CLOSED' })
  const semaphore = new Semaphore(map, 0)
  t.false(semaphore.tryAcquire())
  semaphore.release(2 ** 31 - 1)
  t.throws(() => semaphore.release(), { code: 'ERR_OUT_OF_RANGE' })
})

test('a mutex over bytes that held something else is free', (t) => {
  const map = mapShared(sparseFile(t, pageSize), { protection: 'read-write' })
  map.buffer.fill(1)
  t.is(new Mutex(map, 0).tryLock(), 'acquired')
  t.is(new Mutex(map, 64).lock(), 'acquired')
  map.close()
})
