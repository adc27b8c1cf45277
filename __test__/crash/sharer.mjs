// Takes part in what processes share, until it is killed: `sharer.mjs FILE ROLE SEED`. (kills.ts)
//
// The memory is a Mutex and an RwLock, two numbers that each guards, a word for each role that grows as it gets on, what
// each sender has sent and others received, and a Channel, a Queue, a Broadcast that loses nothing, and an Rpc. Lockers lock,
// do the jobs of the queue and listen to the broadcast; senders send to all; the receiver has the channel and serves.

import { random } from '../helpers/observe.mjs'
import { AT, KEPT, ROLES } from './layout.mjs'

const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const { Broadcast, Channel, Mutex, Queue, Rpc, RwLock } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
const [file, role, seed] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const chance = random(seed)

const map = mapShared(file, { protection: 'read-write' })
const words = map.typedArray(Int32Array, 0, AT.queue / 4)
const progress = AT.progress / 4 + ROLES.indexOf(role) * 16
const getOn = () => Atomics.add(words, progress, 1)
const turn = () => new Promise(setImmediate)
const wordOf = (offset, id) => offset / 4 + id * 16

const fail = (what) => {
  console.error(`${role}: ${what}`)
  process.exit(3)
}

/** Changes two numbers under a lock that only one has: who finds them different has it from a dead one. */
function change(locked, first, second) {
  const [one, two] = [first / 4, second / 4]
  // Plain loads and stores: the lock is what orders them.
  if (locked === 'acquired' && words[one] !== words[two]) fail(`unlocked with ${words[one]} and ${words[two]}`)
  if (locked === 'recovered') words[two] = words[one]
  words[one]++
  for (let spins = chance(200); spins > 0; spins--) Atomics.load(words, one)
  words[two]++
}

async function lockMutex(mutex) {
  change(chance(2) === 0 ? mutex.lock() : await mutex.lockAsync(), AT.one, AT.two)
  mutex.unlock()
}

async function lockToWrite(rwlock) {
  change(chance(2) === 0 ? rwlock.lockExclusive() : await rwlock.lockExclusiveAsync(), AT.three, AT.four)
  rwlock.unlock()
}

async function lockToRead(rwlock) {
  const locked = chance(2) === 0 ? rwlock.lockShared() : await rwlock.lockSharedAsync()
  const [three, four] = [words[AT.three / 4], words[AT.four / 4]]
  for (let spins = chance(200); spins > 0; spins--) Atomics.load(words, AT.three / 4)
  const isSame = three === words[AT.three / 4] && four === words[AT.four / 4]
  if (!isSame || (locked === 'acquired' && three !== four)) fail(`shared with ${three} and ${four}, ${locked}`)
  rwlock.unlock()
}

/** Gives the jobs that it has back at some time, most of them done, and takes others: whoever is killed may have some. */
function work(queue, jobs) {
  for (const job of jobs.splice(0)) {
    if (chance(200) > 0) {
      jobs.push(job)
      continue
    }
    const [id, number] = parse(job.data)
    if (chance(16) === 0) {
      job.requeue()
      continue
    }
    const at = AT.done / 4 + id * KEPT + (number % KEPT)
    for (let seen = Atomics.load(words, at); seen < number;) {
      const before = Atomics.compareExchange(words, at, seen, number)
      if (before === seen) break
      seen = before
    }
    job.release()
  }
  if (jobs.length > 4) return
  const one = chance(2) === 0 ? queue.tryReceive() : undefined
  jobs.push(...(one === undefined ? queue.receiveMany(4, 0) : [one]))
}

async function lock() {
  const [mutex, rwlock] = [new Mutex(map, AT.mutex), new RwLock(map, AT.rwlock)]
  const queue = Queue.open(map, { offset: AT.queue })
  const receiver = Broadcast.open(map, { offset: AT.broadcast }).subscribe()
  const [heard, jobs] = [[undefined, undefined], []]
  for (;;) {
    await [() => lockMutex(mutex), () => lockToWrite(rwlock), () => lockToRead(rwlock)][chance(3)]()
    work(queue, jobs)
    for (const message of receiver.receiveMany(8, 0)) {
      const [id, number] = parse(message)
      // Those whose sender did not know that it had sent them come again.
      if (number > (heard[id] ?? number) + 1) fail(`sender ${id} is heard with ${number} after ${heard[id]}`)
      heard[id] = Math.max(heard[id] ?? 0, number)
    }
    getOn()
    if (chance(20) === 0) await turn()
  }
}

/** Messages: the sender, the number, and as many bytes more as the number says. */
function message(id, number) {
  const bytes = Buffer.alloc(8 + ((Math.abs(number) * 37) % 700), number & 255)
  bytes.writeInt32LE(id, 0)
  bytes.writeInt32LE(number, 4)
  return bytes
}

/** The sender and the number of a message, which is whole. */
function parse(bytes) {
  const [id, number] = [bytes.readInt32LE(0), bytes.readInt32LE(4)]
  if (Buffer.compare(bytes, message(id, number)) !== 0) fail(`a message of ${id} is not what was sent`)
  return [id, number]
}

/** Sends the next numbers to what has `sendMany`, `sendAsync` and `send`, and notes in a word that they are sent. */
async function sendNext(to, word, id) {
  const next = Atomics.load(words, word) + 1
  const count = chance(4) === 0 ? 1 + chance(5) : 1
  const messages = Array.from({ length: count }, (_, i) => message(id, next + i))
  if (count > 1) to.sendMany(messages)
  else if (chance(3) === 0) await to.sendAsync(messages[0])
  else if (chance(2) === 0 || to.reserve === undefined) to.send(messages[0])
  else {
    const reserved = to.reserve(messages[0].length)
    reserved.set(messages[0])
    to.commit(reserved)
  }
  Atomics.store(words, word, next + count - 1)
  return next + count - 1
}

/** Calls, until a call is answered: servers die. */
async function ask(rpc, id) {
  const word = wordOf(AT.asked, id)
  const number = Atomics.load(words, word) + 1
  for (;;) {
    try {
      const reply = await rpc.call(message(id, number))
      if (!reply.equals(message(id, -number))) fail(`the reply to ${number} is another one`)
      break
    } catch (error) {
      if (error.code !== 'ERR_MMAP_SERVER_GONE') throw error
    }
  }
  Atomics.store(words, word, number)
}

async function send(id) {
  const channel = Channel.open(map, { offset: AT.channel })
  const queue = Queue.open(map, { offset: AT.queue })
  const broadcast = Broadcast.open(map, { offset: AT.broadcast })
  const rpc = Rpc.open(map, { offset: AT.rpc })
  const [sent, told, jobs] = [AT.sent, AT.told, AT.jobs].map((offset) => wordOf(offset, id))
  for (;;) {
    await sendNext(channel, sent, id)
    if (chance(3) === 0) await sendNext(broadcast, told, id)
    if (chance(3) === 0) {
      const last = await sendNext(queue, jobs, id)
      // There was room for it, so all that long before it are done.
      for (let number = Math.max(1, last - KEPT - 4); number <= last - KEPT; number++) {
        const done = Atomics.load(words, AT.done / 4 + id * KEPT + (number % KEPT))
        if (done < number) fail(`job ${number} is gone, and was never done`)
      }
    }
    if (chance(10) === 0) await ask(rpc, id)
    getOn()
    if (chance(20) === 0) await turn()
  }
}

async function receive() {
  const channel = Channel.open(map, { offset: AT.channel })
  const rpc = Rpc.open(map, { offset: AT.rpc })
  rpc
    .serve((request) => {
      const [id, number] = parse(request)
      return message(id, -number)
    })
    .catch((error) => fail(`it cannot serve: ${error}`))
  for (;;) {
    const borrowed = channel.borrow(5)
    if (borrowed !== undefined) {
      const [id, number] = parse(borrowed)
      const received = wordOf(AT.received, id)
      const last = Atomics.load(words, received)
      // One that was received and not released comes again, and so do those whose sender did not know that it had sent them.
      if (number > last + 1) fail(`${number} of sender ${id} comes after ${last}`)
      if (number === last + 1) Atomics.store(words, received, number)
      channel.release(borrowed)
    }
    getOn()
    if (borrowed === undefined || chance(20) === 0) await turn()
  }
}

if (role.startsWith('locker')) await lock()
else if (role.startsWith('sender')) await send(Number(role.at(-1)))
else await receive()
