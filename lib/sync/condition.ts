// Waiting, without a mutex that is held, for what others change under it.

import type { NativeCondition } from '../binding.js'
import { invalidType, withCode } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { now } from '../timers.js'
import { type Limit, toCount, toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { type Mutex, toMutex } from './mutex.js'
import { call, ended, waitFor } from './pending.js'

/** How a wait for a condition ended: by a notification, with a mutex whose last owner had died, or by its timeout. */
export type Wakeup = 'ok' | 'recovered' | 'timed-out'

const RESULTS = ['ok', 'recovered', 'timed-out'] as const
const ALL = 2 ** 32 - 1

/**
 * A condition variable in {@link Condition.byteLength} bytes of a shared mapping, which must be zero before the first
 * use: a way to wait for what others change under a mutex, as Python's `multiprocessing.Condition` is.
 *
 * A wait releases the mutex, which the caller holds, and has it again when it returns, also after a timeout. It returns
 * `'recovered'` if the mutex came from an owner that had died, whether there was a notification or not. All that wait at
 * one time use the same mutex, in this mapping or another one.
 *
 * No notification is lost: not one between the release and the sleep, not one whose receiver is killed before it has
 * the mutex again. After a process was killed while it waited, a `notify` may wake one more than it should; so check what
 * you wait for in a loop, or use {@link waitFor}.
 *
 * ```js
 * const [mutex, changed] = [new Mutex(map, 0), new Condition(map, 512)]
 * mutex.lock()
 * if (changed.wait(mutex, 5) === 'recovered') repair() // `changed.notify()` wakes it
 * mutex.unlock()
 * ```
 */
export class Condition extends Handle {
  static {
    tag(this)
  }

  /** Bytes that a condition takes. */
  static readonly byteLength = 8

  readonly #map: MemoryMap<any>
  readonly #native: NativeCondition
  readonly #byteOffset: number

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
    this.#native = call(map, () => native.conditionOpen(token, place))
  }

  /**
   * Releases the mutex, waits for a notification, and takes the mutex again, which may take longer than the timeout. It
   * blocks the thread: if a `lockAsync` of this mapping is pending, use {@link waitAsync}.
   *
   * @param mutex held by its mapping
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_NOT_OWNER` if the mutex is not held. After any other error that is not about an argument it is not
   *   held any more: `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`, `ERR_MMAP_DEADLOCK` if a `lockAsync` of its mapping got it
   *   meanwhile, `ERR_MMAP_BUSY` if 65,535 are waiting (or the bytes were something else)
   */
  wait(mutex: Mutex): 'ok' | 'recovered'
  wait(mutex: Mutex, timeout: number | undefined): Wakeup
  wait(mutex: Mutex, timeout?: number): Wakeup {
    const { handle } = toMutex(mutex)
    const limit = toTimeout(timeout)
    return RESULTS[ended(call(this.#map, () => native.conditionWait(this.#native, handle, limit)))]!
  }

  /**
   * As {@link wait}, without blocking the event loop. The mutex is released when this returns its promise, and held
   * again when that resolves. **If the promise rejects, the mutex is not held**, unless an argument was wrong: a
   * `finally` that unlocks must not run then.
   *
   * @param mutex held by its mapping
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(mutex: Mutex, options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<'ok' | 'recovered'>
  waitAsync(mutex: Mutex, options: number | Readonly<WaitOptions> | undefined): Promise<Wakeup>
  async waitAsync(mutex: Mutex, options?: number | Readonly<WaitOptions>): Promise<Wakeup> {
    return await this.#waitAsync(mutex, releasing(mutex, options))
  }

  async #waitAsync(mutex: Mutex, limit: Limit): Promise<Wakeup> {
    const { handle, pending } = toMutex(mutex)
    // Another thread will lock by this mapping's name.
    pending.count++
    try {
      return RESULTS[
        await waitFor(this.#map, limit, (...rest) => native.conditionWaitAsync(this.#native, handle, ...rest))
      ]!
    } finally {
      pending.count--
    }
  }

  /**
   * Waits until `predicate` returns something true, which is asked with the mutex held: first at once, then after each
   * notification. Returns `'recovered'` as soon as the mutex comes from an owner that died: repair, and call it again.
   *
   * ```js
   * const [mutex, changed] = [new Mutex(map, 0), new Condition(map, 512)]
   * mutex.lock()
   * while (changed.waitFor(mutex, () => true) === 'recovered') repair()
   * mutex.unlock()
   * ```
   *
   * @param mutex held by its mapping
   * @param predicate what is waited for
   * @param timeout for all of it, in milliseconds; for ever if there is none
   * @throws as {@link wait}, and what `predicate` throws: then the mutex is held
   */
  waitFor(mutex: Mutex, predicate: () => unknown): 'ok' | 'recovered'
  waitFor(mutex: Mutex, predicate: () => unknown, timeout: number | undefined): Wakeup
  waitFor(mutex: Mutex, predicate: () => unknown, timeout?: number): Wakeup {
    checkHeld(mutex)
    checkFunction(predicate)
    const left = remaining(toTimeout(timeout))
    while (!predicate()) {
      const wakeup = this.wait(mutex, left())
      if (wakeup === 'timed-out') return predicate() ? 'ok' : wakeup
      if (wakeup === 'recovered') return wakeup
    }
    return 'ok'
  }

  /**
   * As {@link waitFor}, without blocking the event loop. A promise that `predicate` returns is awaited, with the mutex
   * held. If the wait rejects, the mutex is not held, as with {@link waitAsync}; if `predicate` throws, it is.
   *
   * @param mutex held by its mapping
   * @param predicate what is waited for
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitForAsync(
    mutex: Mutex,
    predicate: () => unknown,
    options?: Readonly<Pick<WaitOptions, 'signal'>>,
  ): Promise<'ok' | 'recovered'>
  waitForAsync(
    mutex: Mutex,
    predicate: () => unknown,
    options: number | Readonly<WaitOptions> | undefined,
  ): Promise<Wakeup>
  async waitForAsync(
    mutex: Mutex,
    predicate: () => unknown,
    options?: number | Readonly<WaitOptions>,
  ): Promise<Wakeup> {
    checkHeld(mutex)
    checkFunction(predicate)
    const { timeout, signal } = releasing(mutex, options)
    const left = remaining(timeout)
    while (!(await predicate())) {
      const wakeup = await this.#waitAsync(mutex, releasing(mutex, { timeout: left(), signal }))
      if (wakeup === 'timed-out') return (await predicate()) ? 'ok' : wakeup
      if (wakeup === 'recovered') return wakeup
    }
    return 'ok'
  }

  /**
   * Wakes up to `count` of those that wait now. The mutex need not be held, but what is waited for must be changed while
   * it is.
   *
   * @param count how many, at most; 1 if not given
   */
  notify(count = 1): void {
    const most = toCount(count, 'count', 0)
    call(this.#map, () => native.conditionNotify(this.#native, most))
  }

  /** Wakes all that wait now. */
  notifyAll(): void {
    call(this.#map, () => native.conditionNotify(this.#native, ALL))
  }

  toJSON(): object {
    return { byteOffset: this.#byteOffset }
  }
}

/** The options of a wait, checked; where that was aborted already, the mutex is released as by one that is aborted later. */
function releasing(mutex: Mutex, options: unknown): Limit {
  toMutex(mutex)
  try {
    return toLimit(options)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ABORT_ERR') mutex.unlock()
    throw error
  }
}

function checkHeld(mutex: Mutex): void {
  const { handle, map } = toMutex(mutex)
  if (call(map, () => native.mutexIsHeld(handle))) return
  throw withCode(new Error('This mapping does not hold the lock'), 'ERR_MMAP_NOT_OWNER')
}

function checkFunction(predicate: unknown): void {
  if (typeof predicate !== 'function') throw invalidType('predicate', 'a function', predicate)
}

/** Says how many milliseconds are left, of so many from now on; undefined for ever. */
function remaining(timeout: number): () => number | undefined {
  const end = now() + timeout
  return () => (timeout < 0 ? undefined : end - now())
}
