// Events that one process sets and others wait for.

import { truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared, pageSize } from 'memory-map'
import { Event } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'

const LONG = 120_000

function open(t: ExecutionContext, file = sparseFile(t, 4096)) {
  const map = mapShared(file, { protection: 'read-write', onFault() {} })
  t.teardown(() => map.close())
  return { file, map }
}

/** A second process that has the file as `map`, and two events in it. */
async function peerOf(t: ExecutionContext, file: string, runtime: Runtime = runtimes()[0]!): Promise<Peer> {
  const peer = await Peer.start(t, runtime)
  await peer.run(`(async () => {
    sync = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    map = lib.mapShared(${JSON.stringify(file)}, { protection: 'read-write' })
    event = new sync.Event(map, 64)
    answer = new sync.Event(map, 128)
  })()`)
  return peer
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: an event that one process sets is seen by others, and wakes them`, async (t) => {
    const { file, map } = open(t)
    const [event, answer] = [new Event(map, 64), new Event(map, 128)]
    const peer = await peerOf(t, file, runtime)
    t.false(await peer.run('event.isSet()'))
    t.false(await peer.run('event.wait(10)'))
    t.false(await peer.run('event.waitAsync(10)'))
    const blocked = peer.run(`(event.wait(${LONG}), answer.set())`)
    event.set()
    t.true(answer.wait(LONG))
    await blocked
    t.true(await peer.run('event.isSet() && event.wait(0)'))
    await peer.run('event.clear()')
    t.false(event.isSet())
    const pending = peer.run(`event.waitAsync(${LONG})`)
    const here = event.waitAsync(LONG)
    event.set()
    t.deepEqual([await pending, await here], [true, true])
    // Called often, it is looked at without a call of the native library.
    const seen = 'Array.from({ length: 100 }, (_, i) => (i % 2 ? event.clear() : event.set(), event.isSet()))'
    t.deepEqual(
      await peer.run(seen),
      Array.from({ length: 100 }, (_, i) => i % 2 === 0),
    )
    t.is((await peer.end()).code, 0)
  })
}

test('a wait that began before an event was set ends, even if that is cleared at once', async (t) => {
  const { file, map } = open(t)
  const event = new Event(map, 64)
  const other = new Event(open(t, file).map, 64)
  for (let round = 0; round < 20; round++) {
    const waits = [event.waitAsync(), other.waitAsync({ timeout: LONG })]
    other.set()
    event.clear()
    t.deepEqual(await Promise.all(waits), [true, true])
    t.false(await event.waitAsync(0))
  }
})

test('two processes take turns by two events for a thousand rounds', async (t) => {
  const { file, map } = open(t)
  const [event, answer] = [new Event(map, 64), new Event(map, 128)]
  const peer = await peerOf(t, file)
  const answering = peer.run(`(async () => {
    for (let i = 0; i < 1000; i++) {
      if (!(i % 2 ? event.wait(${LONG}) : await event.waitAsync(${LONG}))) throw new Error('not set in ' + i)
      event.clear()
      answer.set()
    }
  })()`)
  for (let i = 0; i < 1000; i++) {
    event.set()
    if (!(i % 3 ? answer.wait(LONG) : await answer.waitAsync(LONG))) t.fail(`no answer in ${i}`)
    answer.clear()
  }
  await answering
  t.pass()
})

test('a process that is killed while it waits leaves the event as it was', async (t) => {
  const { file, map } = open(t)
  const event = new Event(map, 64)
  const peer = await peerOf(t, file)
  peer.run('event.wait()').catch(() => {})
  await sleep(50)
  await peer.kill()
  t.false(event.isSet())
  const waiting = event.waitAsync(LONG)
  event.set()
  t.true(await waiting)
})

test('a wait for an event is ended by a signal, close and a resize that moves it, and goes on where it can', async (t) => {
  const { file, map } = open(t)
  const event = new Event(map, 64)
  const controller = new AbortController()
  const waiting = event.waitAsync({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.throwsAsync(waiting, { code: 'ABORT_ERR' })
  await t.throwsAsync(event.waitAsync({ signal: controller.signal }), { code: 'ABORT_ERR' })

  const { map: moving } = open(t, file)
  const there = new Event(moving, 64)
  const moved = there.waitAsync()
  const before = moving.address
  for (let length = 2 ** 20; moving.address === before; length *= 2) moving.resize(length)
  await t.throwsAsync(moved, { code: 'ERR_MMAP_CLOSED', message: /resized/ })
  there.set()
  t.true(event.isSet())
  event.clear()

  const closed = there.waitAsync()
  moving.close()
  await t.throwsAsync(closed, { code: 'ERR_MMAP_CLOSED' })
  for (const call of ['set', 'clear', 'isSet', 'wait'] as const) {
    t.throws(() => there[call](), { code: 'ERR_MMAP_CLOSED' }, call)
  }
})

test('an event whose page is gone is a fault', (t) => {
  if (isWindows) return void t.pass() // it does not let a mapped file be truncated
  const { file, map } = open(t, sparseFile(t, 2 * pageSize))
  const event = new Event(map, pageSize)
  for (let i = 0; i < 100; i++) t.false(event.isSet()) // directly, in the end
  truncateSync(file, pageSize)
  t.throws(() => event.isSet(), { code: 'ERR_MMAP_FAULT' })
  t.throws(() => event.set(), { code: 'ERR_MMAP_FAULT' })
  t.throws(() => event.wait(LONG), { code: 'ERR_MMAP_FAULT' })
})

test('an offset where no event can be is refused, and bytes of anything else are an event', async (t) => {
  const { file, map } = open(t)
  t.is(Event.byteLength, 8)
  t.throws(() => new Event(map, 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Event(map, 4096), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Event(mapShared(file), 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => new Event(mapAnonymous(4096), 0), { code: 'ERR_MMAP_NOT_SHARED' })
  const event = new Event(map, 0)
  t.throws(() => event.wait('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(event.waitAsync({ timeuot: 1 } as never), { message: /did you mean 'timeout'/ })
  t.is(JSON.stringify(event), '{"byteOffset":0}')
  for (const byte of [1, 2, 255]) {
    map.buffer.fill(byte)
    event.set()
    t.true(event.wait())
    event.clear()
    t.false(event.wait(1))
    const waiting = event.waitAsync(LONG)
    event.set()
    t.true(await waiting)
  }
})
