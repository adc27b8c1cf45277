// Mutual exclusion between processes.

import type { NativeMutex } from '../binding.js'
import { invalidType } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, ended, waitFor } from './pending.js'
import { DONE, NONE, type Step, UNKNOWN, Words } from './words.js'

/** How a lock was acquired: after its last owner released it, or after that owner died. */
export type Locked = 'acquired' | 'recovered'

const RESULTS = ['acquired', 'recovered', 'timed-out'] as const

/** What a `Condition` needs of a mutex. */
export interface MutexParts {
  readonly handle: NativeMutex
  readonly map: MemoryMap<any>
  /** Waits of its mapping that lock by its name on other threads. */
  readonly pending: { count: number }
}

/** What a `Condition` needs of `value`, which must be a mutex. */
export let toMutex: (value: unknown) => MutexParts

/** How many `lockAsync` of a mapping are pending: their threads lock and unlock under the same name. */
const waiting = new WeakMap<MemoryMap<any>, { count: number }>()

/**
 * A lock in {@link Mutex.byteLength} bytes of a shared mapping, which must be zero before the first use.
 *
 * Its owner is a mapping: everything done through one `MemoryMap` counts as one owner. If the owner's process dies, at
 * any moment, or its mapping is closed, the next `lock` returns `'recovered'`: what the lock protects may be half
 * changed.
 *
 * ```js
 * const mutex = new Mutex(map, 0)
 * if (mutex.lock() === 'recovered') repair()
 * try {
 *   change()
 * } finally {
 *   mutex.unlock()
 * }
 * ```
 */
export class Mutex extends Handle {
  static {
    tag(this)
    toMutex = (value) => {
      if (typeof value === 'object' && value !== null && #native in value) {
        return { handle: value.#native, map: value.#map, pending: value.#waiting }
      }
      throw invalidType('mutex', 'a Mutex', value)
    }
  }

  /** Bytes that a mutex takes. */
  static readonly byteLength = 8

  readonly #map: MemoryMap<any>
  readonly #native: NativeMutex
  readonly #byteOffset: number
  readonly #words: Words
  /** What the word is while this mapping has the lock and no thread waits for it. */
  readonly #held: bigint
  readonly #waiting: { count: number }

  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`; the system's error if the file
   *   cannot show which processes are alive (docs/memory-model.md)
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint) {
    const token = toToken(map)
    const place = toPlace(byteOffset)
    super()
    this.#map = map
    this.#byteOffset = place
    this.#native = call(map, () => native.mutexOpen(token, place))
    this.#words = new Words(map, place, Mutex.byteLength)
    this.#held = native.mutexHeld(this.#native)
    const known = waiting.get(map)
    this.#waiting = known ?? { count: 0 }
    if (known === undefined) waiting.set(map, this.#waiting)
  }

  /**
   * Takes the lock, and blocks the thread until it has it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping holds it already; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lock(): Locked
  lock(timeout: number | undefined): Locked | 'timed-out'
  lock(timeout?: number): Locked | 'timed-out' {
    const limit = toTimeout(timeout)
    const step = this.#swap(0n, this.#held)
    return step === DONE ? 'acquired' : RESULTS[this.#lock(step, limit)]!
  }

  /**
   * As {@link lock}, without blocking the event loop. It also waits if this mapping holds the lock, because another
   * function can release it. If the promise rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  async lockAsync(options?: number | Readonly<WaitOptions>): Promise<Locked | 'timed-out'> {
    const limit = toLimit(options)
    const now = this.tryLock()
    if (now) return now
    this.#waiting.count++
    try {
      return RESULTS[await waitFor(this.#map, limit, (...rest) => native.mutexLockAsync(this.#native, ...rest))]!
    } finally {
      this.#waiting.count--
    }
  }

  /** Takes the lock if no living owner holds it. Returns how it was acquired, or `false`. */
  tryLock(): Locked | false {
    const step = this.#swap(0n, this.#held)
    if (step === DONE) return 'acquired'
    const code = step === NONE ? this.#words.call(() => native.mutexTryLock(this.#native)) : this.#lock(step, 0)
    return code === 2 ? false : (RESULTS[code] as Locked)
  }

  /**
   * Releases the lock.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if this mapping does not hold it
   */
  unlock(): void {
    const step = this.#swap(this.#held, 0n)
    if (step === DONE) return
    try {
      this.#words.call(() => native.mutexUnlock(this.#native))
    } catch (error) {
      if (!(step === UNKNOWN && isOf(error, 'ERR_MMAP_NOT_OWNER'))) throw error // else it was unlocked
    }
  }

  #swap(from: bigint, to: bigint): Step {
    // Else it could not be found out later who had done it.
    return this.#waiting.count === 0 ? this.#words.swap(from, to) : NONE
  }

  #lock(step: Step, limit: number): number {
    try {
      return ended(this.#words.call(() => native.mutexLock(this.#native, limit)))
    } catch (error) {
      if (!(step === UNKNOWN && isOf(error, 'ERR_MMAP_DEADLOCK'))) throw error
      // It is ours, by this step or from before: a step that did not arrive has not taken it.
      if (this.#words.arrived) return 0
      throw error
    }
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}

function isOf(error: unknown, code: string): boolean {
  return (error as { code?: unknown }).code === code
}
