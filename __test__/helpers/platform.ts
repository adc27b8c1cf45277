// Ways to declare tests that apply to some systems only. Elsewhere they are skipped, and their titles say why.

import { readFileSync } from 'node:fs'

import test, { type Implementation } from 'ava'

import type { Program } from './runtimes.ts'
import { is32Bit, isLinux, isWindows, isWine } from './system.ts'

export { is32Bit, isLinux, isWindows, isWine }

/** Declares a test, as `test` of ava does. */
export type Declare = {
  (title: string, run: Implementation<[]>): void
  serial(title: string, run: Implementation<[]>): void
  skip(title: string, run: Implementation<[]>): void
}

/** `test` if the tests apply to this system; otherwise it skips them. */
export function where(applies: boolean, why: string): Declare {
  if (applies) return test
  const skip = (title: string, run: Implementation<[]>) => test.skip(`${title} (${why})`, run)
  return Object.assign(skip, { serial: skip, skip })
}

/** Tests that look into /proc, or depend on what only Linux does. */
export const onLinux = where(isLinux, 'rests on what Linux does')

/** Tests that truncate a file while it is mapped. */
export const truncating = where(!isWindows, 'Windows does not let a mapped file be truncated')

/** Tests with the native addon in ../addon, or with a compiler. */
export const withAddon = where(!isWindows, 'the native test addon is for POSIX systems')

/** Tests that use the descriptor of a mapping, or memory that has one. */
export const withDescriptors = where(!isWindows, 'a mapping has no descriptor on Windows')

/** Tests of signals, users and permissions as POSIX has them. */
export const onPosix = where(!isWindows, 'rests on POSIX')

/** Tests that cover a part of a shared mapping. */
export const coveringParts = where(!isWine, 'Wine makes no part of a shared view copy-on-write')

/** Tests of files that are larger than the disk. */
export const withHoles = where(!isWindows, 'a file takes its whole length on Windows')

/** Tests of mappings larger than 2 GiB. */
export const withAddresses = where(!is32Bit, 'a 32-bit system has no addresses for it')

/** Tests of what code that still reads a closed mapping gets. */
export const keeping = where(!isWindows, 'a closed mapping leaves nothing on Windows')

/** Tests that wake waiters without changing the word. */
export const notifying = where(isLinux, 'a word has to change elsewhere')

/** Tests that run the TypeScript compiler, which is a program of the system's. */
export const withCompiler = where(!isWine, 'needs the TypeScript compiler for Windows')

/** Tests of Windows. */
export const onWindows = where(isWindows, 'is about Windows')

/** Selects the kinds of mapping that this system has, by their names. */
export function kindsHere<K extends readonly [what: string, ...rest: unknown[]]>(kinds: readonly K[]): K[] {
  return kinds.filter(([what]) => !isWindows || !what.startsWith('a shared anonymous'))
}

/** Declares a test by a program, which may use what ./observe.mjs takes from /proc, or truncate a mapped file. */
export function byProgram(program: Program): Declare {
  const source = program instanceof URL ? readFileSync(program, 'utf8') : program
  const needs =
    /\b(areas|areaCount|areasIn|areasOfFile|descriptors|descriptorsOf|isReserved|memory|pipe|fixture|truncateSync)\(/
  return needs.test(source) ? onLinux : test
}
