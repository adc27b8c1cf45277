// What the two processes of the demo count, and the table that they count in: one number for each kind of byte.

export const KINDS = ['zero', 'a letter', 'a digit', 'anything else']
export const TABLE_BYTES = KINDS.length * Uint32Array.BYTES_PER_ELEMENT

const kindOf = new Uint8Array(256).fill(3)
kindOf[0] = 0
kindOf.fill(1, 0x41, 0x5b).fill(1, 0x61, 0x7b)
kindOf.fill(2, 0x30, 0x3a)

/** Counts each byte from `start` to before `end` in `counters`. */
export function countBytes(counters, bytes, start, end) {
  for (let at = start; at < end; at++) counters[kindOf[bytes[at]]]++
}

export function sum(counters) {
  return counters.reduce((total, count) => total + count, 0)
}
