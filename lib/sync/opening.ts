// How channels and queues are made, opened, or waited for.

import type { NativeWait, Token } from '../binding.js'
import { check } from '../choices.js'
import { toExtent, toLimit, toOffset, toToken, type WaitOptions } from './arguments.js'
import type { MemoryMap } from './main.js'
import { call, waitFor } from './pending.js'

/** Where a channel or a queue is. */
export interface ChannelOptions {
  /** Where it begins, in bytes; a multiple of 64 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
}

/** Where to put a channel or a queue, and its length. */
export interface ChannelRange extends ChannelOptions {
  /** Its length in bytes; of a channel or a queue at least 640. Default: to the end of the mapping. */
  readonly length?: number | bigint | undefined
}

/** How one comes to be. */
export const [CREATE, OPEN, EITHER] = [0, 1, 2]

/** What the native library has behind one. */
export type Behind<T> = (map: Token, offset: number, length: number, how: number) => T

/** Makes one, or opens it, or does what is needed. */
export function make<T, R>(
  map: MemoryMap<any>,
  options: unknown,
  how: number,
  behind: Behind<T>,
  wrap: (behind: T, offset: number) => R,
): R {
  const token = toToken(map)
  const { offset, length } = check<ChannelRange>(options, how === OPEN ? ['offset'] : ['offset', 'length'])
  const [start, size] = toExtent(map, offset, length)
  return wrap(
    call(map, () => behind(token, start, size, how)),
    start,
  )
}

/** Waits until there is one, by `made`, and opens it; undefined if there is none in time. */
export async function openAsync<T, R>(
  map: MemoryMap<any>,
  options: unknown,
  made: (map: Token, offset: number, timeout: number, wait: NativeWait) => Promise<number>,
  behind: Behind<T>,
  wrap: (behind: T, offset: number) => R,
): Promise<R | undefined> {
  const token = toToken(map)
  const { offset, ...rest } = check<ChannelOptions & WaitOptions>(options, ['offset', 'timeout', 'signal'])
  const start = toOffset(offset)
  const found = await waitFor(map, toLimit(rest), (...wait) => made(token, start, ...wait))
  return found === 0 ? make(map, { offset: start }, OPEN, behind, wrap) : undefined
}
