// Checks of the arguments of `memory-map/sync`.

import { toBytes, toBytesOf, toUint8Array } from '../arguments.js'
import type { Token } from '../binding.js'
import { cut, encode } from '../buffers.js'
import { check } from '../choices.js'
import { aborted, invalidType, outOfRange } from '../errors.js'
import { toSignal } from '../signal.js'
import { INTERNALS } from '../internals.js'
import { isMap, type MemoryMap, tokenOf } from './main.js'

/** The token of `map`, which must be an open mapping. */
export function toToken(map: MemoryMap<any>): Token {
  if (isMap(map)) return tokenOf(map)
  const isOthers = INTERNALS in Object((map as object | undefined)?.constructor)
  const expected = isOthers ? 'a MemoryMap of the same version of the package and the same realm' : 'a MemoryMap'
  throw invalidType('map', expected, map)
}

/** A place in a mapping. The native library checks that it is inside and aligned. */
export function toPlace(byteOffset: unknown): number {
  return toBytes(byteOffset, 'byteOffset')
}

/** Where something begins in a mapping, in bytes. */
export function toOffset(offset: unknown): number {
  return toBytes(offset ?? 0, 'options.offset')
}

/** Where something begins, and its length: to the end of the mapping, if none is given. */
export function toExtent(map: MemoryMap<any>, offset: unknown, length: unknown): [start: number, length: number] {
  const start = toOffset(offset)
  return [start, length === undefined ? Math.max(0, map.length - start) : toBytes(length, 'options.length')]
}

/** How long an asynchronous wait may take, and what ends it earlier. */
export interface WaitOptions {
  /** In milliseconds. Default: for ever. */
  readonly timeout?: number | undefined
  /** Ends the wait: the promise is rejected with an `AbortError`, and nothing was taken. */
  readonly signal?: AbortSignal | undefined
}

/** The same, as it was checked. */
export interface Limit {
  /** In milliseconds, or -1 for ever. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** The options of an asynchronous wait, checked. */
export function toLimit(limit: unknown): Limit {
  if (typeof limit !== 'object') return { timeout: toTimeout(limit), signal: undefined }
  const { timeout, signal } = check<WaitOptions>(limit, ['timeout', 'signal'])
  const checked = { timeout: toTimeout(timeout, 'options.timeout'), signal: toSignal(signal) }
  if (checked.signal?.aborted) throw aborted(checked.signal)
  return checked
}

/** Milliseconds, or -1 for ever. */
export function toTimeout(timeout: unknown, name = 'timeout'): number {
  if (timeout === undefined || timeout === Infinity) return -1
  if (typeof timeout !== 'number') throw invalidType(name, 'of type number', timeout)
  if (Number.isNaN(timeout)) throw outOfRange(name, 'a number of milliseconds', timeout)
  return Math.max(0, timeout)
}

/** A count from `least` to `most`, by default what 32 bits hold. */
export function toCount(value: unknown, name: string, least: number, most: number = 2 ** 31 - 1): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw outOfRange(name, `a whole number from ${least} to ${most}`, value)
}

/** The bytes of a message. */
export function toMessage(data: unknown): Uint8Array {
  const bytes = typeof data === 'string' ? encode(data, 'utf8') : toUint8Array(data)
  if (bytes === undefined)
    throw invalidType('data', 'a string, a Buffer, a Uint8Array or another view of an ArrayBuffer', data)
  return bytes
}

const NONE = Buffer.alloc(0)

/** Where a message is to go. */
export function toTarget(target: unknown): Buffer {
  const bytes = toBytesOf(target, 'target')
  if (Buffer.isBuffer(bytes)) return bytes
  return bytes.length > 0 ? cut(bytes.buffer, bytes.byteOffset, bytes.length) : NONE // of detached memory no view can be made
}
