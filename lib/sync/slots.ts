// Copies the newest value in JavaScript, because a call of the native library costs several times what copying a short value
// does.
//
// It makes one attempt at what crates/memory-map/src/ipc/seqlock.rs does. If anything is not as it should be, it gives NONE,
// and the native library is called. On x64 only, where a processor makes its loads in order: elsewhere a load of the copy
// might be made after the last look at the slot's mark, and JavaScript has no fence. words.ts says how it knows that the
// guard has put nothing else in the place of the memory.

import { cut } from '../buffers.js'
import { type MemoryMap } from './main.js'
import { isOrdered, Words } from './words.js'

/** Nothing was copied. */
export const NONE = -1

/** Halves of words: what the memory is, and the number of the newest value; bytes of the head, and of a slot's. */
const [LAYOUT, CURRENT, HEAD, HEADER] = [0, 4, 64, 16]
const KIND = 0x4c01

/** The slots of a {@link Latest} whose values have up to `max` bytes. */
export class Slots {
  readonly words: Words
  readonly #max: number
  /** The words that the views are made of, and a view of the value of each slot. */
  #halves: Int32Array = new Int32Array(0)
  #values: Uint8Array[] = []

  constructor(map: MemoryMap<any>, offset: number, length: number, max: number) {
    this.words = new Words(map, offset, length)
    this.#max = max
  }

  /** Copies the newest value to `target`, from `start` on, and returns its length, or {@link NONE}. */
  read(target: Uint8Array, start: number): number {
    const { halves, isReady } = this.words
    if (!isOrdered || !isReady) return NONE
    const max = this.#max
    if (halves[LAYOUT] !== ((max << 16) | KIND) || halves[LAYOUT + 1] !== max >>> 16) return NONE
    const low = halves[CURRENT]!
    const high = halves[CURRENT + 1]!
    // 2 ** 32 is one more than a multiple of three.
    const slot = (((low >>> 0) % 3) + ((high >>> 0) % 3)) % 3
    const mark = (HEAD + slot * (HEADER + max)) / 4
    if (halves[mark] !== low || halves[mark + 1] !== high || (low | high) === 0) return NONE
    const length = halves[mark + 2]!
    if (length < 0 || length > max || halves[mark + 3] !== 0 || length > target.length - start) return NONE
    try {
      target.set(this.#value(slot, length), start)
    } catch {
      return NONE // the target or the view is detached
    }
    // The look at what has changed comes between the copy and the marks, also for the compiler.
    return this.words.intact && halves[mark] === low && halves[mark + 1] === high ? length : NONE
  }

  #value(slot: number, length: number): Uint8Array {
    const { halves } = this.words
    if (halves !== this.#halves) {
      this.#halves = halves
      this.#values = []
    }
    const known = this.#values[slot]
    if (known !== undefined && known.length === length) return known
    const start = halves.byteOffset + HEAD + slot * (HEADER + this.#max) + HEADER
    return (this.#values[slot] = cut(halves.buffer, start, length))
  }
}
