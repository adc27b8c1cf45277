// The runtimes at hand, and how to run a script on one of them.

import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chosen } from '../../scripts/arguments.mjs'
import { type Ending, run, scriptEnv } from './processes.ts'

export type Runtime = {
  /** `node` is the one the tests run on; the others are called as in ../runtimes/package.json. */
  name: string
  version: string
  command: string
  /** What goes before the file to run. */
  args: string[]
}

export type ScriptOptions = {
  args?: string[]
  timeoutMs?: number
  env?: Record<string, string>
}

const installed = fileURLToPath(new URL('../runtimes/node_modules/', import.meta.url))

const nodeArgs = ['--expose-gc']
// Bun collects with Bun.gc(true), which needs no flag. It would fetch missing packages by itself.
const bunArgs = ['run', '--no-install']
const denoArgs = ['run', '-A', '--no-check', '--quiet', '--v8-flags=--expose-gc']

const onWindows = process.platform === 'win32'

const candidates = [
  { name: 'node20', binary: 'bin/node', args: nodeArgs },
  { name: 'node22', binary: 'bin/node', args: nodeArgs },
  { name: 'node24', binary: 'bin/node', args: nodeArgs },
  { name: 'node26', binary: 'bin/node', args: nodeArgs },
  { name: 'bun', binary: 'bin/bun', args: bunArgs },
  { name: 'deno', binary: 'deno', args: denoArgs },
]

/**
 * The host's Node first, then each one that `../runtimes/install.mjs` installed, except a Node of the host's version.
 *
 * A script collects garbage with `globalThis.gc()` on Node and Deno, with `Bun.gc(true)` on Bun.
 */
export function runtimes(): Runtime[] {
  const host: Runtime = { name: 'node', version: process.versions.node, command: process.execPath, args: nodeArgs }
  const others = candidates.flatMap(({ name, binary, args }): Runtime[] => {
    const command = join(installed, name, onWindows ? `${binary}.exe` : binary)
    return isExecutable(command) ? [{ name, version: installedVersion(name), command, args }] : []
  })
  return [host, ...others.filter(({ args, version }) => args !== nodeArgs || version !== host.version)]
}

/** Those that the arguments of a script name, or all if none does; '' is no name. */
export function runtimesNamed(asked: (string | undefined)[]): Runtime[] {
  const all = runtimes()
  const known = all.map(({ name }) => name)
  const given = asked.filter((name): name is string => Boolean(name))
  const names = chosen('runtime', given, known)
  return all.filter(({ name }) => names.includes(name))
}

/** A runtime whose processes have a limit, given as for ulimit(1). */
export function underLimit({ name, version, command, args }: Runtime, limit: string): Runtime {
  return { name, version, command: 'sh', args: ['-c', `ulimit ${limit} && exec "$@"`, 'sh', command, ...args] }
}

/** The text of an ES module, or the address of one. */
export type Program = string | URL

/** A program in ../scenarios. */
export function scenario(name: string): URL {
  return new URL(`../scenarios/${name}.mjs`, import.meta.url)
}

/**
 * Runs a program in a temporary folder of its own, which is its working directory and goes when it ends. A text finds
 * the package's folder in `MEMORY_MAP_ROOT`:
 *
 *     const { open } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
 *
 * Resolves however the script ends; rejects only when the runtime could not be started.
 */
export async function runScript(
  runtime: Runtime,
  program: Program,
  { args = [], timeoutMs = 300_000, env = {} }: ScriptOptions = {},
): Promise<Ending> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-script-'))
  try {
    const file = program instanceof URL ? fileURLToPath(program) : join(folder, 'script.mjs')
    if (typeof program === 'string') writeFileSync(file, program)
    return await run(runtime.command, [...runtime.args, file, ...args], { cwd: folder, env: scriptEnv(env) }, timeoutMs)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function installedVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8')) as { version: string }
  return manifest.version
}
