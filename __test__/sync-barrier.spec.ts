// Barriers: each process waits until all of them have arrived.

import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared } from 'memory-map'
import { Barrier, Mutex, waitAsync } from 'memory-map/sync'

import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS, until } from './helpers/until.ts'

const broken = { code: 'ERR_MMAP_BROKEN' }

function open(t: ExecutionContext, parties?: number, file = sparseFile(t, 4096)) {
  const map = sharedMap(t, file)
  return { file, map, barrier: new Barrier(map, 64, parties) }
}

/** A second process with the same barrier, and its memory as `words`. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, 'barrier = new sync.Barrier(map, 64), words = map.typedArray(Uint32Array)', runtime)
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: a barrier lets all parties through together, and breaks when one times out or is killed`, async (t) => {
    const { file, barrier } = open(t, 3)
    const peers = await Promise.all([peerOf(t, file, runtime), peerOf(t, file, runtime)])
    for (let round = 0; round < 4; round++) {
      const waits = peers.map((peer, i) => peer.run((round + i) % 2 ? 'barrier.wait()' : 'barrier.waitAsync()'))
      await until(() => barrier.waiting === 2)
      waits.push(round % 2 ? barrier.waitAsync() : Promise.resolve(barrier.wait(HANG_MS)))
      t.deepEqual((await Promise.all(waits)).toSorted(), [0, 1, 2])
    }
    t.deepEqual(await peers[0]!.run('[barrier.parties, barrier.waiting, barrier.broken]'), [3, 0, false])

    // A party that times out breaks the barrier for the others, until it is reset.
    const there = peers[0]!.run('barrier.waitAsync().catch((error) => error.code)')
    await until(() => barrier.waiting === 1)
    t.is(await peers[1]!.run('barrier.wait(10)'), 'timed-out')
    t.is(await there, 'ERR_MMAP_BROKEN')
    t.true(barrier.broken)
    t.throws(() => barrier.wait(), broken)
    barrier.reset()
    t.false(barrier.broken)

    // So does the death of a party that waits.
    const waiting = barrier.waitAsync()
    peers[1]!.run('barrier.wait()').catch(() => {})
    await until(() => barrier.waiting === 2)
    await peers[1]!.kill()
    await t.throwsAsync(waiting, broken)
    t.is((await peers[0]!.end()).code, 0)
  })
}

test('three processes go through a barrier a thousand times, and none gets a round ahead', async (t) => {
  const { file, map, barrier } = open(t, 3)
  const peers = await Promise.all([peerOf(t, file), peerOf(t, file)])
  const rounds = (least: number) => `(async () => {
    let sum = 0
    for (let round = 1; round <= 1000; round++) {
      Atomics.add(words, 500, 1)
      sum += (round + ${least}) % 2 ? barrier.wait(${HANG_MS}) : await barrier.waitAsync()
      if (Atomics.load(words, 500) < 3 * round) throw new Error('too early in ' + round)
    }
    return sum
  })()`
  const sums = peers.map((peer, i) => peer.run(rounds(i)))
  const words = map.typedArray(Uint32Array)
  let sum = 0
  for (let round = 1; round <= 1000; round++) {
    Atomics.add(words, 500, 1)
    sum += Number(round % 3 ? barrier.wait(HANG_MS) : await barrier.waitAsync())
    if (Atomics.load(words, 500) < 3 * round) t.fail(`too early in ${round}`)
  }
  const [one, two] = (await Promise.all(sums)) as [number, number]
  t.is(sum + one + two, 3000)
})

test('a signal withdraws a party that waits, and another one gets its number', async (t) => {
  const { file, barrier } = open(t, 3)
  const controller = new AbortController()
  const first = barrier.waitAsync({ signal: controller.signal })
  await until(() => barrier.waiting === 1)
  const second = open(t, undefined, file).barrier.waitAsync({ timeout: HANG_MS })
  await until(() => barrier.waiting === 2)
  controller.abort(new Error('enough'))
  await t.throwsAsync(first, { code: 'ABORT_ERR' })
  await until(() => barrier.waiting === 1)
  await t.throwsAsync(barrier.waitAsync({ signal: controller.signal }), { code: 'ABORT_ERR' })
  const rest = [barrier.waitAsync(), barrier.waitAsync()]
  t.deepEqual((await Promise.all([second, ...rest])).toSorted(), [0, 1, 2])
})

test('a signal withdraws a party until all have arrived, and does nothing after that', async (t) => {
  const { barrier } = open(t, 2)
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController()
    const first = barrier.waitAsync({ signal: controller.signal })
    if (round % 2) await until(() => barrier.waiting === 1)
    const second = barrier.waitAsync(HANG_MS)
    if (round % 3) await sleep(0)
    controller.abort()
    const [one] = await Promise.allSettled([first])
    if (one.status === 'rejected') {
      t.is((one.reason as { code: string }).code, 'ABORT_ERR')
      await until(() => barrier.waiting === 1)
      await barrier.waitAsync()
    }
    t.regex(String(await second), /^[01]$/)
  }
  t.deepEqual([barrier.waiting, barrier.broken], [0, false])
})

test('a party that cannot withdraw yet, as another process is stopped with the lock, holds up no other wait', async (t) => {
  const { file, map, barrier } = open(t, 2)
  const abort = new AbortController()
  const aborted = t.throwsAsync(barrier.waitAsync({ signal: abort.signal }), { name: 'AbortError' })
  await until(() => barrier.waiting === 1)
  const stopped = new Mutex(sharedMap(t, file), 64) // the barrier begins with a lock like that of a mutex
  t.is(await stopped.lockAsync(), 'acquired')
  abort.abort()
  for (let i = 0; i < 10; i++) t.is(await waitAsync(map, 0, 0, 10), 'timed-out')
  stopped.unlock()
  await aborted
  t.is(barrier.waiting, 0)
})

/** Runs `act` in a second process, at a barrier of two whose lock this process keeps meanwhile. */
async function whileLocked(t: ExecutionContext, before: string, act: string) {
  const { file, barrier } = open(t, 2)
  const peer = await peerOf(t, file)
  const told = peer.run(before.replace('FILE', JSON.stringify(file)))
  await until(() => barrier.waiting === 1)
  await told
  const stopped = new Mutex(sharedMap(t, file), 64) // the barrier begins with a lock like that of a mutex
  t.is(await stopped.lockAsync(), 'acquired')
  const late = setTimeout(() => void peer.kill(), HANG_MS)
  const said = await peer.run(act)
  clearTimeout(late)
  t.is(barrier.waiting, 1)
  stopped.unlock()
  return { barrier, said }
}

const WAIT =
  'abort = new AbortController(), end = barrier.waitAsync({ signal: abort.signal }).catch((error) => error.code), 0'
const MOVE = 'for (let before = map.address, length = 2 ** 20; map.address === before; length *= 2) map.resize(length)'

for (const [title, ending] of [
  ['a party that waits', ''],
  ['a party that is withdrawn', 'abort.abort(); await new Promise((resolve) => setTimeout(resolve, 50));'],
]) {
  test(`close() waits for no process that is stopped with the lock of a barrier with ${title}`, async (t) => {
    const { barrier, said } = await whileLocked(t, WAIT, `(async () => { ${ending} map.close(); return await end })()`)
    t.is(said, 'ERR_MMAP_CLOSED')
    await t.throwsAsync(barrier.waitAsync(), broken)
  })

  test(`resize() waits for no process that is stopped with the lock of a barrier with ${title}`, async (t) => {
    const { barrier } = await whileLocked(t, WAIT, `(async () => { ${ending} ${MOVE} })()`)
    await until(() => barrier.waiting === 0)
    t.false(barrier.broken)
  })
}

for (const [call, title] of [
  ['barrier.wait()', 'blocked at'],
  ['barrier.waitAsync()', 'that waits at'],
]) {
  test(`terminate() of a worker ${title} a barrier waits for no process that is stopped with its lock`, async (t) => {
    const worker = `
      import(process.env.MEMORY_MAP_ROOT + 'index.js').then(async ({ mapShared }) => {
        const { Barrier } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
        const { workerData } = require('node:worker_threads')
        const barrier = new Barrier(mapShared(workerData, { protection: 'read-write' }), 64)
        ${call}
      })`
    const start = `import('node:worker_threads').then(({ Worker }) => {
      worker = new Worker(${JSON.stringify(worker)}, { eval: true, workerData: FILE })
    })`
    const { barrier } = await whileLocked(t, start, 'worker.terminate()')
    await t.throwsAsync(barrier.waitAsync(), broken)
  })
}

test('abort and reset end the waits of all parties', async (t) => {
  const { barrier } = open(t, 3)
  for (const end of ['abort', 'reset'] as const) {
    const waits = [barrier.waitAsync(), barrier.waitAsync()]
    await until(() => barrier.waiting === 2)
    barrier[end]()
    for (const wait of waits) await t.throwsAsync(wait, broken)
    t.is(barrier.broken, end === 'abort')
    if (end === 'abort') await t.throwsAsync(barrier.waitAsync(), broken)
    barrier.abort()
    barrier.reset()
  }
})

test('closing or moving a mapping withdraws its own party and no other', async (t) => {
  const { file, barrier } = open(t, 3)
  const other = open(t, undefined, file)
  const closed = other.barrier.waitAsync()
  await until(() => barrier.waiting === 1)
  other.map.close()
  await t.throwsAsync(closed, { code: 'ERR_MMAP_CLOSED' })
  t.deepEqual([barrier.waiting, barrier.broken], [0, false])
  t.throws(() => other.barrier.wait(), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => other.barrier.broken, { code: 'ERR_MMAP_CLOSED' })

  const { map, barrier: there } = open(t, 3, file)
  const moved = there.waitAsync()
  await until(() => barrier.waiting === 1)
  growUntilMoved(map)
  await t.throwsAsync(moved, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  t.is(barrier.waiting, 0)
  const waits = [there.waitAsync(), barrier.waitAsync(), barrier.waitAsync()]
  t.deepEqual((await Promise.all(waits)).toSorted(), [0, 1, 2])
})

test('the first to say how many parties there are decides, and others must agree', async (t) => {
  const { map, barrier } = open(t)
  t.deepEqual([barrier.parties, barrier.waiting, barrier.broken], [0, 0, false])
  t.throws(() => barrier.wait(1), { code: 'ERR_MMAP_INVALID', message: /how many parties/ })
  t.is(new Barrier(map, 64, 1).wait(), 0)
  t.is(barrier.parties, 1)
  t.is(await barrier.waitAsync(), 0)
  t.throws(() => new Barrier(map, 64, 2), { code: 'ERR_OUT_OF_RANGE', message: /first used with/ })
})

test('wrong arguments are refused', async (t) => {
  const { file, map, barrier } = open(t)
  t.is(Barrier.byteLength, 536)
  for (const wrong of [0, 65, 1.5, NaN]) t.throws(() => new Barrier(map, 64, wrong), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Barrier(map, 64, '3' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new Barrier(map, 60), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Barrier(map, 4096 - 528), { code: 'ERR_OUT_OF_RANGE' })
  using readOnly = mapShared(file)
  t.throws(() => new Barrier(readOnly, 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => new Barrier(mapAnonymous(4096), 0), { code: 'ERR_MMAP_NOT_SHARED' })
  t.throws(() => barrier.wait('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(barrier.waitAsync({ timeuot: 1 } as never), { message: /did you mean 'timeout'/ })
  t.is(JSON.stringify(barrier), '{"byteOffset":64}')
})

test('bytes that hold something else are refused', async (t) => {
  const { map, barrier } = open(t)
  for (const byte of [1, 2, 255]) {
    map.buffer.fill(byte)
    t.throws(() => new Barrier(map, 0, 2), { code: 'ERR_MMAP_INVALID' })
    for (const call of ['wait', 'abort', 'reset'] as const)
      t.throws(() => barrier[call](), { code: 'ERR_MMAP_INVALID' })
    await t.throwsAsync(barrier.waitAsync(), { code: 'ERR_MMAP_INVALID' })
  }
})
