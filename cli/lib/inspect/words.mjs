// Locks, and the other objects of a few words: docs/memory-model.md and docs/latest.md.

const RWLOCK = { state: 8, slots: 32, count: 60, length: 512 }
const BARRIER = { state: 8, names: 24, most: 64, length: 536 }
/** The upper 15 bits of a barrier's second word. */
const BARRIER_MARK = 0x2b41
const LATEST = { writers: 8, current: 16, changed: 24, slots: 64, header: 16 }
/** The lowest two bytes of the first word of a `Latest`. */
const LATEST_KIND = 0x4c01

/** @param {number} offset of an `RwLock` */
export function rwLockAt(memory, offset) {
  const [gate, state] = [memory.lock(offset), memory.word(offset + RWLOCK.state)]
  const slots = memory.words(offset + RWLOCK.slots, RWLOCK.count).filter((number) => number !== 0n)
  const inside = gate.owner !== undefined && state >> 2n === gate.owner.number
  return {
    offset,
    length: RWLOCK.length,
    exclusive: inside ? gate.owner : undefined,
    shared: slots.map((number) => memory.participant(number)),
    waiting: inside ? undefined : gate.owner,
    contended: gate.contended,
    unrepaired: state !== 0n && !(inside && gate.owner.alive !== false),
  }
}

/** @param {number} offset of a `Semaphore` */
export function semaphoreAt(memory, offset) {
  const word = memory.word(offset)
  const used = word > 0n && word <= 2n ** 31n
  return { offset, permits: used ? Number(word) - 1 : undefined, maySleep: memory.maySleep(offset + 8) }
}

/** @param {number} offset of an `Event` */
export function eventAt(memory, offset) {
  const word = memory.word(offset)
  return { offset, isSet: (word & 2n) === 2n, times: word >> 2n, maySleep: (word & 1n) === 1n }
}

/** @param {number} offset of a `Condition` */
export function conditionAt(memory, offset) {
  const word = memory.word(offset)
  return { offset, waiting: Number((word >> 32n) & 0xffffn), notifications: Number(word >> 48n) }
}

/** Barriers are found by the mark in their second word. */
export function barriersOf(memory) {
  return memory
    .wordsWith((_, highest) => highest >> 1 === BARRIER_MARK)
    .map((at) => barrierAt(memory, at - BARRIER.state))
    .filter((barrier) => barrier !== undefined)
}

/** A barrier, or undefined if those bytes are not one. */
function barrierAt(memory, offset) {
  if (offset < 0 || offset + BARRIER.length > memory.length) return undefined
  const state = memory.word(offset + BARRIER.state)
  const parties = Number((state >> 32n) & 0xffffn)
  const names = memory.words(offset + BARRIER.names, BARRIER.most)
  if (parties < 1 || parties > BARRIER.most || names.slice(parties).some((name) => name !== 0n)) return undefined
  const present = names.filter((name) => name >> 3n !== 0n && (name & 7n) === (state & 7n))
  return {
    offset,
    length: BARRIER.length,
    parties,
    broken: ((state >> 48n) & 1n) === 1n,
    generation: Number(state & 0xffff_ffffn),
    waiting: present.map((name) => memory.participant(name >> 3n)),
  }
}

/** A `Latest` is found by its first word, and by the marks of its slots, which say which values are in them. */
export function latestOf(memory) {
  return memory
    .wordsWith((lowest) => lowest === LATEST_KIND)
    .map((offset) => latestAt(memory, offset))
    .filter((latest) => latest !== undefined)
}

/** A `Latest`, or undefined if those bytes are not one. */
function latestAt(memory, offset) {
  if (offset + LATEST.slots > memory.length) return undefined
  const max = memory.word(offset) >> 16n
  const slot = LATEST.header + Number(max)
  const length = LATEST.slots + 3 * slot
  if (max === 0n || max % 8n !== 0n || offset + length > memory.length) return undefined
  const version = memory.word(offset + LATEST.current)
  const slots = [0, 1, 2].map((i) => memory.words(offset + LATEST.slots + i * slot, 2))
  // The slot that is written has the mark 0, or that of the value which will be the newest.
  const fits = slots.every(([mark], i) => mark === 0n || (mark % 3n === BigInt(i) && mark <= version + 1n))
  const [mark, bytes] = slots[Number(version % 3n)]
  if (!fits || (version > 0n && (bytes > max || (mark !== version && mark !== 0n)))) return undefined
  return {
    offset,
    length,
    maxLength: Number(max),
    version,
    bytes: version === 0n ? undefined : Number(bytes),
    writer: memory.lock(offset + LATEST.writers).owner,
    maySleep: memory.maySleep(offset + LATEST.changed),
  }
}
