import { type MemoryMap } from './main.js';
/** How a wait ended, as for `Atomics.wait`. */
export type WaitResult = 'ok' | 'not-equal' | 'timed-out';
/**
 * Sleeps while the 32-bit integer at `byteOffset` is `expected`, until {@link notify} wakes it: `Atomics.wait`
 * between processes. It looks at the word for a moment first (docs/memory-model.md), and blocks the thread.
 *
 * ```js
 * const words = map.typedArray(Int32Array)
 * while (Atomics.load(words, 0) === 0) wait(map, 0, 0)
 * ```
 *
 * @param map a mapping that is shared
 * @param byteOffset in bytes; aligned to 4 in memory
 * @param timeout in milliseconds; for ever where there is none
 * @throws `ERR_MMAP_NOT_SHARED`, `ERR_OUT_OF_RANGE`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
 */
export declare function wait(map: MemoryMap<any>, byteOffset: number | bigint, expected: number, timeout?: number): WaitResult;
/**
 * As {@link wait}, with the event loop free meanwhile. A pending wait has a thread of its own, which sleeps; it
 * keeps the process alive, and is rejected when the mapping is closed.
 */
export declare function waitAsync(map: MemoryMap<any>, byteOffset: number | bigint, expected: number, timeout?: number): Promise<WaitResult>;
/**
 * Wakes those who {@link wait} on the word at `byteOffset`, in whatever process, and says how many.
 *
 * @param count how many at most; all where there is none
 */
export declare function notify(map: MemoryMap<any>, byteOffset: number | bigint, count?: number): number;
