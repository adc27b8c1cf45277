// What a queue's receiver has received: how it comes out of the native library, and is settled.

import type { NativeQueue } from '../binding.js'
import { allocateAlone } from '../buffers.js'
import type { Lifetime } from './lifetime.js'
import { withCode } from '../errors.js'
import { explain, native } from './main.js'
import { HALF, MOST, Pool, SMALL } from './messages.js'
import { call } from './pending.js'

/** The length of each message of a batch, and how often it was delivered. */
const TOLD = new Float64Array(2 * MOST)

/** Makes what the user gets of a message. */
export type Wrap<T> = (deliveries: Deliveries<T>, number: number, data: Buffer, count: number) => T

/** Receives copies of messages, each of which has a number of its own by which it is settled. */
export class Deliveries<T> {
  readonly life: Lifetime
  readonly #native: NativeQueue
  readonly #wrap: Wrap<T>
  /** Where short messages go. A longer one that is received alone has memory of its own, which may be transferred. */
  readonly #pool = new Pool()
  /** The number of the message that was received last. */
  #last = 0

  constructor(life: Lifetime, behind: NativeQueue, wrap: Wrap<T>) {
    this.life = life
    this.#native = behind
    this.#wrap = wrap
  }

  /** The first message that is there or comes; undefined if there is none in time. */
  take(timeout: number): T | undefined {
    const pool = this.#pool
    const number = this.#last + 1
    try {
      const memory = pool.ready()
      const start = pool.used
      const told = native.queueReceive(this.#native, number, memory, start, start + SMALL, timeout)
      if (told === -1) return undefined
      this.#last = number
      const isFirst = told >= 0
      const length = isFirst ? told : -2 - told
      const data = length <= SMALL ? pool.cut(length) : this.#read(number, length)
      return this.#wrap(this, number, data, isFirst ? 1 : native.queueDeliveries(this.#native, number))
    } catch (error) {
      this.#giveUp(number)
      throw explain(this.life.map, error)
    }
  }

  /** Up to `most` messages that are there, or the first that comes. */
  takeMany(most: number, timeout: number): T[] {
    const pool = this.#pool
    const first = this.#last + 1
    const messages: T[] = []
    try {
      const target = pool.ready(HALF)
      const limit = Math.min(most, MOST)
      const count = native.queueReceiveMany(this.#native, first, target, pool.used, TOLD, limit, timeout)
      this.#last += count
      for (let i = 0, fits = true; i < count; i++) {
        const [number, length] = [first + i, TOLD[2 * i]!]
        fits &&= length <= pool.room
        const data = fits ? pool.cut(length) : this.#read(number, length)
        messages.push(this.#wrap(this, number, data, TOLD[2 * i + 1]!))
      }
      return messages
    } catch (error) {
      this.#giveUp(first)
      throw explain(this.life.map, error)
    }
  }

  /** A message for which there was no room. */
  #read(number: number, length: number): Buffer {
    const data = allocateAlone(length)
    native.queueRead(this.#native, number, data)
    return data
  }

  /** Gives up what was received from a number on, where it does not get to the user: another receiver may have the memory for it. */
  #giveUp(first: number): void {
    for (let number = first; number <= this.#last; number++) {
      try {
        native.queueSettle(this.#native, number, true)
      } catch {
        // The user hears why the messages do not get there: their page, or the mapping, may be gone.
      }
    }
  }

  /** Is done with a message, or gives it up. */
  settle(number: number, requeue: boolean): void {
    if (!call(this.life.map, () => native.queueSettle(this.#native, number, requeue))) throw notOwner()
  }
}

/** The error for a message that is not the receiver's any more. */
export function notOwner(): Error {
  return withCode(new Error('The message was released or requeued before'), 'ERR_MMAP_NOT_OWNER')
}
