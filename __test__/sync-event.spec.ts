// Events that one process sets and others wait for.

import { truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared, pageSize } from 'memory-map'
import { Event } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { growUntilMoved, peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS } from './helpers/until.ts'

const open = (t: ExecutionContext, file = sparseFile(t, 4096)) => ({ file, map: sharedMap(t, file) })

/** A second process with the same two events, `event` and `answer`. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, 'event = new sync.Event(map, 64), answer = new sync.Event(map, 128)', runtime)
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: an event that one process sets wakes the others that wait for it`, async (t) => {
    const { file, map } = open(t)
    const [event, answer] = [new Event(map, 64), new Event(map, 128)]
    const peer = await peerOf(t, file, runtime)
    t.false(await peer.run('event.isSet()'))
    t.false(await peer.run('event.wait(10)'))
    t.false(await peer.run('event.waitAsync(10)'))
    const blocked = peer.run(`(event.wait(${HANG_MS}), answer.set())`)
    event.set()
    t.true(answer.wait(HANG_MS))
    await blocked
    t.true(await peer.run('event.isSet() && event.wait(0)'))
    await peer.run('event.clear()')
    t.false(event.isSet())
    const pending = peer.run(`event.waitAsync(${HANG_MS})`)
    const here = event.waitAsync(HANG_MS)
    event.set()
    t.deepEqual([await pending, await here], [true, true])
    // After some calls, JavaScript reads the event itself, without the native library.
    const seen = 'Array.from({ length: 100 }, (_, i) => (i % 2 ? event.clear() : event.set(), event.isSet()))'
    t.deepEqual(
      await peer.run(seen),
      Array.from({ length: 100 }, (_, i) => i % 2 === 0),
    )
    t.is((await peer.end()).code, 0)
  })
}

test('setting an event ends the waits that began before, even if it is cleared at once', async (t) => {
  const { file, map } = open(t)
  const event = new Event(map, 64)
  const other = new Event(open(t, file).map, 64)
  for (let round = 0; round < 20; round++) {
    const waits = [event.waitAsync(), other.waitAsync({ timeout: HANG_MS })]
    other.set()
    event.clear()
    t.deepEqual(await Promise.all(waits), [true, true])
    t.false(await event.waitAsync(0))
  }
})

test('two processes take a thousand turns, by two events', async (t) => {
  const { file, map } = open(t)
  const [event, answer] = [new Event(map, 64), new Event(map, 128)]
  const peer = await peerOf(t, file)
  const answering = peer.run(`(async () => {
    for (let i = 0; i < 1000; i++) {
      if (!(i % 2 ? event.wait(${HANG_MS}) : await event.waitAsync(${HANG_MS}))) throw new Error('not set in ' + i)
      event.clear()
      answer.set()
    }
  })()`)
  for (let i = 0; i < 1000; i++) {
    event.set()
    if (!(i % 3 ? answer.wait(HANG_MS) : await answer.waitAsync(HANG_MS))) t.fail(`no answer in ${i}`)
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
  const waiting = event.waitAsync(HANG_MS)
  event.set()
  t.true(await waiting)
})

test('a signal ends a wait', async (t) => {
  const { map } = open(t)
  const event = new Event(map, 64)
  const controller = new AbortController()
  const waiting = event.waitAsync({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.throwsAsync(waiting, { code: 'ABORT_ERR' })
  await t.throwsAsync(event.waitAsync({ signal: controller.signal }), { code: 'ABORT_ERR' })
})

test('moving a mapping ends its waits, and its events go on; closing it ends both', async (t) => {
  const { file, map } = open(t)
  const event = new Event(map, 64)
  const { map: moving } = open(t, file)
  const there = new Event(moving, 64)
  const moved = there.waitAsync()
  growUntilMoved(moving)
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

test('using an event in a page that the file has lost is a fault', (t) => {
  if (isWindows) return void t.pass() // it does not let a mapped file be truncated
  const { file, map } = open(t, sparseFile(t, 2 * pageSize))
  const event = new Event(map, pageSize)
  for (let i = 0; i < 100; i++) t.false(event.isSet()) // so that JavaScript reads it itself by now
  truncateSync(file, pageSize)
  t.throws(() => event.isSet(), { code: 'ERR_MMAP_FAULT' })
  t.throws(() => event.set(), { code: 'ERR_MMAP_FAULT' })
  t.throws(() => event.wait(HANG_MS), { code: 'ERR_MMAP_FAULT' })
})

test('wrong arguments are refused', async (t) => {
  const { file, map } = open(t)
  t.is(Event.byteLength, 8)
  t.throws(() => new Event(map, 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Event(map, 4096), { code: 'ERR_OUT_OF_RANGE' })
  using readOnly = mapShared(file)
  t.throws(() => new Event(readOnly, 0), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => new Event(mapAnonymous(4096), 0), { code: 'ERR_MMAP_NOT_SHARED' })
  const event = new Event(map, 0)
  t.throws(() => event.wait('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(event.waitAsync({ timeuot: 1 } as never), { message: /did you mean 'timeout'/ })
  t.is(JSON.stringify(event), '{"byteOffset":0}')
})

test('an event works in bytes that held something else', async (t) => {
  const { map } = open(t)
  const event = new Event(map, 0)
  for (const byte of [1, 2, 255]) {
    map.buffer.fill(byte)
    event.set()
    t.true(event.wait())
    event.clear()
    t.false(event.wait(1))
    const waiting = event.waitAsync(HANG_MS)
    event.set()
    t.true(await waiting)
  }
})
