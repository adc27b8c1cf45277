// Conditions: a process releases a mutex and waits until another process changes what the mutex protects.

import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared } from 'memory-map'
import { Condition, Mutex } from 'memory-map/sync'

import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS, until } from './helpers/until.ts'

const CONDITION = 8

function open(t: ExecutionContext, file = sparseFile(t, 4096)) {
  const map = sharedMap(t, file)
  /** How many waiters the condition counts. */
  const waiting = () => map.dataView(CONDITION, 8).getUint16(4, true)
  return { file, map, mutex: new Mutex(map, 0), condition: new Condition(map, CONDITION), waiting }
}

/**
 * A second process with the same mutex and condition. Its `take` waits until `words[32]`, the number of jobs, is not zero,
 * and moves one to `words[33]`, the number of jobs that are done.
 */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  const setup = `
    mutex = new sync.Mutex(map, 0)
    condition = new sync.Condition(map, ${CONDITION})
    words = map.typedArray(Uint32Array)
    take = async (i) => {
      if (i % 2) mutex.lock()
      else await mutex.lockAsync()
      const ready = () => words[32] > 0
      const how = i % 2 ? condition.waitFor(mutex, ready) : await condition.waitForAsync(mutex, ready)
      words[32]--
      words[33]++
      mutex.unlock()
      return how
    }`
  return peerWith(t, file, setup, runtime)
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: a wait releases the mutex, and has it again when it is notified`, async (t) => {
    const { file, map, mutex, condition, waiting } = open(t)
    const words = map.typedArray(Uint32Array)
    const peer = await peerOf(t, file, runtime)
    for (let i = 0; i < 4; i++) {
      const taking = peer.run(`take(${i})`)
      await until(() => waiting() === 1)
      t.is(mutex.lock(), 'acquired')
      words[32]!++
      if (i % 2) condition.notify()
      else condition.notifyAll()
      mutex.unlock()
      t.is(await taking, 'ok')
    }
    t.deepEqual([words[32], words[33], waiting()], [0, 4, 0])
    t.is(await peer.run('(mutex.lock(), condition.wait(mutex, 10))'), 'timed-out')
    t.is(await peer.run('condition.waitAsync(mutex, 10)'), 'timed-out')
    t.false(mutex.tryLock())
    t.is(mutex.lock(0), 'timed-out')
    await peer.run('mutex.unlock()')
    t.is(await peer.run('condition.waitAsync(mutex).catch((error) => error.code)'), 'ERR_MMAP_NOT_OWNER')
    t.is((await peer.end()).code, 0)
  })
}

test('three processes hand jobs to each other, and each is done once', async (t) => {
  const { file, map, mutex, condition } = open(t)
  const words = map.typedArray(Uint32Array)
  const peers = await Promise.all([peerOf(t, file), peerOf(t, file)])
  const working = peers.map((peer) => peer.run('(async () => { for (let i = 0; i < 500; i++) await take(i) })()'))
  for (let i = 0; i < 1000; i++) {
    await mutex.lockAsync()
    words[32]!++
    mutex.unlock()
    condition.notify()
  }
  await Promise.all(working)
  t.deepEqual([words[32], words[33]], [0, 1000])
})

test('notify wakes as many waiters as it is told to', async (t) => {
  const { map, mutex, condition, waiting } = open(t)
  const woken: number[] = []
  const begin = async (i: number) => {
    await mutex.lockAsync()
    const wait = condition.waitAsync(mutex)
    t.is(await wait, 'ok')
    woken.push(i)
    mutex.unlock()
  }
  const waits: Promise<void>[] = []
  for (let i = 0; i < 5; i++) waits.push(begin(i))
  await until(() => waiting() === 5)
  condition.notify(0)
  condition.notify(2)
  await until(() => woken.length === 2)
  t.is(waiting(), 3)
  condition.notify()
  await until(() => woken.length === 3)
  condition.notifyAll()
  await Promise.all(waits)
  // A notification that comes when nobody waits is not kept.
  condition.notifyAll()
  mutex.lock()
  t.is(condition.wait(mutex, 10), 'timed-out')
  mutex.unlock()
  t.is(waiting(), 0)
  t.false(map.closed)
})

test("a wait that gets the mutex of an owner that died returns 'recovered'", async (t) => {
  const { file, mutex, condition, waiting } = open(t)
  const peer = await peerOf(t, file)
  mutex.lock()
  const wait = condition.waitAsync(mutex)
  await until(() => waiting() === 1)
  await peer.run('(mutex.lock(), condition.notify())')
  await peer.kill()
  t.is(await wait, 'recovered')
  mutex.unlock()

  const another = await peerOf(t, file)
  for (;;) {
    mutex.lock()
    const timing = condition.waitAsync(mutex, 200)
    const locking = another.run('mutex.lock()')
    if ((await Promise.race([timing, locking])) === 'acquired') {
      await sleep(300) // until the wait has timed out, as a rule
      await another.kill()
      t.is(await timing, 'recovered')
      break
    }
    mutex.unlock() // the wait timed out before the other process had the lock
    await locking
    await another.run('mutex.unlock()')
  }
  t.is(
    condition.waitFor(mutex, () => true),
    'ok',
  )
  mutex.unlock()
})

test('a process that is killed while it waits takes no notification with it', async (t) => {
  const { file, mutex, condition, waiting } = open(t)
  for (let round = 0; round < 3; round++) {
    const peer = await peerOf(t, file)
    const before = waiting()
    peer.run('(mutex.lock(), condition.wait(mutex))').catch(() => {})
    await until(() => waiting() === before + 1)
    await peer.kill()
    mutex.lock()
    const wait = condition.waitAsync(mutex, HANG_MS)
    condition.notify()
    t.is(await wait, 'ok')
    mutex.unlock()
  }
})

test('a wait that its signal ends does not hold the mutex, and takes no notification from others', async (t) => {
  const { file, mutex, condition, waiting } = open(t)
  const other = open(t, file)
  const controller = new AbortController()
  const { signal } = controller
  mutex.lock()
  const ended = condition.waitAsync(mutex, { signal })
  t.is(other.mutex.lock(), 'acquired')
  const stays = other.condition.waitAsync(other.mutex, HANG_MS)
  await until(() => waiting() === 2)
  controller.abort(new Error('enough'))
  await t.throwsAsync(ended, { code: 'ABORT_ERR' })
  t.is(waiting(), 1)
  t.throws(() => mutex.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
  // It is the same if the signal was aborted before the wait.
  mutex.lock()
  await t.throwsAsync(condition.waitAsync(mutex, { signal }), { code: 'ABORT_ERR' })
  t.throws(() => mutex.unlock(), { code: 'ERR_MMAP_NOT_OWNER' })
  condition.notify()
  t.is(await stays, 'ok')
})

test('a wait whose signal is aborted just after it was notified passes the notification on', async (t) => {
  const { file, mutex, condition, waiting } = open(t)
  const other = open(t, file)
  const late = new AbortController()
  mutex.lock()
  const first = condition.waitAsync(mutex, { signal: late.signal })
  await other.mutex.lockAsync()
  const second = other.condition.waitAsync(other.mutex, HANG_MS)
  await until(() => waiting() === 2)
  condition.notify()
  late.abort()
  const ends = await Promise.allSettled([first, second])
  t.is(ends[1].status, 'fulfilled')
  t.is(ends[0].status, 'rejected')
})

test('closing the mapping of the condition, or that of the mutex, ends a wait', async (t) => {
  const { map, file, mutex, waiting } = open(t)
  for (const which of ['condition', 'mutex']) {
    const [one, two] = [open(t, file), open(t, file)]
    one.mutex.lock()
    const wait = two.condition.waitAsync(one.mutex)
    ;(which === 'mutex' ? one : two).map.close()
    await t.throwsAsync(wait, { code: 'ERR_MMAP_CLOSED' }, which)
    t.is(mutex.lock(HANG_MS), 'acquired')
    mutex.unlock()
    t.is(waiting(), 0)
  }
  t.false(map.closed)
})

test('waitFor ends when its predicate is true, or with its timeout', async (t) => {
  const { map, mutex, condition } = open(t)
  const words = map.typedArray(Uint32Array)
  const ready = () => words[40] === 1
  mutex.lock()
  t.is(condition.waitFor(mutex, ready, 5), 'timed-out')
  t.is(await condition.waitForAsync(mutex, ready, { timeout: 5 }), 'timed-out')
  const wait = condition.waitForAsync(mutex, async () => ready(), HANG_MS)
  await mutex.lockAsync()
  condition.notifyAll() // not yet
  mutex.unlock()
  await mutex.lockAsync()
  words[40] = 1
  condition.notify()
  mutex.unlock()
  t.is(await wait, 'ok')
  t.is(condition.waitFor(mutex, ready), 'ok')
  t.throws(() => condition.waitFor(mutex, () => { throw new Error('mine') }), { message: 'mine' }) // prettier-ignore
  mutex.unlock()
})

test('a wait needs a mutex that is held, and wrong arguments are refused', async (t) => {
  const { file, map, mutex, condition } = open(t)
  t.is(Condition.byteLength, 8)
  t.throws(() => new Condition(map, 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Condition(map, 4096), { code: 'ERR_OUT_OF_RANGE' })
  using readOnly = mapShared(file)
  t.throws(() => new Condition(readOnly, 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => new Condition(mapAnonymous(4096), 0), { code: 'ERR_MMAP_NOT_SHARED' })
  t.throws(() => condition.wait(mutex), { code: 'ERR_MMAP_NOT_OWNER' })
  t.throws(() => condition.waitFor(mutex, () => true), { code: 'ERR_MMAP_NOT_OWNER' })
  await t.throwsAsync(condition.waitAsync(mutex), { code: 'ERR_MMAP_NOT_OWNER' })
  for (const wrong of [undefined, {}, map, condition, Object.create(Mutex.prototype)]) {
    t.throws(() => condition.wait(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
    await t.throwsAsync(condition.waitAsync(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.throws(() => condition.notify(-1), { code: 'ERR_OUT_OF_RANGE' })
  mutex.lock()
  t.throws(() => condition.wait(mutex, '1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => condition.waitFor(mutex, true as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(condition.waitAsync(mutex, { timeuot: 1 } as never), { message: /did you mean 'timeout'/ })
  mutex.unlock() // it was held all the time
  t.is(JSON.stringify(condition), '{"byteOffset":8}')
})

test('a wait over bytes that held something else ends, or is refused as one too many', (t) => {
  const { map, mutex, condition } = open(t)
  for (const byte of [1, 2, 255]) {
    map.buffer.fill(byte, CONDITION, CONDITION + 8)
    mutex.lock()
    try {
      t.regex(condition.wait(mutex, 5), /^(ok|timed-out)$/)
      mutex.unlock()
    } catch (error) {
      t.is((error as { code: string }).code, 'ERR_MMAP_BUSY')
      mutex.unlock()
    }
    condition.notifyAll()
  }
})
