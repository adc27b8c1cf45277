// What lies in shared memory: channels, mutexes and semaphores. It only looks, and takes nothing. The layouts are in
// docs/channel.md and docs/memory-model.md.

import { existsSync, fstatSync } from 'node:fs'

import { mapShared, openSharedMemory } from 'memory-map'

import { size } from './draw.mjs'
import { nameOf, participants } from './processes.mjs'

const HEADER = 512
const AT = { version: 8, ring: 16, senders: 64, head: 128, tail: 192, receiver: 256, filled: 320, emptied: 384 }
const MESSAGE = 16
const STATES = [undefined, 'being written', 'waiting', 'skipped']
const PADDING = 4n

export function inspectShared(name, { mutex, semaphore, json }) {
  const map = existsSync(name) ? mapShared(name) : openSharedMemory(name, { protection: 'read' })
  try {
    const memory = new Memory(map)
    const channels = channelsOf(memory)
    const outside = (at) => channels.every(({ offset, length }) => at < offset || at >= offset + length)
    const held = memory.heldWords().filter((at) => outside(at) && !mutex.includes(at))
    const found = {
      name,
      length: map.length,
      channels,
      mutexes: [...mutex, ...held].toSorted((a, b) => a - b).map((offset) => memory.lock(offset)),
      semaphores: semaphore.map((offset) => permitsAt(memory, offset)),
    }
    if (json) console.log(JSON.stringify(found, (_, value) => (typeof value === 'bigint' ? String(value) : value), 2))
    else console.log(linesOf(found, memory.knowsAlive).join('\n'))
  } finally {
    map.close()
  }
}

/** Words of the mapping, and who is alive. */
class Memory {
  #participants

  constructor(map) {
    this.map = map
    this.#participants = map.fd === undefined ? undefined : participants(fstatSync(map.fd).ino)
  }

  get knowsAlive() {
    return this.#participants !== undefined
  }

  word(offset) {
    return this.map.read(offset, 8).readBigUInt64LE()
  }

  /** A participant by its number: its process, where that may be seen. */
  participant(number) {
    if (number === 0n) return undefined
    const alive = this.#participants?.alive.has(number) ?? 'unknown'
    return { number, alive, pid: this.#participants?.alive.get(number) }
  }

  /** The state of a lock of eight bytes. */
  lock(offset) {
    const word = this.word(offset)
    const isHeld = (word & 2n) === 2n
    return { offset, owner: isHeld ? this.participant(word >> 2n) : undefined, contended: isHeld && (word & 1n) === 1n }
  }

  /** Where the words are that say that a living participant holds a mutex. */
  heldWords() {
    return (this.#participants?.ofFile ?? []).flatMap((number) =>
      [2n, 3n].flatMap((state) => {
        const bytes = Buffer.alloc(8)
        bytes.writeBigUInt64LE(number * 4n + state)
        return this.occurrences(bytes, 8)
      }),
    )
  }

  /** Where bytes occur at multiples of `alignment` in memory. */
  occurrences(bytes, alignment) {
    const found = []
    for (let at = this.map.indexOf(bytes); at !== -1; at = this.map.indexOf(bytes, at + 1)) {
      if (at % alignment === 0) found.push(at)
    }
    return found
  }
}

function channelsOf(memory) {
  return memory
    .occurrences(Buffer.from('MMAPCHAN'), 64)
    .map((offset) => channelAt(memory, offset))
    .filter((channel) => channel !== undefined)
}

/** A channel, or undefined if those bytes are not the start of one. */
function channelAt(memory, offset) {
  if (offset + HEADER > memory.map.length) return undefined
  const word = (at) => memory.word(offset + at)
  const [version, ring] = [word(AT.version), Number(word(AT.ring))]
  if (version !== 1n) return { offset, length: HEADER, version: Number(version) }
  if (ring < 128 || ring % 64 !== 0 || offset + HEADER + ring > memory.map.length) return undefined
  const [tail, head] = [word(AT.tail), word(AT.head)]
  const used = Number(BigInt.asUintN(64, head - tail))
  const isDamaged = used > ring || (head | tail) % 8n !== 0n
  return {
    offset,
    length: HEADER + ring,
    version: 1,
    capacity: ring - 64,
    used: isDamaged ? undefined : used,
    messages: isDamaged ? undefined : messagesOf(memory, { start: offset + HEADER, ring, tail, head }),
    receiver: memory.lock(offset + AT.receiver).owner,
    sender: memory.lock(offset + AT.senders).owner, // who is reserving room now
    receiverMaySleep: (word(AT.filled) & 1n) === 1n,
    senderMaySleep: (word(AT.emptied) & 1n) === 1n,
  }
}

/** How many messages there are of each state, and the length of the first. While others use the channel: about. */
function messagesOf(memory, { start, ring, tail, head }) {
  const count = { waiting: 0, 'being written': 0, skipped: 0 }
  let next
  let damaged = false
  for (let position = tail; position < head;) {
    const at = Number(position % BigInt(ring))
    const first = memory.word(start + at)
    if (first === PADDING) {
      position += BigInt(ring - at)
      continue
    }
    const state = STATES[Number(first & 3n)]
    const lengths = at + MESSAGE <= ring ? memory.word(start + at + 8) : 0n
    const reserved = lengths & 0xffff_ffffn
    const bytes = BigInt(MESSAGE) + ((reserved + 7n) & ~7n)
    if (state === undefined || position + bytes > head || at + Number(bytes) > ring) {
      damaged = true
      break
    }
    count[state]++
    next ??= {
      state,
      length: Number(state === 'waiting' ? lengths >> 32n : reserved),
      sender: memory.participant(first >> 2n),
    }
    position += bytes
  }
  return { ...count, next, damaged }
}

function permitsAt(memory, offset) {
  const word = memory.word(offset)
  const used = word > 0n && word <= 2n ** 31n
  return { offset, permits: used ? Number(word) - 1 : undefined, maySleep: (memory.word(offset + 8) & 1n) === 1n }
}

function linesOf({ name, length, channels, mutexes, semaphores }, knowsAlive) {
  const lines = [`${name}: ${size(length)}`, ...channels.flatMap(linesOfChannel)]
  for (const { offset, owner, contended } of mutexes) {
    lines.push(`mutex at ${offset}: ${owner ? `held by ${who(owner)}${contended ? ', others may wait' : ''}` : 'free'}`)
  }
  for (const { offset, permits, maySleep } of semaphores) {
    const count = permits === undefined ? 'not used yet, or something else' : `${permits} permits`
    lines.push(`semaphore at ${offset}: ${count}${maySleep ? ', others may wait' : ''}`)
  }
  if (channels.length + mutexes.length + semaphores.length === 0) lines.push('no channel, and no mutex that is held')
  if (!knowsAlive) lines.push('Who is alive can be seen only on Linux, with /proc.')
  return lines
}

function linesOfChannel({ offset, version, capacity, used, messages, receiver, sender }) {
  if (version !== 1) return [`channel at ${offset}: version ${version}, which is not known here`]
  if (used === undefined) return [`channel at ${offset}: damaged`]
  const { waiting, 'being written': written, skipped, next, damaged } = messages
  return [
    `channel at ${offset}: ${size(used)} of ${size(capacity)} used, ${((100 * used) / capacity).toFixed(0)} %`,
    `  messages: ${waiting} waiting, ${written} being written, ${skipped} skipped${damaged ? ', and then damage' : ''}`,
    ...(next ? [`  next: ${next.length} bytes, ${next.state}, from ${who(next.sender)}`] : []),
    `  receiver: ${who(receiver)}`,
    ...(sender ? [`  reserving room: ${who(sender)}`] : []),
  ]
}

function who(participant) {
  if (participant === undefined) return 'nobody'
  const { alive, pid } = participant
  if (pid !== undefined) return `process ${pid} (${nameOf(pid).slice(0, 60)})`
  return { true: "another user's process", false: 'a dead process', unknown: 'a process' }[alive]
}
