// What the arguments of `memory-map/sync` may be.

import { toBytes, toUint8Array } from '../arguments.js'
import type { Token } from '../binding.js'
import { invalidType, outOfRange } from '../errors.js'
import { INTERNALS } from '../internals.js'
import { isMap, type MemoryMap, tokenOf } from './main.js'

/** What `map` is called, which must be a mapping that is open. */
export function toToken(map: MemoryMap<any>): Token {
  if (isMap(map)) return tokenOf(map)
  const isOthers = INTERNALS in Object((map as object | undefined)?.constructor)
  const expected = isOthers ? 'a MemoryMap of the same version of the package and the same realm' : 'a MemoryMap'
  throw invalidType('map', expected, map)
}

/** A place in a mapping; whether it is inside and aligned the native library says. */
export function toPlace(byteOffset: unknown): number {
  return toBytes(byteOffset, 'byteOffset')
}

/** Milliseconds, or -1 for ever. */
export function toTimeout(timeout: unknown): number {
  if (timeout === undefined || timeout === Infinity) return -1
  if (typeof timeout !== 'number') throw invalidType('timeout', 'of type number', timeout)
  if (Number.isNaN(timeout)) throw outOfRange('timeout', 'a number of milliseconds', timeout)
  return Math.max(0, timeout)
}

/** A count from `least` on that 32 bits hold. */
export function toCount(value: unknown, name: string, least: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (Number.isInteger(value) && value >= least && value < 2 ** 31) return value
  throw outOfRange(name, `a whole number from ${least} to ${2 ** 31 - 1}`, value)
}

/** The bytes of a message. */
export function toMessage(data: unknown): Uint8Array {
  const bytes = typeof data === 'string' ? Buffer.from(data) : toUint8Array(data)
  if (bytes === undefined)
    throw invalidType('data', 'a string, a Buffer, a Uint8Array or another view of an ArrayBuffer', data)
  return bytes
}
