// The native test addons in ../addon, compiled when a test first needs them.

import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

export type Fixture = {
  /** Stores through a null pointer: the process dies by SIGSEGV. */
  crash(): never
  /**
   * Installs the addon's own SIGSEGV and SIGBUS handler. It repairs faults in one page of its own, and passes all others on
   * to the handler that was there before.
   *
   * @returns true when this call installed it, false when it already was in this process, by whichever thread.
   */
  installHandler(): boolean
  /**
   * Faults once in the handler's own page.
   *
   * @returns how many such faults the handler has repaired in this process.
   */
  touchOwnPage(): number
  /**
   * Replaces the handler of SIGSEGV and SIGBUS: by the default action, by a handler that returns without having repaired
   * anything (`plain` without SA_SIGINFO, `informed` with it), or by one that passes everything on to the action that it
   * replaced (`chained`, which stays if it is there already). Call it on the main thread, whose module stays loaded.
   */
  replaceHandler(how: 'default' | 'plain' | 'informed' | 'chained'): void
  /**
   * Reads every byte from a native thread, over and over. It keeps the buffer's `ArrayBuffer`, and never looks again at its
   * length or whether it is detached.
   *
   * @returns the number of whole passes, at least one however short the time.
   */
  startReader(buffer: Uint8Array, milliseconds: number): Promise<number>
  /** Like `startReader`, but stores 0x5a in every byte. */
  startWriter(buffer: Uint8Array, milliseconds: number): Promise<number>
  /** Has every reader and writer of the process that has begun end as if its time were over: after one pass at least. */
  finishPasses(): void
  /** Readers and writers of this JavaScript thread whose promise is not settled. */
  readerCount(): number
}

/**
 * The addon as a function of the module system: any runtime's `createRequire(...)(fixturePath())` gives a `Fixture`. It
 * is for POSIX systems: on Windows there is nothing at the path.
 */
export function fixturePath(): string {
  return compiled('fixture')
}

/** The addon of ../addon/tripwire.c: `arm(range, first, second)` and `disarm()`, as it says there. */
export function tripwirePath(): string {
  return compiled('tripwire')
}

/** The addon of ../addon/inject.c. */
export function injectionPath(): string {
  return compiled('inject')
}

/** The addon of ../addon/forbid.c, which ./scenario.mjs loads. Linux only. */
export function forbidPath(): string {
  return compiled('forbid')
}

/** The library of ../addon/refuse.c, to be preloaded. */
export function refusalPath(): string {
  return compiled('refuse')
}

function compiled(name: string): string {
  const [source, target] = ['c', 'node'].map((end) =>
    fileURLToPath(new URL(`../addon/${name}.${end}`, import.meta.url)),
  )
  if (process.platform !== 'win32' && modified(target!) <= modified(source!)) compile(source!, target!)
  return target!
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** Compiles an addon. Several test processes may do so at once: each writes a file of its own, and the last rename stays. */
function compile(source: string, target: string): void {
  const fresh = `${target}.${randomUUID()}.node`
  try {
    execFileSync(process.env.CC ?? 'cc', compilerArgs(source, fresh), { stdio: ['ignore', 'ignore', 'inherit'] })
    renameSync(fresh, target)
  } finally {
    rmSync(fresh, { force: true })
  }
}

function compilerArgs(source: string, output: string): string[] {
  const headers: { include_dir: string } = require('node-api-headers')
  const undefinedSymbols = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []
  const flags = ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-pthread', ...undefinedSymbols]
  return [...flags, `-I${headers.include_dir}`, source, '-o', output]
}
