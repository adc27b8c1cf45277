// Advice to the system about pages.

import { toChoice } from './choices.js'
import { native } from './native.js'

/**
 * Advice on pages, as `MADV_*` of madvise(2), which says what each does. `MemoryMap.supports` tells which of
 * them a system has: Linux nearly all, macOS and the BSDs the first six, Windows `'willneed'`.
 *
 * - `normal`, `random`, `sequential`: how much to read ahead
 * - `willneed`: read it in soon; `dontneed`: drop it (private pages lose what was stored); `free`: it may be
 *   dropped when memory is short; `cold`: the first to go; `pageout`: it goes now
 * - `mergeable`, `unmergeable`: whether equal pages may be merged into one
 * - `hugepage`, `nohugepage`: whether to use huge pages; `collapse`: put it into huge pages now (Linux 6.1)
 * - `dontdump`, `dodump`: whether it is in a core dump
 * - `dontfork`, `dofork`, `wipeonfork`, `keeponfork`: what a forked child gets
 * - `remove`: punches a hole in the file: the bytes read zeros, and their blocks are free
 * - `populate-read`, `populate-write`: bring it in now, to be read or to be stored to
 */
export type Advice =
  | 'normal'
  | 'random'
  | 'sequential'
  | 'willneed'
  | 'dontneed'
  | 'free'
  | 'cold'
  | 'pageout'
  | 'mergeable'
  | 'unmergeable'
  | 'hugepage'
  | 'nohugepage'
  | 'dontdump'
  | 'dodump'
  | 'dontfork'
  | 'dofork'
  | 'remove'
  | 'wipeonfork'
  | 'keeponfork'
  | 'populate-read'
  | 'populate-write'
  | 'collapse'

/** By number, as the native library has them. */
let names: readonly string[] | undefined

/** The number of an advice. */
export function toAdvice(value: unknown, name = 'advice'): number {
  return toChoice(value, name, (names ??= native.adviceNames()))
}

/** Whether this system has an advice. */
export function supports(advice: Advice): boolean {
  return native.supports(toAdvice(advice))
}
