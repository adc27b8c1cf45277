// What the tests of faults share: bytes to look for, waiting for reports, and programs.

import type { ExecutionContext } from 'ava'
import { type MemoryFault, type MemoryFaultError, type MemoryMap, pageSize } from 'memory-map'

import { type Program, type Runtime, runScript, type ScriptOptions } from './runtimes.ts'
import { turns, until } from './until.ts'

export { areasIn } from './scenario.mjs'

/** Pages of bytes none of which is zero; no two pages are the same. */
export function nonzeroPages(pages: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: pages * pageSize }, (_, i) => 1 + ((i + Math.floor(i / pageSize)) % 251)),
  )
}

/** Collects the faults that are reported for a mapping. */
export class Reports {
  readonly faults: MemoryFault[] = []
  /** The options of the mapping. */
  readonly options = { onFault: (fault: MemoryFault) => void this.faults.push(fault) }

  /** Waits until `count` faults have been reported, and a little longer for any that should not be. */
  async told(count: number): Promise<MemoryFault[]> {
    await until(() => this.faults.length >= count)
    await turns()
    return this.faults
  }
}

/**
 * Has `check` throw every fault that is left. Afterwards the pages of the mapping are as they should be. Of an access on
 * another thread there can be several: it is made again, and fails again if its page has been put back by then.
 */
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

/** The beginning of every program that is given as text. */
const PRELUDE = `
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'

const { MemoryFaultError, mapAnonymous, mapPrivate, mapShared, pageSize } = await import(
  process.env.MEMORY_MAP_ROOT + 'index.js'
)
const { areaCount, areasIn, chance, fixture, gc, makeFile, sleep, until } = await import(
  process.env.MEMORY_MAP_ROOT + '__test__/helpers/scenario.mjs'
);
`

/** Runs a program that must end by itself without an error, and print "end" last. */
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

/** How many more scripts may run at the same time: too many would only slow each other down, and time out. */
let free = 2
const waiting: (() => void)[] = []

/** Runs a program, which may end in any way. A text gets {@link PRELUDE} before it. */
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
