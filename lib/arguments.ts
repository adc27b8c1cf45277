// What arguments may be.

import { fileURLToPath } from 'node:url'

import { invalidType, invalidValue, outOfRange } from './errors.js'

/** A count of bytes or an offset, in bytes. Given back as a number always. */
export type Bytes = number | bigint

const MAX = Number.MAX_SAFE_INTEGER

/** `value` as a number, if it is a whole number of bytes. */
export function toBytes(value: unknown, name: string): number {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return value
  } else if (typeof value === 'bigint') {
    if (value >= 0n && value <= MAX) return Number(value)
  } else {
    throw invalidType(name, 'of type number or bigint', value)
  }
  throw outOfRange(name, `a whole number from 0 to ${MAX}`, value)
}

/** A part of a mapping. */
export interface Range {
  /** Where it begins, in bytes from the start of the mapping. Default: 0. */
  readonly offset?: Bytes | undefined
  /** How many bytes it has. Default: to the end of the mapping. */
  readonly length?: Bytes | undefined
}

/** First byte of a range and the one after its last, checked against a mapping of `total` bytes. */
export function toRange(offset: unknown, length: unknown, total: number): [start: number, end: number] {
  const start = offset === undefined ? 0 : toBytes(offset, 'offset')
  if (start > total) throw outOfRange('offset', `at most ${total}, the length of the mapping`, offset)
  if (length === undefined) return [start, total]
  const count = toBytes(length, 'length')
  if (count > total - start) {
    throw outOfRange('length', `at most ${total - start}, which is left from offset ${start}`, length)
  }
  return [start, start + count]
}

/** The file to map: a path, or a descriptor or FileHandle, which stays the caller's. */
export type FileSource = string | Buffer | URL | number | { readonly fd: number }

/** A file as the native library takes it, and its path where there is one. */
export function toSource(file: unknown): [source: string | Uint8Array | number, path: string | undefined] {
  if (typeof file === 'number') {
    if (Number.isInteger(file) && file >= 0 && file < 2 ** 31) return [file, undefined]
    throw outOfRange('file', 'a file descriptor, a whole number from 0 to 2147483647', file)
  }
  if (typeof file === 'string') {
    if (!file.includes('\0')) return [file, file]
    throw invalidValue('file', file, 'must be a path without null bytes')
  }
  if (file instanceof Uint8Array) {
    if (!file.includes(0)) return [file, Buffer.from(file).toString()]
    throw invalidValue('file', file, 'must be a path without null bytes')
  }
  if (file instanceof URL) {
    const path = fileURLToPath(file)
    return [path, path]
  }
  const fd = (file as { fd?: unknown } | null | undefined)?.fd
  // A FileHandle that was closed has the descriptor -1, which the system refuses as it should.
  if (typeof fd === 'number' && Number.isInteger(fd) && fd >= -1 && fd < 2 ** 31) return [fd, undefined]
  throw invalidType('file', 'a path (string, Buffer or URL), a file descriptor or a FileHandle', file)
}
