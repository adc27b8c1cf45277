// A signal that has methods and a reason of its own, which throw, is as any other: only those of AbortSignal are used.

import test, { type ExecutionContext } from 'ava'
import { Channel, Rpc, Semaphore } from 'memory-map/sync'

import { sparseFile } from './helpers/scratch.ts'
import { sharedMap } from './helpers/sharing.ts'
import { turns } from './helpers/until.ts'

/** An AbortSignal, and what aborts it. */
function hostile() {
  const controller = new AbortController()
  const value = () => {
    throw new TypeError('thrown')
  }
  Object.defineProperties(controller.signal, {
    addEventListener: { value },
    removeEventListener: { value },
    reason: { get: value },
  })
  return { signal: controller.signal, abort: () => controller.abort() }
}

const memory = (t: ExecutionContext) => sharedMap(t, sparseFile(t, 2 ** 20))

const ABORTED = { name: 'AbortError' }

test('a search and a wait end as they do without it', async (t) => {
  const map = memory(t)
  const { signal } = hostile()
  t.is(await map.find('nowhere', { signal }), -1)
  t.true(await new Semaphore(map, 0, 1).acquireAsync({ signal }))
})

test('a wait is aborted', async (t) => {
  const { signal, abort } = hostile()
  const wait = t.throwsAsync(new Semaphore(memory(t), 0, 0).acquireAsync({ signal }), ABORTED)
  abort()
  await wait
})

test('sends that wait their turn are done, late, or aborted', async (t) => {
  const channel = Channel.create(memory(t), { length: 4096 })
  let sent = 2
  for (; channel.trySend(Buffer.alloc(1000)); sent++);
  const first = channel.sendAsync(Buffer.alloc(1000))
  const { signal, abort } = hostile()
  const second = channel.sendAsync(Buffer.alloc(1000), { signal: hostile().signal })
  const late = channel.sendAsync('late', { signal: hostile().signal, timeout: 1 })
  const stopped = t.throwsAsync(channel.sendAsync('stopped', { signal }), ABORTED)
  await turns()
  abort()
  await stopped
  t.false(await late)
  for (; sent > 0; sent--) await channel.receiveAsync()
  t.deepEqual(await Promise.all([first, second]), [true, true])
  t.is(channel.tryReceive(), undefined)
})

test('a call of an Rpc is answered, late, or aborted', async (t) => {
  const rpc = Rpc.create(memory(t))
  t.teardown(() => rpc.close())
  const { signal, abort } = hostile()
  const late = t.throwsAsync(rpc.call('late', { signal: hostile().signal, timeout: 1 }), { code: 'ERR_MMAP_TIMED_OUT' })
  const stopped = t.throwsAsync(rpc.call('stopped', { signal }), ABORTED)
  await late
  abort()
  await stopped
  const call = rpc.call('answered', { signal: hostile().signal })
  void rpc.serve((request) => request)
  t.is(String(await call), 'answered')
})

test('what has only the prototype of a signal is none', async (t) => {
  const signal = Object.create(AbortSignal.prototype, { aborted: { value: false } }) as AbortSignal
  const error = { code: 'ERR_INVALID_ARG_TYPE', message: /AbortSignal/ }
  const map = memory(t)
  await t.throwsAsync(map.find('nowhere', { signal }), error)
  await t.throwsAsync(new Semaphore(map, 0, 0).acquireAsync({ signal, timeout: 1 }), error)
})
