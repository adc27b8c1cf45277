// Other processes: some run lines for the test while they live, others just run to their end.

import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import type { ExecutionContext } from 'ava'

import type { Runtime } from './runtimes.ts'
import { scratchFolder } from './scratch.ts'
import { until } from './until.ts'

export type Ending = {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
  timedOut: boolean
}

/** A second process lives no longer than this, whatever the test does. */
const HANG_MS = 500_000

const packageRoot = new URL('../../', import.meta.url).href

/** Runs a command until it ends by itself, or for `timeoutMs` at most. */
export async function run(command: string, args: string[], options: SpawnOptions = {}, timeoutMs = 180_000) {
  return await ending(start(command, args, options), timeoutMs)
}

/** Starts a command without input and with its output in pipes, unless `options` say otherwise. */
export function start(command: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: scriptEnv(), ...options })
}

/** Waits until a process ends; after `timeoutMs` it is killed. */
export async function ending(child: ChildProcess, timeoutMs = 180_000): Promise<Ending> {
  let stdout = ''
  let stderr = ''
  let timedOut = false
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // Processes that it left behind may hold the pipes open, and 'close' would wait for them.
  const letGo = () => {
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
  const timer = setTimeout(() => {
    stderr += stacksOf(child.pid!)
    timedOut = child.kill('SIGKILL')
    setTimeout(letGo, 500).unref()
  }, timeoutMs)
  try {
    return await new Promise<Ending>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, timedOut }))
    })
  } finally {
    clearTimeout(timer)
  }
}

/** Where each thread of a process is, if there is a gdb to ask: a process that hangs is rarely seen again. */
function stacksOf(pid: number): string {
  const args = ['--batch', '--pid', String(pid), '--ex', 'thread apply all backtrace 40']
  return spawnSync('gdb', args, { encoding: 'utf8', timeout: 60_000 }).stdout ?? ''
}

/** No update checks, and no report of a crash that a test wants. */
const quiet = {
  DENO_NO_UPDATE_CHECK: '1',
  BUN_ENABLE_CRASH_REPORTING: '0',
  DO_NOT_TRACK: '1',
}

/**
 * The environment of scripts, which has the package's folder, as a file URL with a slash at its end, in `MEMORY_MAP_ROOT`.
 * NODE_OPTIONS stays behind: it may hold the test runner's loader, which a script in another folder cannot resolve.
 */
export function scriptEnv(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  return { ...inherited, ...quiet, MEMORY_MAP_ROOT: packageRoot, ...extra }
}

/** Quotes `words` for a shell. */
export function shellLine(words: string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
}

/** Waits until a process sleeps in a system call. */
export async function untilAsleep(pid: number): Promise<void> {
  await until(() => isAsleep(pid))
}

/** Whether a process sleeps: neither runs nor has ended. (proc(5), /proc/pid/stat) */
export function isAsleep(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('S')
}

const LISTENER = `
globalThis.lib = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
globalThis.fs = await import('node:fs')
const { createInterface } = await import('node:readline')
const reply = (message) => fs.writeSync(1, JSON.stringify(message) + '\\n')
reply({ value: 'ready' })
for await (const line of createInterface({ input: process.stdin })) {
  try {
    reply({ value: await (0, eval)(JSON.parse(line)) })
  } catch (error) {
    reply({ error: error.stack })
  }
}
`

/** As \`LISTENER\`; a line is an expression, or a statement, whose value is null. */
const PYTHON_LISTENER = `
import json, mmap, os, sys
names = {"mmap": mmap, "os": os}
def reply(message):
    print(json.dumps(message), flush=True)
reply({"value": "ready"})
for line in sys.stdin:
    source = json.loads(line)
    try:
        try:
            reply({"value": eval(source, names)})
        except SyntaxError:
            exec(source, names)
            reply({"value": None})
    except Exception as error:
        reply({"error": repr(error)})
`

/**
 * A second process that runs lines for the test and gives their values, for as long as the test needs it.
 *
 * In JavaScript the package is `lib` and `node:fs` is `fs`; an undeclared variable that is set stays for the next
 * line. In Python the same goes for `mmap` and `os`.
 */
export class Peer {
  readonly #child: ChildProcess
  readonly #ending: Promise<Ending>
  #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []

  private constructor(child: ChildProcess) {
    this.#child = child
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const { value, error } = JSON.parse(line) as { value: unknown; error?: string }
      const asked = this.#waiting.shift()!
      if (error === undefined) asked.resolve(value)
      else asked.reject(new Error(`in the second process: ${error}`))
    })
    this.#ending = ending(child, HANG_MS)
    this.#ending.then(
      (end) => this.#giveUp(new Error(`the second process has ended: ${JSON.stringify(end)}`)),
      (error: Error) => this.#giveUp(error),
    )
  }

  /** Starts one on a JavaScript runtime. It gets `descriptors` as its descriptors 3, 4 and so on. */
  static async start(t: ExecutionContext, runtime: Runtime, descriptors: number[] = []): Promise<Peer> {
    const file = join(scratchFolder(t), 'peer.mjs')
    writeFileSync(file, LISTENER)
    return await Peer.#start(t, runtime.command, [...runtime.args, file], descriptors)
  }

  /** Starts one in Python. */
  static async startPython(t: ExecutionContext, descriptors: number[] = []): Promise<Peer> {
    return await Peer.#start(t, 'python3', ['-c', PYTHON_LISTENER], descriptors)
  }

  static async #start(t: ExecutionContext, command: string, args: string[], descriptors: number[]): Promise<Peer> {
    const peer = new Peer(start(command, args, { stdio: ['pipe', 'pipe', 'pipe', ...descriptors] }))
    t.teardown(() => peer.kill())
    await peer.#reply()
    return peer
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Runs a line there; resolves to its value, as JSON carries it. */
  async run(source: string): Promise<unknown> {
    const reply = this.#reply()
    this.#child.stdin!.write(`${JSON.stringify(source)}\n`)
    return await reply
  }

  /** Lets it end by itself, as a finished script does. */
  async end(): Promise<Ending> {
    this.#child.stdin!.end()
    return await this.#ending
  }

  /** Kills it. */
  async kill(): Promise<Ending> {
    this.#child.kill('SIGKILL')
    return await this.#ending
  }

  #reply(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #giveUp(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
