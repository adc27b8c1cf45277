// Processes that wait for each other on a word of shared memory.

import { truncateSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate } from 'memory-map'
import { notify, wait, waitAsync } from 'memory-map/sync'

import { isWindows, notifying, onLinux, truncating } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap } from './helpers/sharing.ts'
import { turns, until } from './helpers/until.ts'
import { reachesEnd, SYSTEMS } from './helpers/waits.ts'

const LENGTH = 4096

/** A mapping of a file, and a second process that maps it too. */
async function shared(t: ExecutionContext, runtime = runtimes()[0]!) {
  const file = sparseFile(t, LENGTH)
  return { file, map: sharedMap(t, file), peer: await peerWith(t, file, '', runtime) }
}

/** Notifies until `count` waiters have been woken. */
async function wake(map: Parameters<typeof notify>[0], byteOffset: number, count: number): Promise<number> {
  for (let woken = 0; ; await sleep(1)) {
    woken += notify(map, byteOffset, count - woken)
    if (woken >= count) return woken
  }
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  for (const [system, forbidden] of Object.entries(SYSTEMS)) {
    onLinux(`${name}: a notify right after waitAsync wakes it, although nothing has changed, ${system}`, async (t) => {
      await reachesEnd(t, runtime, 'sync-notify-at-once', forbidden)
    })
  }

  notifying(`${name}: one process wakes another that waits`, async (t) => {
    const { map, peer } = await shared(t, runtime)
    const blocked = peer.run('sync.wait(map, 8, 0)')
    t.is(await wake(map, 8, 1), 1)
    t.is(await blocked, 'ok')

    const pending = peer.run('promise = sync.waitAsync(map, 8, 0); "pending"')
    t.is(await pending, 'pending')
    t.is(await peer.run('1 + 1'), 2) // its event loop is free
    t.is(await wake(map, 8, 1), 1)
    t.is(await peer.run('promise'), 'ok')

    const here = waitAsync(map, 16, 0)
    await peer.run('(async () => { while (sync.notify(map, 16) === 0) await new Promise((r) => setTimeout(r, 1)) })()')
    t.is(await here, 'ok')
    t.is(await peer.run('sync.wait(map, 8, 1)'), 'not-equal')
    t.is(await peer.run('sync.waitAsync(map, 8, 0, 20)'), 'timed-out')
    t.is((await peer.end()).code, 0)
  })
}

test('wait sees what Atomics store in another process', async (t) => {
  const { map, peer } = await shared(t)
  const words = map.typedArray(Int32Array)
  const done = peer.run(`(async () => {
    const words = map.typedArray(Int32Array)
    for (let i = 0; i < 1000; i++) {
      while (Atomics.load(words, 0) === i) sync.wait(map, 0, i)
      Atomics.store(words, 1, i + 1)
      sync.notify(map, 4)
    }
  })()`)
  for (let i = 0; i < 1000; i++) {
    Atomics.store(words, 0, i + 1)
    notify(map, 0)
    while (Atomics.load(words, 1) === i) await waitAsync(map, 4, i)
  }
  await done
  t.is(words[1], 1000)

  const adding = peer.run('w = map.typedArray(Int32Array); for (let i = 0; i < 1e6; i++) Atomics.add(w, 2, 1)')
  for (let i = 0; i < 1e6; i++) Atomics.add(words, 2, 1)
  await adding
  t.is(words[2], 2e6)
  words[3] = -5
  t.is(wait(map, 12, -5, 0), 'timed-out')
  t.is(wait(map, 12, 2 ** 32 - 5, 0), 'timed-out')
})

notifying('a hundred pending waits do not hold up file operations, and are all woken', async (t) => {
  const { file, map } = await shared(t)
  const waits = Array.from({ length: 100 }, () => waitAsync(map, 0, 0))
  t.is((await readFile(file)).length, LENGTH)
  t.is(await wake(map, 0, 100), 100)
  t.deepEqual(new Set(await Promise.all(waits)), new Set(['ok']))
})

notifying('notify wakes no more waiters than it is asked to', async (t) => {
  const { map } = await shared(t)
  const results: string[] = []
  const waits = Array.from({ length: 3 }, async () => results.push(await waitAsync(map, 0, 0)))
  t.is(await wake(map, 0, 2), 2)
  await until(() => results.length >= 2)
  await turns()
  t.is(results.length, 2)
  await wake(map, 0, 1)
  await Promise.all(waits)
})

test('closing a mapping ends its waits', async (t) => {
  const { map } = await shared(t)
  const waits = [waitAsync(map, 0, 0), waitAsync(map, 4, 0, 60_000)]
  await sleep(20)
  map.close()
  for (const wait of waits) await t.throwsAsync(wait, { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => wait(map, 0, 0), { code: 'ERR_MMAP_CLOSED' })
})

notifying('the pending waits of a worker end with it, and those of others go on', async (t) => {
  const { file, map } = await shared(t)
  const worker = new Worker(
    `const { mapShared } = await import(${JSON.stringify(import.meta.resolve('memory-map'))})
     const { waitAsync } = await import(${JSON.stringify(import.meta.resolve('memory-map/sync'))})
     const { parentPort } = await import('node:worker_threads')
     const map = mapShared(${JSON.stringify(file)}, { protection: 'read-write' })
     for (let i = 0; i < 5; i++) waitAsync(map, 0, 0)
     parentPort.postMessage('waiting')`,
    { eval: true, execArgv: ['--input-type=module'] },
  )
  t.teardown(() => worker.terminate())
  await new Promise((resolve) => worker.once('message', resolve))
  await worker.terminate()
  // Its waits end soon, and then nobody is there to be woken.
  await until(() => notify(map, 0) === 0)
  const own = waitAsync(map, 0, 0)
  await wake(map, 0, 1)
  t.is(await own, 'ok')
})

test('a word that cannot be waited on is refused', async (t) => {
  const { file, map } = await shared(t)
  const codes = { code: 'ERR_OUT_OF_RANGE', instanceOf: RangeError }
  t.throws(() => wait(map, 2, 0), codes)
  t.throws(() => wait(map, LENGTH, 0), codes)
  t.throws(() => wait(map, -4, 0), codes)
  t.throws(() => wait(map, 0, 0.5), codes)
  t.throws(() => wait(map, 0, 0, Number.NaN), codes)
  t.throws(() => notify(map, 0, -1), codes)
  t.throws(() => wait(map, 0, 0n as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => wait({} as never, 0, 0), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(waitAsync(map, 2, 0), codes)
  for (const alone of [mapAnonymous(LENGTH), mapPrivate(file)]) {
    t.throws(() => wait(alone, 0, 0), { code: 'ERR_MMAP_NOT_SHARED' })
    alone.close()
  }
  if (isWindows) return
  const memory = mapAnonymous(LENGTH, { shared: true })
  t.is(wait(memory, 0, 0, 1), 'timed-out')
  memory.close()
})

truncating('waiting on a word that the file has lost is a fault', async (t) => {
  const { file, map } = await shared(t)
  truncateSync(file, 0)
  t.throws(() => wait(map, 0, 0), { code: 'ERR_MMAP_FAULT' })
  await t.throwsAsync(waitAsync(map, 0, 0), { code: 'ERR_MMAP_FAULT' })
})
