// Runs run.mjs and first.mjs on a runtime, watches that they go on, and goes on behind a failure that ended the process.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { injectionPath } from '../helpers/addon.ts'
import { scriptEnv } from '../helpers/processes.ts'
import type { Runtime } from '../helpers/runtimes.ts'
import { threadsOf } from '../helpers/stuck.ts'

export type Outcome = {
  /** How many calls have failed. */
  failed: number
  /** What went wrong, in words. */
  wrong: string[]
}

/** How often the progress is looked at, in milliseconds. */
const PAUSE = 500
/**
 * A step that is still not over after so many looks hangs: none takes that long, on however busy a machine. Looks are
 * counted and not the time, as the clock of a machine that was suspended has gone on.
 */
const LOOKS = 240
/** Crashes after which the rest is not worth it. */
const MOST = 20

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string }

function begin(runtime: Runtime, cwd: string, name: string, args: (string | number)[]): ChildProcess {
  const env = scriptEnv({ NODE_NO_WARNINGS: '1', INJECTION: injectionPath() })
  const stdio = ['ignore', 'pipe', 'pipe'] as const
  return spawn(runtime.command, [...runtime.args, script(name), ...args.map(String)], { cwd, env, stdio: [...stdio] })
}

function ending(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

const inFolder = async <T>(run: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-injection-'))
  try {
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Tries the failures `first`, `first + step` and so on of all. */
export async function injectFailures(runtime: Runtime, first: number, step: number): Promise<Outcome> {
  const outcome: Outcome = { failed: 0, wrong: [] }
  for (let crashes = 0; crashes < MOST; crashes++) {
    const next = await inFolder((folder) => injectFrom(runtime, folder, first, step, outcome))
    if (next === undefined) break
    first = next
  }
  return outcome
}

/** Tries failures; where to go on after a crash. */
async function injectFrom(runtime: Runtime, folder: string, first: number, step: number, outcome: Outcome) {
  const report = `${folder}.report`
  writeFileSync(report, ''.padEnd(512))
  const progress = () => readFileSync(report, 'utf8').slice(0, 512)
  try {
    const child = begin(runtime, folder, 'run.mjs', [report, first, step])
    let [at, looks, stuck] = ['', 0, '']
    const watch = setInterval(() => {
      const now = progress()
      looks = now === at ? looks + 1 : 0
      at = now
      if (looks !== LOOKS) return
      stuck = `, where its threads were:\n${threadsOf(child.pid!)}`
      child.kill('SIGKILL')
    }, PAUSE)
    const ended = await ending(child)
    clearInterval(watch)
    outcome.wrong.push(
      ...readFileSync(report, 'utf8')
        .slice(512)
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as string),
    )
    const done = /^(\d+) of \d+$/m.exec(ended.stdout)
    if (done) {
      outcome.failed += Number(done[1])
      return undefined
    }
    const [next, what] = JSON.parse(progress().trim() || `[${first}, "nothing had begun"]`) as [number, string]
    outcome.wrong.push(`${stuck ? 'hung' : said(ended)} when ${what}${stuck}`)
    outcome.failed += (next - first) / step
    return next
  } finally {
    rmSync(report, { force: true })
  }
}

const said = ({ code, signal, stderr }: Ended) => `ended with ${signal ?? code}: ${stderr.slice(-2000)}`

/** Has the calls that the first mapping of a process makes fail, in a process each: every `step`th of them. */
export async function injectFirst(runtime: Runtime, step: number): Promise<Outcome> {
  return await inFolder(async (folder) => {
    const outcome: Outcome = { failed: 0, wrong: [] }
    const listed = await ending(begin(runtime, folder, 'first.mjs', []))
    const { errorsOf } = (await import('./errnos.mjs')) as { errorsOf(call: string): string[] }
    const isOfMemory = (call: string) => /alloc|memalign/.test(call)
    const all = Object.entries(JSON.parse(listed.stdout) as Record<string, number>).flatMap(([call, count]) =>
      (isOfMemory(call) ? [] : errorsOf(call)).flatMap((error) =>
        Array.from({ length: Math.min(count, 3) }, (_, i): [string, string, number] => [call, error, i + 1]),
      ),
    )
    for (let i = 0; i < all.length; i += step) {
      const ended = await ending(begin(runtime, folder, 'first.mjs', all[i]!))
      outcome.failed++
      if (ended.code !== 0 || !ended.stdout.endsWith('reached the end\n')) {
        outcome.wrong.push(`the first mapping, ${all[i]!.join(' ')}: ${said(ended)}`)
      }
    }
    return outcome
  })
}
