// Events that have happened or not, and that any process waits for.

import type { NativeEvent } from '../binding.js'
import { Handle, tag } from '../handle.js'
import { toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, ended, waitFor } from './pending.js'
import { Words } from './words.js'

/** The bit of the word that says that the event is set. */
const SET = 2

/**
 * A flag in {@link Event.byteLength} bytes of a shared mapping, which must be zero before the first use. It is set and
 * cleared by any process, and wakes all who wait for it when it is set, as Python's `multiprocessing.Event` does.
 *
 * No wake-up is lost: a wait that began before `set()` ends, even if `clear()` follows at once. A process that is killed
 * leaves nothing behind. Bytes that were something else are an event that is set or not.
 *
 * ```js
 * import { Event } from 'memory-map/sync' // else it is the global one
 *
 * const ready = new Event(map, 128)
 * setTimeout(() => ready.set(), 5) // in another process
 * await ready.waitAsync()
 * ```
 */
export class Event extends Handle {
  static {
    tag(this)
  }

  /** Bytes that an event takes. */
  static readonly byteLength = 8

  readonly #map: MemoryMap<any>
  readonly #native: NativeEvent
  readonly #byteOffset: number
  readonly #words: Words

  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint) {
    const token = toToken(map)
    const place = toPlace(byteOffset)
    super()
    this.#map = map
    this.#byteOffset = place
    this.#native = call(map, () => native.eventOpen(token, place))
    this.#words = new Words(map, place, Event.byteLength)
  }

  /** Whether it is set. */
  isSet(): boolean {
    const half = this.#words.peek()
    return half === undefined ? this.#words.call(() => native.eventIsSet(this.#native)) : (half & SET) !== 0
  }

  /** Sets it, and wakes all who wait. */
  set(): void {
    this.#words.call(() => native.eventSet(this.#native))
  }

  /** Clears it: waits that begin from now on wait for the next `set()`. */
  clear(): void {
    this.#words.call(() => native.eventClear(this.#native))
  }

  /**
   * Waits until it is set, and blocks the thread meanwhile; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  wait(timeout?: number): boolean {
    const limit = toTimeout(timeout)
    return this.isSet() || ended(this.#words.call(() => native.eventWait(this.#native, limit))) === 0
  }

  /**
   * As {@link wait}, without blocking the event loop. The wait begins with the call, not when it is awaited.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async waitAsync(options?: number | Readonly<WaitOptions>): Promise<boolean> {
    const limit = toLimit(options)
    return (
      this.isSet() || (await waitFor(this.#map, limit, (...rest) => native.eventWaitAsync(this.#native, ...rest))) === 0
    )
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}
