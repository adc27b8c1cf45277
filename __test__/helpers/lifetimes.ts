// Runs scripts about lifetimes in processes of their own, with a common beginning and end.

import type { ExecutionContext } from 'ava'

import { fixturePath } from './addon.ts'
import type { Ending } from './processes.ts'
import { type Program, type Runtime, runScript, type ScriptOptions } from './runtimes.ts'

/** What every script finds: the modules of the runtime, the package as `mm`, and the names of ./observe.mjs. */
const prelude = `
import fs from 'node:fs'
import zlib from 'node:zlib'
import crypto from 'node:crypto'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
const {
  folder, collect, turn, until, areas, areasOfFile, descriptors, descriptorsOf, isReserved, memory, pipe,
  drain, fixture, random, check, stayBusy, isBun, isDeno,
} = await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/observe.mjs')
`

const importPackage = `
const { mapShared, mapPrivate, mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
`

export type LifetimeOptions = ScriptOptions & {
  /** Whether the script imports the package itself. */
  withoutPackage?: boolean
}

/** Runs a program, a text after the prelude. */
export function runLifetime(
  runtime: Runtime,
  source: Program,
  { withoutPackage = false, env = {}, ...options }: LifetimeOptions = {},
): Promise<Ending> {
  const program = source instanceof URL ? source : prelude + (withoutPackage ? '' : importPackage) + source
  return runScript(runtime, program, { ...options, env: { FIXTURE: fixturePath(), ...env } })
}

/** Runs a program, a text after the prelude. It must end by itself without an error, and say so in its last line. */
export async function endsWell(
  t: ExecutionContext,
  runtime: Runtime,
  source: Program,
  options?: LifetimeOptions,
): Promise<string> {
  const program = source instanceof URL ? source : `${source}\nif (isMainThread) console.log('reached the end')\n`
  const result = await runLifetime(runtime, program, options)
  const { code, signal, timedOut, stdout, stderr } = result
  t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, lastLines(stdout + stderr))
  t.true(stdout.endsWith('reached the end\n'), lastLines(stdout + stderr))
  return stdout
}

/** The last lines of a text. */
export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-25).join('\n')
}
