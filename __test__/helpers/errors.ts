// Checks of errors: their class, code, message and properties.

import type { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

import type { ExecutionContext } from 'ava'

export type SystemErrorExpectation = {
  code: keyof typeof constants.errno
  syscall: string
  /** As the caller gave it; an error about a descriptor has no path. */
  path?: string
}

export type CodedErrorExpectation = {
  instanceOf: ErrorConstructor | TypeErrorConstructor | RangeErrorConstructor
  code: string
  /** What the message must say, piece by piece. */
  says?: (string | RegExp)[]
}

/** The number that Node's errors have for a code, which on Windows is not that of the C runtime. */
function errnoOf(code: string): number | undefined {
  return [...getSystemErrorMap()].find(([, [name]]) => name === code)?.[0]
}

/** Checks an error of the OS, which must be like those of `fs`. */
export function isSystemError(t: ExecutionContext, error: unknown, expected: SystemErrorExpectation): void {
  const { code, syscall, path } = expected
  t.true(error instanceof Error)
  const { name, message, ...facts } = error as NodeJS.ErrnoException
  t.is(name, 'Error')
  t.is(Object.getPrototypeOf(error), Error.prototype)
  t.deepEqual(facts, {
    errno: errnoOf(code),
    code,
    syscall,
    ...(path === undefined ? {} : { path }),
  })
  t.true(message.startsWith(`${code}: `), message)
  t.true(message.includes(path === undefined ? `, ${syscall}` : `, ${syscall} '${path}'`), message)
}

/** `run` throws an error of the OS. */
export function throwsSystemError(t: ExecutionContext, run: () => unknown, expected: SystemErrorExpectation): Error {
  const error = t.throws(run)
  isSystemError(t, error, expected)
  return error!
}

/** Checks an error about arguments or state: its exact class, its code, and what its message says. */
export function isCodedError(t: ExecutionContext, error: unknown, expected: CodedErrorExpectation): void {
  const { instanceOf, code, says = [] } = expected
  t.is(Object.getPrototypeOf(error), instanceOf.prototype, String(error))
  const { message, code: actual } = error as NodeJS.ErrnoException
  t.is(actual, code, message)
  for (const piece of says) t.true(typeof piece === 'string' ? message.includes(piece) : piece.test(message), message)
}

/** `run` throws an error about arguments or state. */
export function throwsCodedError(t: ExecutionContext, run: () => unknown, expected: CodedErrorExpectation): Error {
  const error = t.throws(run)
  isCodedError(t, error, expected)
  return error!
}
