// What the tests of faults share: files to map, waiting for reports, counting the process's memory areas.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'
import { type MemoryFault, type MemoryMap, pageSize } from 'memory-map'

import { type Runtime, runScript, type ScriptOptions } from './runtimes.ts'
import { scratchFolder } from './scratch.ts'
import { HANG_MS, turns, until } from './until.ts'

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

/** How many memory areas lie in a mapping: one, or as many as it has ranges of different protection. */
export function areasOf({ address, length }: MemoryMap): number {
  const ranges = readFileSync('/proc/self/maps', 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+)/gm)
  return [...ranges].filter(([, start, end]) => {
    return BigInt(`0x${start}`) < address + BigInt(length) && BigInt(`0x${end}`) > address
  }).length
}

/** What the scripts of these tests begin with. Their working directory goes when they end. */
const PRELUDE = `
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'

const { MemoryFaultError, mapAnonymous, mapPrivate, mapShared, pageSize } = await import(
  process.env.MEMORY_MAP_ROOT + 'index.js'
)
const fixture = () => createRequire(import.meta.url)(process.env.FIXTURE)
const gc = () => globalThis.Bun ? globalThis.Bun.gc(true) : globalThis.gc()
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
/** How many memory areas this process has, of which the system allows 65,530. */
const areas = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').length
${areasOf.toString().replace('readFileSync', 'fs.readFileSync')}

let made = 0
/** A file with these bytes, or so many bytes of which none is on disk. */
function makeFile(content) {
  const path = 'mapped-' + made++
  fs.writeFileSync(path, typeof content === 'number' ? '' : content)
  if (typeof content === 'number') fs.truncateSync(path, content)
  return path
}

/** Lets the event loop turn until something is so. */
async function until(isSo) {
  for (const end = Date.now() + ${HANG_MS}; !isSo(); await sleep(1)) assert.ok(Date.now() < end, 'nothing has happened')
}

/** Whole numbers from 0 to below a limit, the same in every run. */
function chance(seed) {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
`

/** Runs a script, with {@link PRELUDE} before it, that must end by itself, well, and say "end". */
export async function survives(
  t: ExecutionContext,
  runtime: Runtime,
  source: string,
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

/** Runs a script with {@link PRELUDE} before it, however it ends. */
export async function runFaultScript(runtime: Runtime, source: string, options?: ScriptOptions) {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
  else free--
  try {
    return await runScript(runtime, PRELUDE + source, options)
  } finally {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
}
