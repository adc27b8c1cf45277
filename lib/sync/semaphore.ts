// Permits that any process takes and gives back.

import type { NativeSemaphore } from '../binding.js'
import { withCode } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toCount, toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, ended, waitFor } from './pending.js'
import { NONE, UNKNOWN, Words } from './words.js'

/** The word of a semaphore has the permits plus one. */
const EMPTY = 1
const FULL = 2 ** 31
/** Half of the word that says, by its lowest bit, whether a thread waits. */
const WAITERS = 2

/**
 * A count of permits in {@link Semaphore.byteLength} bytes of a shared mapping, which must be zero before the first
 * use. It does not know who took a permit: the permits of a process that dies are lost.
 *
 * ```js
 * const connections = new Semaphore(map, 64, 10)
 * await connections.acquireAsync()
 * ```
 */
export class Semaphore extends Handle {
  static {
    tag(this)
  }

  /** Bytes that a semaphore takes. */
  static readonly byteLength = 16

  readonly #map: MemoryMap<any>
  readonly #native: NativeSemaphore
  readonly #byteOffset: number
  readonly #words: Words

  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @param initial how many permits it starts with: the first `Semaphore` in these bytes that gives a number sets it
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, initial?: number) {
    const token = toToken(map)
    const place = toPlace(byteOffset)
    const permits = initial === undefined ? undefined : toCount(initial, 'initial', 0)
    super()
    this.#map = map
    this.#byteOffset = place
    this.#native = call(map, () => native.semaphoreOpen(token, place, permits))
    this.#words = new Words(map, place, Semaphore.byteLength)
  }

  /**
   * Takes a permit, and blocks the thread until it has one; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  acquire(timeout?: number): boolean {
    const limit = toTimeout(timeout)
    return this.#take() || ended(this.#words.call(() => native.semaphoreAcquire(this.#native, limit))) === 0
  }

  /**
   * As {@link acquire}, without blocking the event loop. If the promise rejects, no permit was taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async acquireAsync(options?: number | Readonly<WaitOptions>): Promise<boolean> {
    const limit = toLimit(options)
    if (this.tryAcquire()) return true
    return (await waitFor(this.#map, limit, (...rest) => native.semaphoreAcquireAsync(this.#native, ...rest))) === 0
  }

  /** Takes a permit if there is one. */
  tryAcquire(): boolean {
    return this.#take() || this.#words.call(() => native.semaphoreTryAcquire(this.#native))
  }

  /**
   * Returns permits, or adds new ones.
   *
   * @throws `ERR_OUT_OF_RANGE` if there would be more than 2,147,483,647
   */
  release(count = 1): void {
    const permits = toCount(count, 'count', 1)
    if (!this.#add(permits)) this.#words.call(() => native.semaphoreRelease(this.#native, permits))
    else if (this.#hasWaiters()) this.#words.call(() => native.semaphoreRelease(this.#native, 0)) // wakes them
  }

  #hasWaiters(): boolean {
    const { halves } = this.#words
    return (Atomics.load(halves, WAITERS) & 1) === 1 || !this.#words.intact
  }

  #take(): boolean {
    return this.#add(-1)
  }

  #add(count: number): boolean {
    const step = this.#words.add(count, EMPTY, FULL)
    if (step === UNKNOWN && !this.#words.arrived) {
      // A permit that was taken from, or given to, what has failed.
      this.#map.check()
      throw withCode(new Error('The memory has failed'), 'ERR_MMAP_FAULT')
    }
    return step !== NONE
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}
