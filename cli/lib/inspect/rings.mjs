// Channels and queues: docs/channel.md and docs/queue.md.

const HEADER = 512
const AT = { version: 8, ring: 16, senders: 64, head: 128, tail: 192, receiver: 256, filled: 320, emptied: 384 }
const MESSAGE = 16
/** What a queue has before the bytes of a message: who has it, and how often it was delivered. */
const ENVELOPE = 16
const STATES = [undefined, 'being written', 'waiting', 'skipped']
const PADDING = 4n
/** Who has a message that is done. */
const DONE = 1n

export function channelsOf(memory) {
  return ringsOf(memory, 'MMAPCHAN', (ring, span) => ({
    messages: span && count(memory, span),
    receiver: memory.lock(ring.offset + AT.receiver).owner,
  }))
}

export function queuesOf(memory) {
  return ringsOf(memory, 'MMAPQUEU', (_, span) => queued(memory, span))
}

function ringsOf(memory, magic, contents) {
  return memory
    .occurrences(Buffer.from(magic), 64)
    .map((offset) => ringAt(memory, offset, contents))
    .filter((ring) => ring !== undefined)
}

/** A ring, or undefined if those bytes are not the start of one. */
function ringAt(memory, offset, contents) {
  if (offset + HEADER > memory.length) return undefined
  const word = (at) => memory.word(offset + at)
  const [version, ring] = [word(AT.version), Number(word(AT.ring))]
  if (version !== 1n) return { offset, length: HEADER, version: Number(version) }
  if (ring < 128 || ring % 64 !== 0 || offset + HEADER + ring > memory.length) return undefined
  const [tail, head] = [word(AT.tail), word(AT.head)]
  const used = Number(BigInt.asUintN(64, head - tail))
  const isDamaged = used > ring || (head | tail) % 8n !== 0n
  const span = isDamaged ? undefined : { start: offset + HEADER, ring, tail, head }
  const found = { offset, length: HEADER + ring, version: 1, capacity: ring - 64, used: span && used }
  return {
    ...found,
    ...contents(found, span),
    sender: memory.lock(offset + AT.senders).owner, // who is reserving room now
    receiverMaySleep: memory.maySleep(offset + AT.filled),
    senderMaySleep: memory.maySleep(offset + AT.emptied),
  }
}

/**
 * The messages of a ring, up to the first that cannot be one, of which there is only its offset. While others use the
 * ring: about.
 */
function* messagesOf(memory, { start, ring, tail, head }) {
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
    if (state === undefined || position + bytes > head || at + Number(bytes) > ring) return yield { damaged: true }
    yield {
      offset: start + at + MESSAGE,
      state,
      length: Number(state === 'waiting' ? lengths >> 32n : reserved),
      sender: memory.participant(first >> 2n),
    }
    position += bytes
  }
}

/** How many messages of a channel there are of each state, and the first one. */
function count(memory, span) {
  const found = { waiting: 0, 'being written': 0, skipped: 0, next: undefined, damaged: false }
  for (const { damaged, state, length, sender } of messagesOf(memory, span)) {
    if (damaged) return { ...found, damaged }
    found[state]++
    found.next ??= { state, length, sender }
  }
  return found
}

/** How many messages of a queue there are of each state, the first that nobody has had, and who has how many. */
function queued(memory, span) {
  if (span === undefined) return { messages: undefined, receivers: [] }
  const found = { waiting: 0, delivered: 0, done: 0, 'being written': 0, skipped: 0, next: undefined, damaged: false }
  const receivers = new Map()
  for (const { damaged, offset, state, length, sender } of messagesOf(memory, span)) {
    if (damaged || length < ENVELOPE) {
      found.damaged = true
      break
    }
    const [claim, deliveries] = state === 'waiting' ? memory.words(offset, 2) : [0n, 0n]
    if (claim === DONE) found.done++
    else if (claim !== 0n) {
      found.delivered++
      const number = claim >> 2n
      const { messages = 0, most = 0 } = receivers.get(number) ?? {}
      receivers.set(number, { messages: messages + 1, most: Math.max(most, Number(deliveries)) })
    } else {
      found[state]++
      found.next ??= { state, length: length - ENVELOPE, deliveries: Number(deliveries), sender }
    }
  }
  const each = Array.from(receivers, ([number, has]) => Object.assign(memory.participant(number), has))
  return { messages: found, receivers: each }
}
