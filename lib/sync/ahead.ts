// Messages of a channel that were copied in one call of the native library, and are received here one by one.
//
// Only the first of them was received in that call. Each of the others is in the ring still, and is received when the tail
// goes past it, by one compare-and-swap (words.ts): it fails where anything else has moved the tail meanwhile. So whatever
// else is called in between finds the messages where they were, and a receiver that is killed leaves those to the next
// one that it has not given out.

import type { Pool } from './messages.js'
import { NONE, UNKNOWN, type Words } from './words.js'

/** How many messages are copied in one call at most, and how many numbers there are for each (binding.d.ts). */
const [MOST, NUMBERS] = [64, 3]

/** After how many messages that came alone only one is copied in each call, which takes half the time. */
const FEW = 4

/** Halves of words in a channel's head (docs/channel.md). */
export const [HEAD, TAIL, EMPTIED] = [32, 48, 96]

/** What the native library does. */
interface Native {
  receive(target: Buffer, offset: number, timeout: number): number
  receiveAhead(target: Buffer, offset: number, places: Int32Array, most: number, timeout: number): number
  wakeSenders(): void
  /** Whether the channel's receiver is this one still. */
  isReceiver(): boolean
}

/** Receives by copying, also what comes next. */
export class Ahead {
  readonly #words: Words
  readonly #pool: Pool
  readonly #native: Native
  readonly #places = new Int32Array(MOST * NUMBERS)
  /** Which one is next, and how many there are. */
  #next = 0
  #count = 0
  /** How many to copy next time. */
  #most = 1
  /** How many messages in a row came alone. */
  #alone = 0
  /** From where on in the pool they are. */
  #start = 0
  /** The upper half of the tail: none of them changes it. */
  #upper = 0

  constructor(words: Words, pool: Pool, behind: Native) {
    this.#words = words
    this.#pool = pool
    this.#native = behind
  }

  /** As `channelReceive`: the length of a message that was copied to `target`, or a negative number. */
  receive(target: Buffer, offset: number, timeout: number): number {
    if (this.#next < this.#count) this.#most = 1 // they were copied in vain
    this.#next = this.#count = 0
    const words = this.#words
    const places = this.#places
    const most = this.#alone < FEW && target === this.#pool.memory && words.isReady ? this.#most : 1
    let count = 1
    let length: number
    if (most > 1) {
      count = this.#native.receiveAhead(target, offset, places, most, timeout)
      length = count > 0 ? places[0]! : count
    } else {
      length = this.#native.receive(target, offset, timeout)
    }
    words.prepare()
    if (length < 0) return length
    const { halves, isReady } = words
    if (!isReady) return length
    this.#most = Math.min(2 * count, MOST)
    this.#alone = count === 1 && halves[HEAD] === halves[TAIL] ? this.#alone + 1 : 0
    if (count > 1) {
      this.#start = offset
      this.#next = 1
      this.#count = count
      this.#upper = halves[TAIL + 1] ?? 0
    }
    return length
  }

  /** The next one that was copied, if it is there still. */
  take(): Buffer | undefined {
    const next = this.#next
    if (next >= this.#count) return undefined
    const words = this.#words
    if (!words.isReady || !this.#pool.isThere) {
      this.drop()
      return undefined
    }
    const places = this.#places
    const at = next * NUMBERS
    const tail = places[at + 1]!
    const upper = words.halves[TAIL + 1]
    // Of memory that was taken away it is undefined, which `move` notes.
    const isSame = upper === undefined || (upper === this.#upper && this.#native.isReceiver())
    const step = isSame ? words.move(TAIL, places[at - 2]!, tail) : NONE
    // Something may have failed elsewhere in the mapping meanwhile: now the words are in place, and only this moves the tail.
    if (step === NONE || (step === UNKNOWN && !words.arrived && words.halves[TAIL] !== tail)) {
      this.drop()
      return undefined
    }
    this.#next = next + 1
    this.#wake(tail, places[at + 2] === 1, next + 1 === this.#count)
    const pool = this.#pool
    return pool.cut(this.#start + places[at]! - pool.used)
  }

  /** Forgets those that were copied: their memory is to be used for others. */
  drop(): void {
    this.#count = 0
    this.#most = 1
  }

  /** Wakes senders that wait for room, if it is worth it: for an eighth of the ring, or when that is empty. */
  #wake(tail: number, passesEighth: boolean, isLast: boolean): void {
    if (!passesEighth && !isLast) return
    const { halves } = this.#words
    try {
      if (!passesEighth && Atomics.load(halves, HEAD) !== tail) return
      if ((Atomics.load(halves, EMPTIED) & 1) === 1) this.#native.wakeSenders()
    } catch {
      // The memory is gone, and with it those who wait there; the next call says so.
    }
  }
}
