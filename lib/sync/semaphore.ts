// Permits that any process takes and gives back.

import type { NativeSemaphore } from '../binding.js'
import { Handle } from '../handle.js'
import { toCount, toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, waitFor } from './pending.js'

/**
 * A count of permits in {@link Semaphore.byteLength} bytes of a shared mapping, which are zero before it is used
 * first. It does not know who took a permit: those of a process that dies are lost.
 *
 * ```js
 * const connections = new Semaphore(map, 64, 10)
 * await connections.acquireAsync()
 * ```
 */
export class Semaphore extends Handle {
  /** Bytes that a semaphore takes. */
  static readonly byteLength = 16

  readonly #map: MemoryMap<any>
  readonly #native: NativeSemaphore
  readonly #byteOffset: number

  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @param initial how many permits it starts with, unless it was given some before; 0 if nothing ever sets it
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, initial?: number) {
    const token = toToken(map)
    const place = toPlace(byteOffset)
    const permits = initial === undefined ? undefined : toCount(initial, 'initial', 0)
    super()
    this.#map = map
    this.#byteOffset = place
    this.#native = call(map, () => new native.NativeSemaphore(token, place, permits))
  }

  /**
   * Takes a permit, and blocks the thread until it has one; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  acquire(timeout?: number): boolean {
    const limit = toTimeout(timeout)
    return call(this.#map, () => this.#native.acquire(limit)) === 0
  }

  /**
   * As {@link acquire}, with the event loop free meanwhile. A promise that is rejected has taken no permit.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async acquireAsync(options?: number | Readonly<WaitOptions>): Promise<boolean> {
    const limit = toLimit(options)
    if (this.tryAcquire()) return true
    return (await waitFor(this.#map, limit, (...rest) => this.#native.acquireAsync(...rest))) === 0
  }

  /** Takes a permit if there is one. */
  tryAcquire(): boolean {
    return call(this.#map, () => this.#native.tryAcquire())
  }

  /**
   * Gives permits back, or new ones.
   *
   * @throws `ERR_OUT_OF_RANGE` if there would be more than 2,147,483,647
   */
  release(count = 1): void {
    const permits = toCount(count, 'count', 1)
    call(this.#map, () => this.#native.release(permits))
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}
