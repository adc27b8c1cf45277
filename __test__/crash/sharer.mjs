// Takes part in what processes share, until it is killed: `sharer.mjs FILE ROLE SEED`. (kills.ts)
//
// The memory is a Mutex, two numbers that it guards, a word for each role that grows as it gets on, what each sender has
// sent and the receiver received, and a Channel.

import { random } from '../helpers/observe.mjs'
import { AT, ROLES } from './layout.mjs'

const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const { Channel, Mutex } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
const [file, role, seed] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const chance = random(seed)

const map = mapShared(file, { protection: 'read-write' })
const words = map.typedArray(Int32Array, 0, AT.channel / 4)
const progress = AT.progress / 4 + ROLES.indexOf(role) * 16
const getOn = () => Atomics.add(words, progress, 1)

const fail = (what) => {
  console.error(`${role}: ${what}`)
  process.exit(3)
}

async function lock() {
  const mutex = new Mutex(map, AT.mutex)
  for (;;) {
    let locked
    if (chance(2) === 0) locked = mutex.lock()
    else locked = await mutex.lockAsync()
    const [one, two] = [AT.one / 4, AT.two / 4]
    // Plain loads and stores: the lock is what orders them.
    if (locked === 'acquired' && words[one] !== words[two]) fail(`unlocked with ${words[one]} and ${words[two]}`)
    if (locked === 'recovered') words[two] = words[one]
    words[one]++
    for (let spins = chance(200); spins > 0; spins--) Atomics.load(words, one)
    words[two]++
    mutex.unlock()
    getOn()
    if (chance(20) === 0) await new Promise(setImmediate)
  }
}

/** Messages: the sender, the number, and as many bytes more as the number says. */
function message(id, number) {
  const bytes = Buffer.alloc(8 + ((number * 37) % 700), number & 255)
  bytes.writeInt32LE(id, 0)
  bytes.writeInt32LE(number, 4)
  return bytes
}

async function send(id) {
  const channel = Channel.open(map, { offset: AT.channel })
  const sent = AT.sent / 4 + id * 16
  for (;;) {
    const next = Atomics.load(words, sent) + 1
    const count = chance(4) === 0 ? 1 + chance(5) : 1
    const messages = Array.from({ length: count }, (_, i) => message(id, next + i))
    if (count > 1) channel.sendMany(messages)
    else if (chance(3) === 0) await channel.sendAsync(messages[0])
    else if (chance(2) === 0) channel.send(messages[0])
    else {
      const reserved = channel.reserve(messages[0].length)
      reserved.set(messages[0])
      channel.commit(reserved)
    }
    Atomics.store(words, sent, next + count - 1)
    getOn()
    if (chance(20) === 0) await new Promise(setImmediate)
  }
}

async function receive() {
  const channel = Channel.open(map, { offset: AT.channel })
  for (;;) {
    const borrowed = channel.borrow(50)
    if (borrowed !== undefined) {
      const [id, number] = [borrowed.readInt32LE(0), borrowed.readInt32LE(4)]
      if (Buffer.compare(borrowed, message(id, number)) !== 0) fail(`a message of ${id} is not what was sent`)
      const received = AT.received / 4 + id * 16
      const last = Atomics.load(words, received)
      // One that was received and not released comes again, and so do those whose sender did not know that it had sent them.
      if (number > last + 1) fail(`${number} of sender ${id} comes after ${last}`)
      if (number === last + 1) Atomics.store(words, received, number)
      channel.release(borrowed)
    }
    getOn()
    if (chance(50) === 0) await new Promise(setImmediate)
  }
}

if (role.startsWith('locker')) await lock()
else if (role.startsWith('sender')) await send(Number(role.at(-1)))
else await receive()
