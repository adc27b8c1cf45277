// Copies of messages that come: the same for channels and the receivers of broadcasts.

import { allocateAlone } from '../buffers.js'
import type { Lifetime } from './lifetime.js'
import { explain } from './main.js'
import { MOST, Pool } from './messages.js'
import { call } from './pending.js'

/** Where the messages end that were received in one call. */
const ENDS = new Uint32Array(MOST)

/** What the native library does. */
export interface Source {
  receive(target: Buffer, offset: number, timeout: number): number
  receiveMany(target: Buffer, offset: number, ends: Uint32Array, most: number, timeout: number): number
}

/** Receives messages by copying them. */
export class Copies {
  readonly #life: Lifetime
  readonly #native: Source
  /** Where short messages go. */
  readonly pool = new Pool()

  constructor(life: Lifetime, behind: Source) {
    this.#life = life
    this.#native = behind
  }

  /** The next message; undefined if there is none in time. */
  take(timeout: number): Buffer | undefined {
    this.#life.check()
    try {
      let length = this.#native.receive(this.pool.ready(), this.pool.used, timeout)
      if (length >= 0) return this.pool.cut(length)
      // One that does not fit may be gone by then, and the next one longer.
      while (length !== -1) {
        const buffer = allocateAlone(-2 - length)
        length = this.#native.receive(buffer, 0, timeout)
        if (length >= 0) return buffer.subarray(0, length)
      }
      return undefined
    } catch (error) {
      throw explain(this.#life.map, error)
    }
  }

  /** Up to `most` messages that are there; the first that comes if there is none. */
  takeMany(most: number, timeout: number): Buffer[] {
    this.#life.check()
    const messages: Buffer[] = []
    try {
      while (this.#add(messages, most, messages.length === 0 ? timeout : 0) && messages.length < most) continue
    } catch (error) {
      if (messages.length === 0) throw error // else the next call says so
    }
    return messages
  }

  /** Adds messages that come in one call. Returns whether there were any. */
  #add(messages: Buffer[], most: number, timeout: number): boolean {
    const pool = this.pool
    const memory = pool.ready()
    const first = pool.used
    const left = most - messages.length
    const count = call(this.#life.map, () => this.#native.receiveMany(memory, first, ENDS, left, timeout))
    if (count < -1) {
      const message = this.take(timeout)
      if (message !== undefined) messages.push(message)
      return message !== undefined
    }
    for (let i = 0; i < count; i++) messages.push(pool.cut(first + ENDS[i]! - pool.used))
    return count > 0
  }
}
