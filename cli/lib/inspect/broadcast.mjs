// Broadcasts: docs/broadcast.md.

const HEADER = 320
const AT = { version: 8, ring: 16, lossless: 24, senders: 64, head: 128, tail: 136, filled: 192, emptied: 256 }
const PLACES = 64
const PLACE = 64
/** In place of a length: nothing follows up to the end of the ring. */
const PADDING = 2n ** 64n - 1n

export function broadcastsOf(memory) {
  return memory
    .occurrences(Buffer.from('MMAPCAST'), 64)
    .map((offset) => broadcastAt(memory, offset))
    .filter((broadcast) => broadcast !== undefined)
}

/** A broadcast, or undefined if those bytes are not the start of one. */
function broadcastAt(memory, offset) {
  if (offset + HEADER > memory.length) return undefined
  const word = (at) => memory.word(offset + at)
  const [version, ring, lossless] = [word(AT.version), Number(word(AT.ring)), word(AT.lossless) === 1n]
  if (version !== 1n) return { offset, length: HEADER, version: Number(version) }
  const header = HEADER + (lossless ? PLACES * PLACE : 0)
  if (ring < 128 || ring % 64 !== 0 || offset + header + ring > memory.length) return undefined
  const [tail, head] = [word(AT.tail), word(AT.head)]
  const used = Number(BigInt.asUintN(64, head - tail))
  const isDamaged = used > ring || (head | tail) % 8n !== 0n
  return {
    offset,
    length: header + ring,
    version: 1,
    capacity: ring - 64,
    lossless,
    used: isDamaged ? undefined : used,
    messages: isDamaged ? undefined : messagesOf(memory, { start: offset + header, ring, tail, head }),
    receivers: lossless && !isDamaged ? receiversOf(memory, offset + HEADER, head) : undefined,
    sender: memory.lock(offset + AT.senders).owner,
    receiverMaySleep: memory.maySleep(offset + AT.filled),
    senderMaySleep: memory.maySleep(offset + AT.emptied),
  }
}

/** How many messages have not been written over, and the newest of them. While others send: about. */
function messagesOf(memory, { start, ring, tail, head }) {
  const found = { kept: 0, newest: undefined, damaged: false }
  for (let position = tail; position < head;) {
    const at = Number(position % BigInt(ring))
    const length = memory.word(start + at)
    if (length === PADDING) {
      position += BigInt(ring - at)
      continue
    }
    const bytes = 16n + ((length + 7n) & ~7n)
    if (position + bytes > head || BigInt(at) + bytes > BigInt(ring)) return { ...found, damaged: true }
    found.kept++
    found.newest = { number: memory.word(start + at + Number(bytes) - 8), length: Number(length) }
    position += bytes
  }
  return found
}

/** The receivers for which senders wait, and how many bytes they have still to receive. */
function receiversOf(memory, places, head) {
  return Array.from({ length: PLACES }, (_, i) => memory.words(places + i * PLACE, 2))
    .filter(([number]) => number !== 0n)
    .map(([number, position]) =>
      Object.assign(memory.participant(number), { behind: Number(BigInt.asIntN(64, head - position)) }),
    )
}
