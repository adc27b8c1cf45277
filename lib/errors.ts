// Errors like Node's, with a `code`, and the translation of what the native library throws.

import { constants } from 'node:buffer'

/** Only when it is needed: Bun takes as long to load it as for half of this package. */
export const util = (): typeof import('node:util') => process.getBuiltinModule('node:util')

/** `error` with a code, as Node's errors have one. */
export function withCode<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code })
}

export function invalidType(name: string, expected: string, value: unknown): TypeError {
  return withCode(
    new TypeError(`The ${quote(name)} must be ${expected}. Received ${received(value)}`),
    'ERR_INVALID_ARG_TYPE',
  )
}

export function invalidValue(name: string, value: unknown, reason: string): TypeError {
  const stop = reason.endsWith('?') ? '' : '.'
  return withCode(
    new TypeError(`The ${quote(name)} ${reason}${stop} Received ${received(value)}`),
    'ERR_INVALID_ARG_VALUE',
  )
}

export function outOfRange(name: string, requirement: string, value: unknown): RangeError {
  return withCode(
    new RangeError(`The ${quote(name)} is out of range. It must be ${requirement}. Received ${received(value)}`),
    'ERR_OUT_OF_RANGE',
  )
}

/** What constructors are called with that are not for users. */
export const KEY: unique symbol = Symbol('memory-map')

export function illegalConstructor(instead: string): TypeError {
  return withCode(new TypeError(`Illegal constructor: use ${instead}`), 'ERR_ILLEGAL_CONSTRUCTOR')
}

export function closedError(): Error {
  return withCode(new Error('The mapping is closed'), 'ERR_MMAP_CLOSED')
}

export function resizedError(): Error {
  return withCode(new Error('The mapping was resized, which ends what was under way'), 'ERR_MMAP_CLOSED')
}

export function emptiedError(): Error {
  const why = 'its mapping was closed or resized, or its memory was transferred'
  return withCode(new Error(`A view that was to be written is empty, because ${why}`), 'ERR_MMAP_CLOSED')
}

export function notText(): Error {
  const instead =
    "to print what the mapping is, use '%O' or `util.inspect(map)`; to decode it, `map.toString(encoding)`"
  const message = `The bytes of the mapping are not UTF-8: ${instead}; the bytes themselves are \`map.buffer\``
  return withCode(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

export function notWritable(): Error {
  const code = 'ERR_MMAP_NOT_WRITABLE'
  return withCode(new Error(`The mapping is not writable${ADVICE[code]}`), code)
}

export function tooLarge(what: string, advice: string): RangeError {
  return withCode(new RangeError(`${what}; ${advice}`), 'ERR_MMAP_TOO_LARGE')
}

export function stringTooLong(): Error {
  const most = `0x${constants.MAX_STRING_LENGTH.toString(16)}`
  return withCode(new Error(`Cannot create a string longer than ${most} characters`), 'ERR_STRING_TOO_LONG')
}

/** The error of a system that has no memory for a copy of `length` bytes. */
export function outOfMemory(length: number): Error {
  return systemError('ENOMEM', 'malloc', `for a copy of ${length} bytes`, undefined)
}

export function unsupported(what: string): Error {
  return withCode(new Error(what), 'ERR_MMAP_UNSUPPORTED')
}

export function aborted(signal: AbortSignal): Error {
  // The signal's own getter, whatever else the object has under this name.
  const cause = Reflect.get(AbortSignal.prototype, 'reason', signal) as unknown
  const error = new Error('The operation was aborted', { cause })
  Object.defineProperty(error, 'name', { value: 'AbortError', configurable: true, writable: true, enumerable: true })
  return withCode(error, 'ABORT_ERR')
}

function quote(name: string): string {
  return name.includes('.') ? `property "${name}"` : `argument "${name}"`
}

function received(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  const shown = show(value)
  return `${typeof value} ${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown}`
}

function show(value: unknown): string {
  try {
    return util().inspect(value, { depth: 0, breakLength: Infinity })
  } catch {
    return '(which cannot be shown)' // an object of Uint8Array.prototype, or one that throws
  }
}

/** What the native library throws. */
interface NativeError extends Error {
  /** The code that the user's error gets. Other errors have none. */
  readonly nativeCode?: string
  /** What the system's errors have. */
  readonly errno?: number
  readonly syscall?: string
  readonly detail?: string
}

/** What an error is about: the path, if there is one. */
export type Subject = string | undefined

/** The native library's errors that are no plain `Error`. */
const CLASSES: Readonly<Record<string, new (message: string) => Error>> = {
  ERR_MMAP_BEYOND_END: RangeError,
  ERR_MMAP_TOO_LARGE: RangeError,
  ERR_OUT_OF_RANGE: RangeError,
  ERR_INVALID_ARG_VALUE: TypeError,
}

/** What to do about the native library's errors, which it does not know. */
const ADVICE: Readonly<Record<string, string>> = {
  ERR_MMAP_BEYOND_END:
    "Map less, or have a shared mapping with `protection: 'read-write'` extend it: with `create`, or by `resize`",
  ERR_MMAP_NOT_WRITABLE: ": map with the protection 'read-write', or see `protect`",
  ERR_MMAP_NOT_SHARED: '. Use `mapShared`, `openSharedMemory`, or `mapAnonymous` with `shared: true`',
}

/**
 * Makes the error that the user sees. Other errors stay as they are. `remedy` says what to do about a code, if we
 * know more than the native library.
 */
export function translate(
  error: unknown,
  path?: Subject,
  remedy: (code: string, syscall: string) => string = () => '',
): unknown {
  const { nativeCode: code, message, errno, syscall, detail } = error as NativeError
  if (code === undefined) return error
  if (syscall !== undefined) return systemError(code, syscall, detail || remedy(code, syscall), path, errno)
  const about = code === 'ERR_MMAP_BEYOND_END' ? `${path === undefined ? '' : `, '${path}'`}. ${remedy(code, '')}` : ''
  const text = message.charAt(0).toUpperCase() + message.slice(1) + about + (ADVICE[code] ?? '')
  return withCode(new (CLASSES[code] ?? Error)(text), code)
}

const NOT_OPEN_FOR_IT =
  'the file was opened for what the first protection needed, or is sealed; map it with this protection, and then take less'

/** An error of the OS, as `fs` throws it. */
function systemError(code: string, syscall: string, detail: string, path: Subject, errno = 0): Error {
  const known = [...util().getSystemErrorMap()].find(([, [name]]) => name === code)
  const text = known?.[1][1] ?? 'the system refused'
  const reason = detail || (syscall === 'mprotect' && code === 'EACCES' ? NOT_OPEN_FOR_IT : '')
  const error = new Error(
    `${code}: ${text}, ${syscall}${path === undefined ? '' : ` '${path}'`}${reason && `: ${reason}`}`,
  )
  return Object.assign(error, { errno: known?.[0] ?? -errno, code, syscall }, path === undefined ? {} : { path })
}
