// Waiting on a word of shared memory, between processes.

import { invalidType, outOfRange } from '../errors.js'
import { toCount, toLimit, toPlace, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { type MemoryMap, native } from './main.js'
import { call, ended, waitFor } from './pending.js'

/** How a wait ended, as for `Atomics.wait`. */
export type WaitResult = 'ok' | 'not-equal' | 'timed-out'

const RESULTS = ['ok', 'not-equal', 'timed-out'] as const

/**
 * Sleeps while the 32-bit integer at `byteOffset` is `expected`, until {@link notify} wakes it. It is `Atomics.wait`
 * between processes, and blocks the thread. It spins for a moment before it sleeps (docs/memory-model.md).
 *
 * ```js
 * const words = map.typedArray(Int32Array)
 * while (Atomics.load(words, 0) === 0) wait(map, 0, 0)
 * ```
 *
 * @param map a mapping that is shared
 * @param byteOffset in bytes; aligned to 4 in memory
 * @param timeout in milliseconds; for ever if there is none
 * @throws `ERR_MMAP_NOT_SHARED`, `ERR_OUT_OF_RANGE`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
 */
export function wait(map: MemoryMap<any>, byteOffset: number | bigint, expected: number, timeout?: number): WaitResult {
  const token = toToken(map)
  const [place, value, limit] = [toPlace(byteOffset), toWord(expected), toTimeout(timeout)]
  return RESULTS[ended(call(map, () => native.ipcWait(token, place, value, limit)))]!
}

/**
 * As {@link wait}, without blocking the event loop. It returns when the wait sleeps, some 20 µs later, so that a
 * {@link notify} after it is not missed. One thread sleeps for all pending waits where the system can do that
 * (docs/memory-model.md). A pending wait keeps the process alive, and rejects when the mapping is closed, or its file
 * loses the word.
 *
 * @param options the timeout in milliseconds, or that and an `AbortSignal`
 */
export async function waitAsync(
  map: MemoryMap<any>,
  byteOffset: number | bigint,
  expected: number,
  options?: number | Readonly<WaitOptions>,
): Promise<WaitResult> {
  const token = toToken(map)
  const [place, value, limit] = [toPlace(byteOffset), toWord(expected), toLimit(options)]
  return RESULTS[await waitFor(map, limit, (...rest) => native.ipcWaitAsync(token, place, value, ...rest))]!
}

/**
 * Wakes threads of any process that {@link wait} on the word at `byteOffset`. Returns how many.
 *
 * @param count how many at most; all if there is none
 */
export function notify(map: MemoryMap<any>, byteOffset: number | bigint, count?: number): number {
  const token = toToken(map)
  const place = toPlace(byteOffset)
  const limit = count === undefined || count === Infinity ? 2 ** 32 - 1 : toCount(count, 'count', 0)
  return call(map, () => native.ipcNotify(token, place, limit))
}

/** A value of an Int32Array or a Uint32Array, as its 32 bits. */
function toWord(value: unknown): number {
  if (typeof value !== 'number') throw invalidType('expected', 'of type number', value)
  if (Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 32) return value >>> 0
  throw outOfRange('expected', 'an integer of 32 bits', value)
}
