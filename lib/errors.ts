// Errors like Node's, with a `code`, and the translation of what the native library throws.

import { constants } from 'node:buffer'
import { getSystemErrorMap, inspect } from 'node:util'

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

export function illegalConstructor(instead: string): TypeError {
  return withCode(new TypeError(`Illegal constructor: use ${instead}`), 'ERR_ILLEGAL_CONSTRUCTOR')
}

export function closedError(): Error {
  return withCode(new Error('The mapping is closed'), 'ERR_MMAP_CLOSED')
}

export function resizedError(): Error {
  return withCode(new Error('The mapping was resized, which closes what was made before'), 'ERR_MMAP_CLOSED')
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
  return systemError({ name: 'ENOMEM', syscall: 'malloc', detail: `a copy has ${length} bytes` }, undefined)
}

export function unsupported(what: string): Error {
  return withCode(new Error(what), 'ERR_MMAP_UNSUPPORTED')
}

export function aborted(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  error.name = 'AbortError'
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
    return inspect(value, { depth: 0, breakLength: Infinity })
  } catch {
    return '(which cannot be shown)' // an object of Uint8Array.prototype, or one that throws
  }
}

/** What the native library throws: `kind` says which error it is, the rest are details. */
interface NativeError extends Error {
  kind?: string
  errno?: number
  syscall?: string
  detail?: string
  argument?: string
  end?: number
  size?: number
}

/** What an error is about: the path, if there is one. */
export type Subject = string | undefined

/**
 * Makes the error that the user sees. Other errors stay as they are. `remedy` says what to do about a code, if we
 * know more than the native library.
 */
export function translate(
  error: unknown,
  path?: Subject,
  remedy: (code: string, syscall: string) => string = () => '',
): unknown {
  const { kind, message, detail = '', argument = '', size, end } = error as NativeError
  switch (kind) {
    case 'os':
      return systemError(error as NativeError, path, remedy)
    case 'closed':
      return closedError()
    case 'beyond-end':
      return withCode(
        new RangeError(
          `The mapping would reach to byte ${end} of a file of ${size} bytes` +
            `${path === undefined ? '' : `, '${path}'`}. ${remedy('ERR_MMAP_BEYOND_END', 'mmap')}Map less, or have a ` +
            "shared mapping with `protection: 'read-write'` extend it: with `create`, or by `resize`",
        ),
        'ERR_MMAP_BEYOND_END',
      )
    case 'too-large':
      return withCode(new RangeError(sentence(message)), 'ERR_MMAP_TOO_LARGE')
    case 'out-of-range':
      return withCode(new RangeError(`The ${argument} must be ${detail}`), 'ERR_OUT_OF_RANGE')
    case 'missing':
      return withCode(new TypeError(`The option "${argument}" is needed: ${detail}`), 'ERR_INVALID_ARG_VALUE')
    case 'not-writable':
      return withCode(
        new Error("The mapping is not writable there: map with the protection 'read-write', or see `protect`"),
        'ERR_MMAP_NOT_WRITABLE',
      )
    case 'not-shared':
      return withCode(
        new Error(
          'The mapping is not shared: its stores reach no file and no other process. Use `mapShared`, ' +
            '`openSharedMemory`, or `mapAnonymous` with `shared: true`',
        ),
        'ERR_MMAP_NOT_SHARED',
      )
    case 'deadlock':
      return withCode(new Error('The lock is held already, through this mapping'), 'ERR_MMAP_DEADLOCK')
    case 'not-owner':
      return withCode(new Error('The lock is not held through this mapping'), 'ERR_MMAP_NOT_OWNER')
    case 'busy':
      return withCode(new Error(sentence(message)), 'ERR_MMAP_BUSY')
    case 'invalid':
      return withCode(new Error(sentence(message)), 'ERR_MMAP_INVALID')
    case 'unsupported':
      return unsupported(message)
    default:
      return error
  }
}

function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1)
}

const NOT_OPEN_FOR_IT =
  'the file is open for what the first protection needed; map it with this one, and then take less'

/** An error of the OS, as `fs` throws it. */
function systemError(
  { errno = 0, name: code, syscall, detail = '' }: Omit<NativeError, 'message'>,
  path: Subject,
  remedy?: (code: string, syscall: string) => string,
): Error {
  const known = [...getSystemErrorMap()].find(([, [name]]) => name === code)
  const text = known?.[1][1] ?? 'the system refused'
  const isNotOpen = syscall === 'mprotect' && code === 'EACCES'
  const reason = detail || (isNotOpen ? NOT_OPEN_FOR_IT : (remedy?.(code ?? '', syscall ?? '') ?? ''))
  const error = new Error(
    `${code}: ${text}, ${syscall}${path === undefined ? '' : ` '${path}'`}${reason && `: ${reason}`}`,
  )
  return Object.assign(error, { errno: known?.[0] ?? -errno, code, syscall }, path === undefined ? {} : { path })
}
