// What the tests of faults share: files to map, waiting for reports, and programs.

import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'
import { type MemoryFault, type MemoryFaultError, type MemoryMap, pageSize } from 'memory-map'

import { type Program, type Runtime, runScript, type ScriptOptions } from './runtimes.ts'
import { scratchFolder } from './scratch.ts'
import { turns, until } from './until.ts'

export { areasOf } from './scenario.mjs'

/** A file with these bytes, or so many bytes of which none is on disk. */
export function makeFile(t: ExecutionContext, content: Uint8Array | number): string {
  const path = join(scratchFolder(t), 'mapped')
  writeFileSync(path, typeof content === 'number' ? '' : content)
  if (typeof content === 'number') truncateSync(path, content)
  return path
}

/** Whole pages of bytes that are nowhere zero and not the same in any two pages. */
export function pattern(pages: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: pages * pageSize }, (_, i) => 1 + ((i + Math.floor(i / pageSize)) % 251)),
  )
}

/** Where a mapping's faults are told. */
export class Reports {
  readonly faults: MemoryFault[] = []
  /** For the mapping. */
  readonly options = { onFault: (fault: MemoryFault) => void this.faults.push(fault) }

  /** Waits until so many faults have been told; what is told too much in the same turn is there too. */
  async told(count: number): Promise<MemoryFault[]> {
    await until(() => this.faults.length >= count)
    await turns()
    return this.faults
  }
}

/** Takes every fault of a mapping that no call has thrown: its pages are as they should be afterwards. */
export function settle(map: MemoryMap): MemoryFaultError[] {
  const errors: MemoryFaultError[] = []
  for (;;) {
    try {
      map.check()
      return errors
    } catch (error) {
      errors.push(error as MemoryFaultError)
    }
  }
}

/** What a program that is given as text begins with. */
const PRELUDE = `
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'

const { MemoryFaultError, mapAnonymous, mapPrivate, mapShared, pageSize } = await import(
  process.env.MEMORY_MAP_ROOT + 'index.js'
)
const { areas, areasOf, chance, fixture, gc, makeFile, sleep, until } = await import(
  process.env.MEMORY_MAP_ROOT + '__test__/helpers/scenario.mjs'
);
`

/** Runs a program that must end by itself, well, and say "end". */
export async function survives(
  t: ExecutionContext,
  runtime: Runtime,
  source: Program,
  options?: ScriptOptions,
): Promise<string> {
  const { code, signal, stdout, stderr, timedOut } = await runFaultScript(runtime, source, options)
  t.deepEqual(
    { code, signal, timedOut, last: stdout.trim().split('\n').at(-1), stderr: code === 0 ? '' : stderr },
    { code: 0, signal: null, timedOut: false, last: 'end', stderr: '' },
    `${runtime.name} ${runtime.version}\n${stderr}`,
  )
  return stdout
}

/** Scripts that may run at the same time: more would only wait for each other, and time out. */
let free = 2
const waiting: (() => void)[] = []

/** Runs a program, a text with {@link PRELUDE} before it, however it ends. */
export async function runFaultScript(runtime: Runtime, source: Program, options?: ScriptOptions) {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
  else free--
  try {
    return await runScript(runtime, source instanceof URL ? source : PRELUDE + source, options)
  } finally {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
}
