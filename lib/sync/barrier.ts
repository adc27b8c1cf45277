// Barriers: processes that wait until all of them have come.

import type { NativeBarrier } from '../binding.js'
import { Handle, tag } from '../handle.js'
import { toCount, toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, ended, waitFor } from './pending.js'

const MOST = 64
/** The number of no party. */
const TIMED_OUT = 2 ** 32 - 1

/**
 * A barrier in {@link Barrier.byteLength} bytes of a shared mapping, which must be zero before the first use: each of up
 * to 64 parties waits until all of them wait, as at Python's `multiprocessing.Barrier`. Then all go on, and it can be used
 * again.
 *
 * It breaks if a party that waits gives up in time, is killed or closes its mapping, or by {@link abort}: then everyone who
 * waits, or comes before {@link reset}, gets `ERR_MMAP_BROKEN`. The others learn within half a second that a party was
 * killed. Nobody notices that a party was killed before it came, so give the others a timeout.
 *
 * ```js
 * const barrier = new Barrier(map, 1024, 2)
 * await Promise.all([barrier.waitAsync(), barrier.waitAsync()]) // in two processes, usually
 * ```
 */
export class Barrier extends Handle {
  static {
    tag(this)
  }

  /** Bytes that a barrier takes. */
  static readonly byteLength = 536

  readonly #map: MemoryMap<any>
  readonly #native: NativeBarrier
  readonly #byteOffset: number

  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @param parties how many, from 1 to 64: the first `Barrier` in these bytes that gives a number sets it
   * @throws `ERR_OUT_OF_RANGE`, also if the barrier has another number of parties; `ERR_MMAP_INVALID` if the bytes are
   *   something else; `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`; the system's error if the file cannot show which
   *   processes are alive (docs/memory-model.md)
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, parties?: number) {
    const token = toToken(map)
    const place = toPlace(byteOffset)
    const count = parties === undefined ? undefined : toCount(parties, 'parties', 1, MOST)
    super()
    this.#map = map
    this.#byteOffset = place
    this.#native = call(map, () => native.barrierOpen(token, place, count))
  }

  /**
   * Waits until all parties wait, and blocks the thread meanwhile. Returns which of them this is, from 0 to
   * `parties - 1`; each number is returned once. If the time is up first, the barrier is broken for all others.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BROKEN`; `ERR_MMAP_INVALID` if nobody has said how many parties there are, or something else has
   *   overwritten the barrier; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  wait(): number
  wait(timeout: number | undefined): number | 'timed-out'
  wait(timeout?: number): number | 'timed-out' {
    const limit = toTimeout(timeout)
    return toResult(ended(call(this.#map, () => native.barrierWait(this.#native, limit))))
  }

  /**
   * As {@link wait}, without blocking the event loop. If a signal ends the wait, this party has not come, and the others
   * go on waiting; if all had come by then, the promise resolves all the same.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<number>
  waitAsync(options: number | Readonly<WaitOptions> | undefined): Promise<number | 'timed-out'>
  async waitAsync(options?: number | Readonly<WaitOptions>): Promise<number | 'timed-out'> {
    return toResult(
      await waitFor(this.#map, toLimit(options), (...rest) => native.barrierWaitAsync(this.#native, ...rest)),
    )
  }

  /**
   * Breaks the barrier: all who wait, and who come before it is reset, get `ERR_MMAP_BROKEN`. Should another process be
   * stopped (SIGSTOP) in the microsecond in which it comes or goes, this blocks until that goes on.
   */
  abort(): void {
    call(this.#map, () => native.barrierAbort(this.#native))
  }

  /** Makes the barrier as it was at first. Those who wait get `ERR_MMAP_BROKEN`. It can block as {@link abort} does. */
  reset(): void {
    call(this.#map, () => native.barrierReset(this.#native))
  }

  /** Whether it is broken. */
  get broken(): boolean {
    return call(this.#map, () => native.barrierIsBroken(this.#native))
  }

  /** How many parties must come; 0 before anyone has said. */
  get parties(): number {
    return call(this.#map, () => native.barrierParties(this.#native))
  }

  /** How many wait at the moment. */
  get waiting(): number {
    return call(this.#map, () => native.barrierWaiting(this.#native))
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}

function toResult(code: number): number | 'timed-out' {
  return code === TIMED_OUT ? 'timed-out' : code
}
