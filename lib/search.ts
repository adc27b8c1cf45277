// What to search for, and where: arguments as Buffer's methods take them, with the same answers in odd cases.

import { isUint8Array } from 'node:util/types'

import { convert, isUtf16, type Range, toEncoding, toRange } from './arguments.js'
import type { NativeStop, Token } from './binding.js'
import { copyOf, encode } from './buffers.js'
import { check } from './choices.js'
import { invalidType, invalidValue } from './errors.js'
import { native } from './native.js'

/** What to search for: text, bytes, or the value of one byte. */
export type Needle = string | Uint8Array | number

/** A part of a mapping to search on other threads. */
export interface SearchOptions extends Range {
  /** Of the string to search for. Default: `'utf8'`. */
  readonly encoding?: BufferEncoding | undefined
  /** Cancels it: the promise rejects at once, and the search ends soon. */
  readonly signal?: AbortSignal | undefined
}

/** A search as the native library takes it. `wide`: at even offsets only, as in text in UTF-16. */
export type Query = [needle: Uint8Array, wide: boolean, start: number, end: number]

/**
 * The search that the arguments of `indexOf` or `lastIndexOf` of a Buffer with `length` bytes ask for; a number if the
 * arguments alone give the answer.
 */
export function toQuery(
  forward: boolean,
  length: number,
  value: unknown,
  byteOffset: unknown,
  end: unknown,
  encoding: unknown,
): Query | number {
  if (typeof end === 'string') [end, encoding] = [undefined, end]
  if (typeof byteOffset === 'string') [byteOffset, encoding] = [undefined, byteOffset]
  if (isRange(byteOffset)) throw invalidType('byteOffset', A_NUMBER, byteOffset)
  if (end !== undefined && typeof end !== 'number' && typeof end !== 'bigint') {
    throw invalidType('end', 'of type number or bigint, or an encoding', end)
  }
  const [bytes, wide] = toNeedle(value, encoding)
  const even = (count: number) => (wide ? count - (count % 2) : count)
  const total = typeof value === 'string' ? even(length) : length
  const limit = even(Math.max(0, Math.min(toInteger(end, length, 'end'), length)))
  const from = toStart(forward, total, bytes.length, toInteger(byteOffset, forward ? 0 : length, 'byteOffset'))
  if (bytes.length === 0) return Math.min(from, limit)
  const needle = cutTo(even(bytes.length), bytes)
  if (from < 0 || needle.length === 0 || bytes.length > limit) return -1
  if (!forward) return [needle, wide, 0, Math.min(even(from) + needle.length, limit)]
  // As Node 26 from 26.12 on: text is not found before `byteOffset`, bytes are looked for from the even offset before.
  const first = typeof value === 'string' ? from + (from - even(from)) : even(from)
  return Math.max(from, first) + bytes.length > limit ? -1 : [needle, wide, first, limit]
}

/** Whether an offset was meant as one of `find` or `count`; other objects count as none, as with a Buffer. */
function isRange(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.hasOwn(value, 'offset') || Object.hasOwn(value, 'length')
}

const A_NUMBER = 'of type number or bigint, or an encoding; `find` and `count` take a range'

/** Where a search that is to begin at `offset` begins; -1 where nothing can be found. (Node's `IndexOfOffset`) */
function toStart(forward: boolean, total: number, length: number, offset: number): number {
  if (offset < 0) {
    if (offset + total >= 0) return total + offset
    return forward || length === 0 ? 0 : -1
  }
  if (offset + length <= total) return offset
  if (length === 0) return total
  return forward ? -1 : total - 1
}

/** An offset as Buffer's methods read it: what is no number counts as not given. */
function toInteger(value: unknown, fallback: number, name: string): number {
  const number = convert(value, name)
  return value === undefined || Number.isNaN(number) ? fallback : Math.trunc(number) + 0 // not -0
}

/** The search of a range, for something that is there or not. */
export function toRangeQuery(value: unknown, range: unknown, encoding: unknown, total: number): Query {
  const { offset, length } = check<Range>(range, ['offset', 'length'], 'range')
  return inRange(value, encoding, toRange(offset, length, total))
}

/** The search of a range on other threads, and what ends it. */
export function toSearch(value: unknown, options: unknown, total: number): [query: Query, signal: unknown] {
  const given = check<SearchOptions>(options, ['offset', 'length', 'encoding', 'signal'])
  const [needle, ...rest] = inRange(value, given.encoding, toRange(given.offset, given.length, total))
  // The caller may change it while the search goes on.
  return [[copyOf(needle), ...rest], given.signal]
}

function inRange(value: unknown, encoding: unknown, [start, end]: [number, number]): Query {
  const [bytes, wide] = toNeedle(value, encoding)
  const needle = cutTo(wide ? bytes.length - (bytes.length % 2) : bytes.length, bytes)
  if (needle.length === 0) throw invalidValue('value', value, 'must not be empty')
  return [needle, wide, start, end]
}

/** The first `length` bytes. Not by their `subarray`, which the caller's class can have changed. */
function cutTo(length: number, bytes: Uint8Array): Uint8Array {
  return length === bytes.length ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, length)
}

/** The bytes to look for, and whether they are text in UTF-16. */
function toNeedle(value: unknown, encoding: unknown): [needle: Uint8Array, wide: boolean] {
  if (typeof value === 'number') return [Uint8Array.of(value), false]
  if (isUint8Array(value)) return [value, isUtf16(String(encoding))]
  if (typeof value !== 'string')
    throw invalidType('value', 'of type string or number, or a Buffer or Uint8Array', value)
  const name = toEncoding(encoding)
  return [encode(value, name), isUtf16(name)]
}

/**
 * How many bytes are searched in one go, so that no search keeps a thread of the pool for long, or delays the end of the
 * process or a worker, which wait for their threads.
 */
const PART = 2 ** 28

/** Where `needle` first occurs, or -1: part by part, until `stop` is set. */
export async function findInParts(token: Token, query: Query, stop: NativeStop): Promise<number> {
  const [needle, wide, start, end] = query
  for (let at = start; at < end && !stop.stopped; at += PART) {
    const last = Math.min(at + PART + needle.length - 1, end)
    const found = await native.mapping.findAsync(token, needle, wide, at, last, stop)
    if (found !== -1) return found
  }
  return -1
}

/** How many times `needle` occurs: part by part, until `stop` is set. */
export async function countInParts(token: Token, query: Query, stop: NativeStop): Promise<number> {
  const [needle, wide, start, end] = query
  let total = 0
  for (let at = start; at + needle.length <= end && !stop.stopped;) {
    const last = Math.min(at + PART + needle.length - 1, end)
    const part = await native.mapping.countAsync(token, needle, wide, at, last, stop)
    total += part[0]
    at = part[1]
  }
  return total
}
