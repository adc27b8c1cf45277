// sync() and syncSync(): making stores durable, off the JavaScript thread and on it.

import { execFileSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { close, closeSync, constants, open, openSync, readFileSync, readSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, pageSize } from 'memory-map'

import { isCodedError, throwsCodedError } from './helpers/errors.ts'
import { figuresAt } from './helpers/memory.ts'
import { isLinux, onPosix, withDescriptors } from './helpers/platform.ts'
import { runScript, runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile, scratchFolder, sparseFile } from './helpers/scratch.ts'
import { untilBlocking } from './helpers/until.ts'

const notShared = { instanceOf: Error, code: 'ERR_MMAP_NOT_SHARED' }

// The system writes neighbouring pages together, so the stores are far apart to show which were written.
const PLACES = 8
const SPREAD = 32 << 20

/** A shared writable mapping with a store at each place, none of which is on the disk yet. */
function dirtyMap(t: ExecutionContext, offset = 0): { map: MemoryMap; path: string } {
  waitForIdleWriteback()
  const now = Date.now()
  const path = sparseFile(t, PLACES * SPREAD)
  made.set(path, now)
  const map = mapShared(path, { protection: 'read-write', offset })
  t.teardown(() => map.close())

  // A page of another protection between two places makes each an area of its own, with figures of its own.
  for (let place = 0; place < PLACES - 1; place++) {
    map.protect('none', { offset: (place + 0.5) * SPREAD - offset, length: pageSize })
  }
  for (let place = 0; place < PLACES; place++) map.write(Buffer.of(0xd1), Math.max(place * SPREAD - offset, 0))
  dirtyAre(t, { map, path }, ALL)
  return { map, path }
}

/** Waits until other programs store so little that Linux does not write pages back by itself. */
function waitForIdleWriteback(): void {
  if (!isLinux) return
  const pages = (name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(readFileSync('/proc/vmstat', 'utf8'))![1])
  untilBlocking(() => pages('nr_dirty') <= pages('nr_dirty_background_threshold') / 2)
}

/** When each file was made, as `Date.now()`. */
const made = new Map<string, number>()
/** How many milliseconds Linux leaves a file that was stored to before it writes it back by itself. */
const EXPIRES = isLinux ? 10 * Number(readFileSync('/proc/sys/vm/dirty_expire_centisecs', 'latin1')) : Infinity

/** Checks at which places the stores are not on the disk yet, which only Linux shows. */
function dirtyAre(t: ExecutionContext, { map, path }: { map: MemoryMap; path: string }, expected: number[]): void {
  if (!isLinux || !isOnDisk(path)) return void t.pass()
  const start = map.address - BigInt(map.offset)
  const dirty = ALL.filter((place) => {
    return figuresAt(start + BigInt(place * SPREAD + (place === 0 ? map.offset : 0))).dirty > 0
  })
  const byItself = Date.now() - made.get(path)! > EXPIRES - 5000
  t.deepEqual(dirty, byItself ? expected.filter((place) => dirty.includes(place)) : expected)
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7]

/** Whether a file is on a disk. The pages of a file system in memory are never clean. */
function isOnDisk(path: string): boolean {
  const TMPFS_MAGIC = 0x01021994
  return statfsSync(path).type !== TMPFS_MAGIC
}

function byteOf(path: string, offset: number): number {
  const fd = openSync(path, 'r')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, offset)
  closeSync(fd)
  return byte[0]!
}

/**
 * Occupies threads of libuv's pool, all if no number is given: each waits until the other end of a FIFO is opened. The
 * function that it returns frees them.
 */
function occupyPool(t: ExecutionContext, threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)): () => Promise<void> {
  const fifo = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  const opened = Array.from({ length: threads }, () => promisify(open)(fifo, 'r'))
  let freed: Promise<void> | undefined
  const free = () => {
    return (freed ??= (async () => {
      const other = openSync(fifo, constants.O_RDWR)
      for (const fd of await Promise.all(opened)) await promisify(close)(fd)
      closeSync(other)
    })())
  }
  t.teardown(free)
  return free
}

/** Whether a promise settles within some turns of the event loop and 50 ms. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => (settled = true)
  promise.then(settle, settle)
  for (let i = 0; i < 20; i++) await turn()
  await sleep(50)
  return settled
}

// What a sync does

test.serial('sync writes the stores of a range, or of the whole mapping, to the disk', async (t) => {
  const { map, path } = dirtyMap(t)
  t.is(await map.sync({ offset: 5 * SPREAD, length: 1 }), undefined)
  dirtyAre(t, { map, path }, [0, 1, 2, 3, 4, 6, 7])
  await map.sync({ offset: BigInt(SPREAD - 1), length: BigInt(SPREAD + 2) })
  dirtyAre(t, { map, path }, [0, 3, 4, 6, 7])
  await map.sync({ offset: 6 * SPREAD - pageSize })
  dirtyAre(t, { map, path }, [0, 3, 4])
  await map.sync({ length: pageSize })
  dirtyAre(t, { map, path }, [3, 4])
  await map.sync()
  dirtyAre(t, { map, path }, [])
  t.deepEqual(
    ALL.map((place) => byteOf(path, place * SPREAD)),
    ALL.map(() => 0xd1),
  )
})

test.serial('syncSync writes the stores of a range, or of the whole mapping, to the disk', (t) => {
  const { map, path } = dirtyMap(t)
  t.is(map.syncSync({ offset: 5 * SPREAD, length: 1 }), undefined)
  dirtyAre(t, { map, path }, [0, 1, 2, 3, 4, 6, 7])
  map.syncSync({ offset: BigInt(SPREAD - 1), length: BigInt(SPREAD + 2) })
  dirtyAre(t, { map, path }, [0, 3, 4, 6, 7])
  map.syncSync()
  dirtyAre(t, { map, path }, [])
})

test.serial('a range counts from the start of the mapping, and covers whole pages in memory', async (t) => {
  const offset = SPREAD / 4 + 3 * pageSize + 100
  const { map, path } = dirtyMap(t, offset)
  await map.sync({ offset: SPREAD, length: pageSize })
  dirtyAre(t, { map, path }, ALL)
  await map.sync({ offset: 2 * SPREAD - offset + 1000, length: 1 })
  dirtyAre(t, { map, path }, [0, 1, 3, 4, 5, 6, 7])
  map.syncSync({ offset: SPREAD - offset + 1000, length: 1 })
  dirtyAre(t, { map, path }, [0, 3, 4, 5, 6, 7])
})

test.serial('an empty range has nothing to sync', async (t) => {
  const { map, path } = dirtyMap(t)
  for (const range of [{ length: 0 }, { offset: map.length }, { offset: 5, length: 0n }]) {
    await map.sync(range)
    map.syncSync(range)
  }
  dirtyAre(t, { map, path }, ALL)
})

test('a mapping that is not writable can be synced', async (t) => {
  const path = scratchFile(t, pattern(10_000))
  for (const protection of ['none', 'read', 'read-execute'] as const) {
    using map = mapShared(path, { protection })
    map.syncSync()
    await map.sync()
    t.false(map.closed)
  }
})

withDescriptors('shared memory without a file on disk can be synced', async (t) => {
  using map = mapAnonymous(10_000, { shared: true })
  map.buffer.fill(1)
  map.syncSync()
  await map.sync()
  t.true(map.buffer.every((byte) => byte === 1))
})

test('a mapping whose stores reach no file is ERR_MMAP_NOT_SHARED', async (t) => {
  using copy = mapPrivate(scratchFile(t, pattern(10_000)))
  using memory = mapAnonymous(10_000)
  for (const map of [copy, memory]) {
    throwsCodedError(t, () => map.syncSync(), notShared)
    throwsCodedError(t, () => map.syncSync({ length: 0 }), notShared)
    isCodedError(t, await t.throwsAsync(map.sync()), notShared)
    isCodedError(t, await t.throwsAsync(map.sync({ length: 0 })), notShared)
  }
})

test.serial("sync and syncSync take invalidate, and keep the mapping's own stores", async (t) => {
  const { map, path } = dirtyMap(t)
  await map.sync({ invalidate: true })
  dirtyAre(t, { map, path }, [])
  map.buffer[0] = 0xd3
  map.syncSync({ invalidate: true, offset: 0, length: 1 })
  dirtyAre(t, { map, path }, [])
  t.is(map.buffer[0], 0xd3)
  await map.sync({ invalidate: false })
  await map.sync({ invalidate: undefined })
  t.is(byteOf(path, 0), 0xd3)
})

for (const runtime of runtimes().filter(({ name }) => name === 'bun' || name === 'deno')) {
  test(`invalidate of a locked page, which the system refuses, is an error like those of fs (${runtime.name})`, async (t) => {
    const { code, signal, stdout, stderr } = await runScript(runtime, scenario('sync-locked'))
    const facts = JSON.stringify({ name: 'Error', code: 'EBUSY', errno: -16, syscall: 'msync', path: 'file' })
    t.is(stdout, `mlock 0\nsyncSync ${facts}\nsync ${facts}\n`, stderr)
    t.deepEqual([code, signal], [0, null])
  })
}

test('many syncs run at once, of one mapping and of several', async (t) => {
  const maps = Array.from({ length: 5 }, () => dirtyMap(t).map)
  const syncs = maps.flatMap((map) => {
    return Array.from({ length: 40 }, (_, page) => map.sync({ offset: (page % PLACES) * SPREAD, length: pageSize }))
  })
  t.deepEqual(new Set(await Promise.all(syncs)), new Set([undefined]))
})

// Off the JavaScript thread

onPosix.serial("sync runs on libuv's pool, and does not block the event loop", async (t) => {
  const { map, path } = dirtyMap(t)
  const free = occupyPool(t)
  const synced = map.sync()

  // Nothing is synced on this thread, or before a thread of the pool is free.
  dirtyAre(t, { map, path }, ALL)
  let turns = 0
  for (; turns < 100; turns++) await turn()
  await sleep(20)
  t.is(turns, 100)
  t.false(await isSettled(synced))
  dirtyAre(t, { map, path }, ALL)

  await free()
  await synced
  dirtyAre(t, { map, path }, [])
})

onPosix.serial('one free thread of the pool is enough', async (t) => {
  const { map } = dirtyMap(t)
  const free = occupyPool(t, Number(process.env.UV_THREADPOOL_SIZE ?? 4) - 1)
  await map.sync()
  t.pass()
  await free()
})

onPosix.serial('syncSync needs no thread of the pool', async (t) => {
  const { map, path } = dirtyMap(t)
  const free = occupyPool(t)
  map.syncSync()
  dirtyAre(t, { map, path }, [])
  t.pass()
  await free()
})

for (const runtime of runtimes()) {
  test(`a process does not end before its syncs are done (${runtime.name} ${runtime.version})`, async (t) => {
    const script = `
      import fs from 'node:fs'
      const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      fs.writeFileSync('file', Buffer.alloc(1_000_000))
      const map = mapShared('file', { protection: 'read-write' })
      map.buffer.fill(1)
      for (let i = 0; i < 10; i++) map.sync().then(() => console.log('done'), (error) => console.log(error))
    `
    const { code, signal, stdout, stderr } = await runScript(runtime, script)
    t.is(stdout, 'done\n'.repeat(10), stderr)
    t.deepEqual([code, signal], [0, null])
  })
}

// Aborting

/** What Node's own functions reject with when their signal aborts. */
function isAbortError(t: ExecutionContext, error: unknown, reason: unknown): void {
  const { name, code, cause } = error as NodeJS.ErrnoException
  t.deepEqual({ name, code }, { name: 'AbortError', code: 'ABORT_ERR' })
  t.is(cause, reason)
  t.true(error instanceof Error)
}

test.serial('a sync whose signal is aborted already rejects at once, and syncs nothing', async (t) => {
  const { map, path } = dirtyMap(t)
  const signal = AbortSignal.abort('the reason')
  isAbortError(t, await t.throwsAsync(map.sync({ signal })), 'the reason')
  isAbortError(t, await t.throwsAsync(map.sync({ signal, offset: 5, length: 1n })), 'the reason')
  dirtyAre(t, { map, path }, ALL)
  t.is(getEventListeners(signal, 'abort').length, 0)
})

onPosix.serial('a sync that waits for a thread rejects when its signal aborts', async (t) => {
  const { map, path } = dirtyMap(t)
  const free = occupyPool(t)
  const controller = new AbortController()
  const { signal } = controller
  const [first, second] = [map.sync({ signal }), map.sync({ signal, offset: SPREAD })]
  const other = map.sync({ offset: 0, length: 1 })
  t.false(await isSettled(Promise.race([first, second, other])))
  const reason = new Error('changed my mind')
  controller.abort(reason)

  // The pool is still full, so they were aborted and not done.
  isAbortError(t, await t.throwsAsync(first), reason)
  isAbortError(t, await t.throwsAsync(second), reason)
  t.false(await isSettled(other))
  await free()
  await other
  dirtyAre(t, { map, path }, ALL.slice(1))
  t.is(getEventListeners(signal, 'abort').length, 0)
})

onPosix.serial('AbortSignal.timeout and AbortSignal.any abort a sync as well', async (t) => {
  const { map } = dirtyMap(t)
  const free = occupyPool(t)
  const timeout = AbortSignal.timeout(20)
  isAbortError(t, await t.throwsAsync(map.sync({ signal: timeout })), timeout.reason)
  t.is((timeout.reason as Error).name, 'TimeoutError')
  const controller = new AbortController()
  const any = AbortSignal.any([controller.signal, new AbortController().signal])
  const synced = map.sync({ signal: any })
  controller.abort()
  isAbortError(t, await t.throwsAsync(synced), controller.signal.reason)
  await free()
})

test('an abort after the sync changes nothing', async (t) => {
  const { map } = dirtyMap(t)
  const controller = new AbortController()
  const synced = map.sync({ signal: controller.signal })
  await synced
  controller.abort()
  await turn()
  t.is(await synced, undefined)
  await map.sync()
})

test('a sync settles if its signal aborts at any moment', async (t) => {
  const { map } = dirtyMap(t)
  for (let i = 0; i < 300; i++) {
    map.buffer[(i % PLACES) * SPREAD] = i
    const controller = new AbortController()
    const synced = map.sync({ signal: controller.signal })
    for (let turns = i % 4; turns > 0; turns--) await turn()
    controller.abort()
    const error = await synced.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (error !== undefined) isAbortError(t, error, controller.signal.reason)
  }
  await map.sync()
  t.pass()
})

for (const runtime of runtimes()) {
  onPosix(`many syncs that are aborted together all settle (${runtime.name} ${runtime.version})`, async (t) => {
    const script = `
      const { mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const map = mapAnonymous(1_000_000, { shared: true })
      for (let i = 0; i < 30; i++) {
        const controller = new AbortController()
        const syncs = Array.from({ length: 100 }, () => map.sync({ signal: controller.signal }))
        controller.abort()
        for (const { reason } of await Promise.allSettled(syncs)) {
          if (reason !== undefined && reason.code !== 'ABORT_ERR') throw reason
        }
      }
      console.log('settled')
    `
    const { code, signal, stdout, stderr } = await runScript(runtime, script)
    t.is(stdout, 'settled\n', stderr)
    t.deepEqual([code, signal], [0, null])
  })
}

onPosix.serial("the signal's own onabort handler stays, and is called", async (t) => {
  const { map } = dirtyMap(t)
  const controller = new AbortController()
  const { signal } = controller
  let calls = 0
  const onabort = () => void calls++
  signal.onabort = onabort
  await map.sync({ signal })
  t.is(signal.onabort, onabort)
  const free = occupyPool(t)
  const synced = map.sync({ signal })
  t.is(signal.onabort, onabort)
  controller.abort()
  isAbortError(t, await t.throwsAsync(synced), signal.reason)
  t.is(calls, 1)
  t.is(signal.onabort, onabort)
  await free()
})

test('a sync leaves no listener on its signal, however it ended', async (t) => {
  const { map } = dirtyMap(t)
  using copy = mapPrivate(scratchFile(t, 'private'))
  const { signal } = new AbortController()
  const syncs = Array.from({ length: 10 }, () => map.sync({ signal }))
  t.is(getEventListeners(signal, 'abort').length, 10)
  await Promise.all(syncs)
  t.is(getEventListeners(signal, 'abort').length, 0)
  await t.throwsAsync(copy.sync({ signal }), { code: 'ERR_MMAP_NOT_SHARED' })
  await t.throwsAsync(map.sync({ signal, offset: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(map.sync({ signal, invalidate: 1 as unknown as boolean }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(getEventListeners(signal, 'abort').length, 0)
})

// Misuse

test('sync rejects and never throws', async (t) => {
  using map = mapShared(scratchFile(t, pattern(10_000)))
  const sync = map.sync.bind(map) as (options: unknown) => Promise<void>
  for (const [options, code] of [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [5, 'ERR_INVALID_ARG_TYPE'],
    [{ offset: '5' }, 'ERR_INVALID_ARG_TYPE'],
    [{ length: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ invalidate: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: new AbortController() }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: { aborted: true } }, 'ERR_INVALID_ARG_TYPE'],
    [{ offset: NaN }, 'ERR_OUT_OF_RANGE'],
    [{ offset: map.length + 1 }, 'ERR_OUT_OF_RANGE'],
    [{ length: map.length + 1 }, 'ERR_OUT_OF_RANGE'],
    [{ length: -1n }, 'ERR_OUT_OF_RANGE'],
    [{ lenght: 5 }, 'ERR_INVALID_ARG_VALUE'],
  ] as const) {
    let rejected: Promise<void>
    t.notThrows(() => (rejected = sync(options)))
    const instanceOf = code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError
    isCodedError(t, await t.throwsAsync(rejected!), { instanceOf, code })
  }
})

test('syncSync refuses the same arguments as sync, and a signal too', (t) => {
  using map = mapShared(scratchFile(t, pattern(10_000)))
  const syncSync = map.syncSync.bind(map) as (options: unknown) => void
  for (const [options, code] of [
    [null, 'ERR_INVALID_ARG_TYPE'],
    ['all', 'ERR_INVALID_ARG_TYPE'],
    [{ offset: '5' }, 'ERR_INVALID_ARG_TYPE'],
    [{ invalidate: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ offset: 0.5 }, 'ERR_OUT_OF_RANGE'],
    [{ offset: 2n ** 64n }, 'ERR_OUT_OF_RANGE'],
    [{ length: map.length + 1 }, 'ERR_OUT_OF_RANGE'],
    [{ signal: new AbortController().signal }, 'ERR_INVALID_ARG_VALUE'],
  ] as const) {
    const instanceOf = code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError
    throwsCodedError(t, () => syncSync(options), { instanceOf, code })
  }
})
