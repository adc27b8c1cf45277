// A lock that many share or one has alone, between processes.

import type { NativeRwLock } from '../binding.js'
import { Handle, tag } from '../handle.js'
import { toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import type { Locked } from './mutex.js'
import { call, ended, waitFor } from './pending.js'

const RESULTS = ['acquired', 'recovered', 'timed-out'] as const

/**
 * A lock in {@link RwLock.byteLength} bytes of a shared mapping, which must be zero before the first use. Many readers
 * share it, or one writer has it alone.
 *
 * Its owner is a mapping, as for {@link Mutex}: everything done through one `MemoryMap` counts as one owner, which may
 * share the lock several times and then unlocks as often. Sixty mappings can share it at a time; more wait.
 *
 * Writers are not starved: while one waits, new readers wait too. (Only `lockShared` of a mapping that shares the lock
 * already does not, since the writer waits for that mapping.)
 *
 * A reader that is killed, or whose mapping is closed, no longer has the lock. After the death of a writer that had it,
 * everybody who locks gets `'recovered'` until the next writer unlocks: what the lock protects may be half changed.
 *
 * ```js
 * const lock = new RwLock(map, 0)
 * if (lock.lockExclusive() === 'recovered') repair()
 * change()
 * lock.unlock()
 *
 * await lock.lockSharedAsync()
 * map.read(512, 64)
 * lock.unlock()
 * ```
 */
export class RwLock extends Handle {
  static {
    tag(this)
  }

  /** Bytes that it takes. */
  static readonly byteLength = 512

  readonly #map: MemoryMap<any>
  readonly #native: NativeRwLock
  readonly #byteOffset: number

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
    this.#native = call(map, () => native.rwlockOpen(token, place))
  }

  /**
   * Shares the lock, and blocks the thread until no writer has it or waits for it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping has it alone; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lockShared(): Locked
  lockShared(timeout: number | undefined): Locked | 'timed-out'
  lockShared(timeout?: number): Locked | 'timed-out' {
    const limit = toTimeout(timeout)
    return RESULTS[ended(call(this.#map, () => native.rwlockLockShared(this.#native, limit)))]!
  }

  /**
   * Takes the lock alone, and blocks the thread until nobody else has it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping has it already, alone or shared; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lockExclusive(): Locked
  lockExclusive(timeout: number | undefined): Locked | 'timed-out'
  lockExclusive(timeout?: number): Locked | 'timed-out' {
    const limit = toTimeout(timeout)
    return RESULTS[ended(call(this.#map, () => native.rwlockLockExclusive(this.#native, limit)))]!
  }

  /**
   * As {@link lockShared}, without blocking the event loop. It also waits for what this mapping has, because another
   * function can release it: for an exclusive lock, and behind a writer that waits for a shared one. If the promise
   * rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockSharedAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockSharedAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  async lockSharedAsync(options?: number | Readonly<WaitOptions>): Promise<Locked | 'timed-out'> {
    const limit = toLimit(options)
    const wait = () => waitFor(this.#map, limit, (...rest) => native.rwlockLockSharedAsync(this.#native, ...rest))
    return this.tryLockShared() || RESULTS[await wait()]!
  }

  /**
   * As {@link lockExclusive}, without blocking the event loop. It also waits for what this mapping has. If the promise
   * rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockExclusiveAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockExclusiveAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  async lockExclusiveAsync(options?: number | Readonly<WaitOptions>): Promise<Locked | 'timed-out'> {
    const limit = toLimit(options)
    const wait = () => waitFor(this.#map, limit, (...rest) => native.rwlockLockExclusiveAsync(this.#native, ...rest))
    return this.tryLockExclusive() || RESULTS[await wait()]!
  }

  /**
   * Shares the lock if no living writer has it or waits for it. Returns how it was acquired, or `false`; `false` also in
   * the moment in which another reader that had to wait gets it.
   */
  tryLockShared(): Locked | false {
    return lockedOrNot(call(this.#map, () => native.rwlockTryLockShared(this.#native)))
  }

  /** Takes the lock alone if no living owner has it or waits for it alone. Returns how it was acquired, or `false`. */
  tryLockExclusive(): Locked | false {
    return lockedOrNot(call(this.#map, () => native.rwlockTryLockExclusive(this.#native)))
  }

  /**
   * Releases the lock, if this mapping has it alone; else one of the times that it shares it.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if it does neither
   */
  unlock(): void {
    call(this.#map, () => native.rwlockUnlock(this.#native))
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}

function lockedOrNot(code: number): Locked | false {
  const result = RESULTS[code]!
  return result === 'timed-out' ? false : result
}
