// Many pending waits, on few threads if the system can do that. Each ends when it should, for the reason that it should, and
// no other one does. The arguments are the numbers of the system calls that are forbidden from the start.

import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { Channel, Mutex, notify, Semaphore, waitAsync } from '../../sync.js'
import { check, rings, turn } from '../helpers/observe.mjs'
import { forbidSome } from '../helpers/scenario.mjs'

const FUTEX_WAITV = 449
const hasVector = !forbidSome()(FUTEX_WAITV)
const ringsBefore = rings()
/** Whether waits sleep in an io_uring, once one has begun. */
const hasRing = () => rings() > ringsBefore

// The words that are waited for come first.
const [LOCK, PERMITS, CHANNELS] = [4096, 4160, 8192]
const [WAITS, RECEIVES] = [1000, 200]
fs.writeFileSync('file', Buffer.alloc(2 ** 20))
const open = () => mapShared('file', { protection: 'read-write' })
const [map, other] = [open(), open()]
const words = other.typedArray(Int32Array)

/** The threads that waits have. */
function threads() {
  const task = '/proc/self/task/'
  const name = (id) => {
    try {
      return fs.readFileSync(`${task}${id}/comm`, 'latin1')
    } catch {
      return '' // it has just ended
    }
  }
  return fs.readdirSync(task).filter((id) => name(id) === 'memory-map wait\n').length
}

/** Waits until something is so. */
async function until(condition, what) {
  for (const end = Date.now() + 120_000; !condition(); await turn(1)) check(Date.now() < end, what)
}

/** Promises, and what has come of them. */
function watch(promises) {
  const results = []
  for (const promise of promises) {
    promise.then(
      (value) => results.push(value),
      (error) => results.push(error.code),
    )
  }
  return results
}

const all = (results, value, count = WAITS) => results.length === count && results.every((result) => result === value)

/** Wakes so many of those that wait on a word, once they sleep; says how many `notify` said it woke. */
async function wake(word, count) {
  let woken = 0
  await until(() => (woken += notify(other, 4 * word, count - woken)) >= count, `${count} wait on ${word}`)
  return woken
}

/** What was to be told by now has been told: another wait has come and gone. */
async function settle() {
  const last = waitAsync(map, 4 * 1023, 0)
  await wake(1023, 1)
  await last
  await turn(1)
}

async function receive() {
  const places = Array.from({ length: RECEIVES }, (_, i) => ({ offset: CHANNELS + 1024 * i, length: 1024 }))
  const receivers = places.map((place) => Channel.create(map, place))
  const senders = places.map(({ offset }) => Channel.open(other, { offset }))
  const received = receivers.map((channel) => channel.receiveAsync())
  await turn(50) // some of them sleep by now
  if (hasRing()) check(threads() <= 1, `${threads()} threads receive`)
  else if (hasVector) check(threads() <= 2, `${threads()} threads receive`)
  senders.forEach((sender, i) => sender.send(`message ${i}`))
  const messages = await Promise.all(received)
  check(messages.map(String).join() === places.map((_, i) => `message ${i}`).join(), 'each has its own message')
}

async function countWakes() {
  const results = watch(Array.from({ length: WAITS }, () => waitAsync(map, 0, 0)))
  check((await wake(0, 300)) === 300, 'notify says how many it woke')
  await until(() => results.length >= 300, '300 are told')
  await settle()
  check(all(results, 'ok', 300), `300 were woken, and not ${results.length}`)
  if (hasRing()) check(threads() <= 1, `${threads()} threads wait`)
  check((await wake(0, 700)) === 700, 'and the rest')
  await until(() => results.length === WAITS, 'all are told')
  check(all(results, 'ok'), 'all were woken')
  check(notify(other, 0) === 0, 'nobody waits any more')
}

async function wakeAtOnce() {
  const results = watch(Array.from({ length: WAITS }, (_, i) => waitAsync(map, 4 * i, 0)))
  const asleep = new Set()
  // All but those that are woken one by one until they are known to sleep.
  await until(() => {
    for (let i = 0; i < WAITS; i++) if (!asleep.has(i) && notify(other, 4 * i, 1) === 1) asleep.add(i)
    return asleep.size === WAITS
  }, 'each sleeps on its word')
  await until(() => results.length === WAITS, 'all are told')
  check(all(results, 'ok'), 'all were woken, each at its word')
}

async function change() {
  const results = watch(Array.from({ length: WAITS }, (_, i) => waitAsync(map, 4 * i, 0)))
  await turn(20)
  for (let i = 0; i < WAITS; i++) {
    Atomics.store(words, i, 1)
    notify(other, 4 * i)
  }
  await until(() => results.length === WAITS, 'all have seen the change, or were woken')
  check(!results.includes('timed-out'), 'none is late')
  words.fill(0, 0, 1024)
  const late = watch(Array.from({ length: WAITS }, (_, i) => waitAsync(map, 4 * i, 0, 20 + (i % 7))))
  await until(() => late.length === WAITS, 'the time of all is up')
  check(all(late, 'timed-out'), 'all were too late')
}

async function takeTurns() {
  const mutex = new Mutex(map, LOCK)
  const holder = new Mutex(other, LOCK)
  holder.lock()
  let [held, count] = [0, 0]
  const turns = Array.from({ length: 100 }, async () => {
    await mutex.lockAsync()
    check(++held === 1, 'one has the lock')
    await turn()
    held--
    mutex.unlock()
    count++
  })
  const semaphore = new Semaphore(map, PERMITS, 0)
  const acquired = watch(Array.from({ length: 100 }, () => semaphore.acquireAsync()))
  await turn(20)
  holder.unlock()
  new Semaphore(other, PERMITS).release(40)
  await Promise.all(turns)
  check(count === 100, 'all had the lock')
  await until(() => acquired.length >= 40, '40 have a permit')
  await settle()
  check(all(acquired, true, 40), `40 and not ${acquired.length} have a permit`)
  new Semaphore(other, PERMITS).release(60)
  await until(() => acquired.length === 100, 'all have a permit')
}

/** Waits of every kind, none of which can end by itself. */
function begin(on, options) {
  const channels = Array.from({ length: 20 }, (_, i) => ({ offset: CHANNELS + 1024 * i, length: 1024 }))
  return watch([
    ...Array.from({ length: WAITS - 120 }, (_, i) => waitAsync(on, 4 * (i % 500), 0, options)),
    ...Array.from({ length: 50 }, () => new Mutex(on, LOCK).lockAsync(options)),
    ...Array.from({ length: 50 }, () => new Semaphore(on, PERMITS).acquireAsync(options)),
    ...channels.map((place) => Channel.create(on, place).receiveAsync(options)),
  ])
}

async function end() {
  const holder = new Mutex(other, LOCK)
  holder.lock()
  const controller = new AbortController()
  const aborted = begin(map, { signal: controller.signal })
  await turn(20)
  controller.abort()
  await until(() => aborted.length === WAITS, 'all are ended')
  check(all(aborted, 'ABORT_ERR'), 'all by the signal')
  check(notify(other, 0) === 0, 'nobody waits any more')

  const moved = open()
  moved.resize(2 ** 21) // to where there is room
  const { address } = moved
  const waits = begin(moved)
  await turn(20)
  let stayed = true
  for (let i = 1; i <= 10; i++) {
    moved.resize(2 ** 21 + 4096 * i)
    stayed &&= moved.address === address
  }
  if (stayed) {
    await settle()
    check(waits.length === 0, `they go on where it grew in place: ${waits.slice(0, 3)}`)
    check((await wake(0, 2)) === 2, 'and are woken')
    await until(() => waits.length === 2, 'two are told')
    check(all(waits, 'ok', 2), 'that they were woken')
  }
  moved.close()
  await until(() => waits.length === WAITS, 'all are ended')
  check(waits.filter((result) => result === 'ERR_MMAP_CLOSED').length >= WAITS - 2, 'by the end of the mapping')
  check(notify(other, 0) === 0, 'nobody waits any more')
  holder.unlock()
  check(new Mutex(map, LOCK).lock() === 'acquired', 'and nobody has the lock')
}

await receive()
await countWakes()
await wakeAtOnce()
await change()
await takeTurns()
await end()
map.close()
other.close()
console.log('reached the end')
