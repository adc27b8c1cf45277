// The runtimes at hand, and how to run a script on one of them.

import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

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

export type ScriptResult = {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
  timedOut: boolean
}

const packageRoot = new URL('../../', import.meta.url).href
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

/** No update checks, and no report of a crash that a test wants. */
export const quiet = {
  DENO_NO_UPDATE_CHECK: '1',
  BUN_ENABLE_CRASH_REPORTING: '0',
  DO_NOT_TRACK: '1',
}

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

/** The text of an ES module, or the address of one. */
export type Program = string | URL

/** A program in ../scenarios. */
export function scenario(name: string): URL {
  return new URL(`../scenarios/${name}.mjs`, import.meta.url)
}

/**
 * Runs a program in a temporary folder of its own, which is its working directory and goes when it ends. A text finds
 * the package's folder, as a file URL with a slash at its end, in `MEMORY_MAP_ROOT`:
 *
 *     const { open } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
 *
 * Resolves however the script ends; rejects only when the runtime could not be started.
 */
export async function runScript(
  runtime: Runtime,
  program: Program,
  { args = [], timeoutMs = 300_000, env = {} }: ScriptOptions = {},
): Promise<ScriptResult> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-script-'))
  try {
    const file = program instanceof URL ? fileURLToPath(program) : join(folder, 'script.mjs')
    if (typeof program === 'string') writeFileSync(file, program)
    return await run(runtime.command, [...runtime.args, file, ...args], folder, timeoutMs, env)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(command: string, args: string[], cwd: string, timeoutMs: number, env: Record<string, string>) {
  return new Promise<ScriptResult>((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: scriptEnv(env), stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    let timedOut = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))

    // Processes that the script left behind may hold the pipes open, and 'close' would wait for them.
    const letGo = () => {
      child.stdout.destroy()
      child.stderr.destroy()
    }
    const timer = setTimeout(() => {
      timedOut = child.kill('SIGKILL')
      setTimeout(letGo, 500).unref()
    }, timeoutMs)
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, timedOut })
    })
  })
}

/** NODE_OPTIONS stays behind: it may hold the test runner's loader, which a script in another folder cannot resolve. */
function scriptEnv(extra: Record<string, string>): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  return { ...inherited, ...quiet, MEMORY_MAP_ROOT: packageRoot, ...extra }
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
