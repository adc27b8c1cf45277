// Checks of arguments.

import { constants } from 'node:buffer'
import { fileURLToPath } from 'node:url'
import { isUint8Array } from 'node:util/types'

import { invalidType, invalidValue, outOfRange, stringTooLong, withCode } from './errors.js'

/** A count of bytes, or an offset in bytes. Results are always numbers. */
export type Bytes = number | bigint

const MAX = Number.MAX_SAFE_INTEGER

/** `value` as a number, if it is a whole number of bytes. */
export function toBytes(value: unknown, name: string): number {
  const bytes = toNumber(value, name)
  if (isUpTo(bytes, MAX)) return bytes
  throw outOfRange(name, `a whole number from 0 to ${MAX}`, value)
}

function toNumber(value: unknown, name: string): number {
  // A bigint above `MAX` is above it as a number too.
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number') throw invalidType(name, 'of type number or bigint', value)
  return number + 0 // which makes 0 of -0
}

/** `value`, if it is a boolean; `fallback` for none. */
export function toBoolean(value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value === 'boolean') return value
  throw invalidType(name, 'of type boolean', value)
}

/** `value` as a number as Buffer's methods make one of everything. */
export function convert(value: unknown, name: string): number {
  if (typeof value === 'symbol') throw invalidType(name, 'of type number or bigint', value)
  return Number(value)
}

const isUpTo = (bytes: number, most: number) => Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= most

/** A part of a mapping. */
export interface Range {
  /** Where it begins, in bytes from the start of the mapping. Default: 0. */
  readonly offset?: Bytes | undefined
  /** How many bytes it has. Default: to the end of the mapping. */
  readonly length?: Bytes | undefined
}

/** First byte of a range and the one after its last, checked against a mapping of `total` bytes. */
export function toRange(offset: unknown, length: unknown, total: number): [start: number, end: number] {
  const start = toOffset(offset, total, 'offset')
  return [start, start + toLength(length, start, total, 'length')]
}

/** Where something begins in a mapping of `total` bytes; 0 by default. */
export function toOffset(value: unknown, total: number, name: string): number {
  const offset = value === undefined ? 0 : toNumber(value, name)
  if (isUpTo(offset, total)) return offset
  throw outOfRange(name, `a whole number from 0 to ${total}, the length of the mapping`, value)
}

/** An index as `buffer.toString` takes it: clamped to the mapping. */
export function toIndex(value: Bytes | undefined, fallback: number, length: number, name: string): number {
  const index = value === undefined ? fallback : Math.trunc(convert(value, name)) || 0
  return Math.max(0, Math.min(index, length))
}

/** Refuses a range that does not begin and end at pages in memory, or at the ends of the mapping. */
export function checkPages(
  [start, end]: [start: number, end: number],
  pageOffset: number,
  total: number,
  pageSize: number,
): void {
  const isPage = (at: number) => at === 0 || at === total || (pageOffset + at) % pageSize === 0
  const wrong = [start, end].find((at) => !isPage(at))
  if (wrong === undefined) return
  const requirement = `aligned to pages in memory, which have ${pageSize} bytes`
  throw withCode(new RangeError(`The range must be ${requirement}; byte ${wrong} is not`), 'ERR_OUT_OF_RANGE')
}

/** The length of something that begins at `start`; by default all bytes that are left. */
export function toLength(value: unknown, start: number, total: number, name: string): number {
  const most = total - start
  const length = value === undefined ? most : toNumber(value, name)
  if (isUpTo(length, most)) return length
  throw outOfRange(
    name,
    `a whole number from 0 to ${most}, the rest of the mapping of ${total} bytes from ${start} on`,
    value,
  )
}

/** The file to map: a path, or a descriptor or FileHandle, which the caller still owns. */
export type FileSource =
  | string
  | Buffer
  | URL
  | number
  | {
      /** The descriptor. */
      readonly fd: number
    }

/** A file as the native library takes it, and its path if it has one. */
export function toSource(file: unknown): [source: string | Uint8Array | number, path: string | undefined] {
  if (typeof file === 'number') {
    if (Number.isInteger(file) && file >= 0 && file < 2 ** 31) return [file, undefined]
    throw outOfRange('file', 'a file descriptor, a whole number from 0 to 2147483647', file)
  }
  if (typeof file === 'string') return [withoutNull(file, file.includes('\0')), file]
  if (isUint8Array(file)) {
    // Bytes that are detached are none, of which some runtimes make no Buffer.
    const path = file.byteLength === 0 ? '' : Buffer.from(file).toString()
    return [withoutNull(file, path.includes('\0')), path]
  }
  if (isUrl(file)) {
    const path = fileURLToPath(file.href)
    return [withoutNull(path, path.includes('\0')), path]
  }
  const fd = (file as { fd?: unknown } | null | undefined)?.fd
  // A FileHandle that was closed has the descriptor -1, which the system refuses as it should.
  if (typeof fd === 'number' && Number.isInteger(fd) && fd >= -1 && fd < 2 ** 31) return [fd, undefined]
  throw invalidType('file', 'a path (string, Buffer or URL), a file descriptor or a FileHandle', file)
}

/** Whether it is a URL, of whichever class: a test's global object may have another one than the runtime's modules give. */
function isUrl(value: unknown): value is URL {
  const { href, protocol, auth, path } = Object(value) as Partial<
    Record<'href' | 'protocol' | 'auth' | 'path', unknown>
  >
  return typeof href === 'string' && typeof protocol === 'string' && auth === undefined && path === undefined
}

function withoutNull<T>(path: T, hasNull: boolean): T {
  if (hasNull) throw invalidValue('file', path, 'must be a path without null bytes')
  return path
}

/** The bytes of a Buffer, a typed array or a DataView; undefined for anything else, and for bytes without a length. */
export function toUint8Array(data: unknown): Uint8Array | undefined {
  if (isUint8Array(data)) return Number.isInteger(data.length) ? data : undefined
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : undefined
}

/** The same; throws for anything else. */
export function toBytesOf(view: unknown, name: string): Uint8Array {
  const bytes = toUint8Array(view)
  if (bytes !== undefined) return bytes
  throw invalidType(name, 'a Buffer, a Uint8Array or another view of an ArrayBuffer', view)
}

/** The name of an encoding; UTF-8 by default. */
export function toEncoding(value: unknown): BufferEncoding {
  const name = value === undefined ? 'utf8' : String(value)
  if (!Buffer.isEncoding(name)) throw withCode(new TypeError(`Unknown encoding: ${name}`), 'ERR_UNKNOWN_ENCODING')
  return name
}

/** Whether an encoding has two bytes for each character. */
export function isUtf16(encoding: string): boolean {
  return /^(ucs-?2|utf-?16le)$/i.test(encoding)
}

/** Throws if text of `length` bytes has more characters than a string can have, whatever the bytes are. */
export function checkText(length: number, encoding?: BufferEncoding): void {
  const { MAX_LENGTH, MAX_STRING_LENGTH } = constants
  if (length <= MAX_STRING_LENGTH / 2) return
  if (length > MAX_LENGTH || leastCharacters(length, encoding) > MAX_STRING_LENGTH) throw stringTooLong()
}

function leastCharacters(length: number, encoding: BufferEncoding = 'utf8'): number {
  switch (encoding.toLowerCase().replace('-', '')) {
    case 'utf8':
      return length / 3
    case 'ucs2':
    case 'utf16le':
      return Math.floor(length / 2)
    case 'hex':
      return length * 2
    case 'base64':
    case 'base64url':
      return Math.ceil((length * 4) / 3)
    default:
      return length
  }
}
