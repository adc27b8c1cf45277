// Runs run.mjs and first.mjs on a runtime, watches that they go on, and goes on behind a failure that ended the process.

import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { injectionPath } from '../helpers/addon.ts'
import { ending, scriptEnv, start } from '../helpers/processes.ts'
import { watch } from '../helpers/report.ts'
import type { Runtime } from '../helpers/runtimes.ts'

export type Outcome = {
  /** How many calls have failed. */
  failed: number
  /** What went wrong, in words. */
  wrong: string[]
}

/** Crashes after which the rest is not worth it. */
const MOST = 20

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

function begin(runtime: Runtime, cwd: string, name: string, args: (string | number)[]): ChildProcess {
  const env = scriptEnv({ NODE_NO_WARNINGS: '1', INJECTION: injectionPath() })
  return start(runtime.command, [...runtime.args, script(name), ...args.map(String)], { cwd, env })
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
  try {
    const ended = await watch(report, () => begin(runtime, folder, 'run.mjs', [report, first, step]))
    outcome.wrong.push(...ended.lines.map((line) => JSON.parse(line) as string))
    const done = /^(\d+) of \d+$/m.exec(ended.stdout)
    if (done) {
      outcome.failed += Number(done[1])
      return undefined
    }
    const [next, what] = JSON.parse(ended.progress || `[${first}, "nothing had begun"]`) as [number, string]
    outcome.wrong.push(`when ${what}: ${ended.how}`)
    outcome.failed += (next - first) / step
    return next
  } finally {
    rmSync(report, { force: true })
  }
}

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
      const { code, signal, stdout, stderr } = await ending(begin(runtime, folder, 'first.mjs', all[i]!))
      outcome.failed++
      if (code !== 0 || !stdout.endsWith('reached the end\n')) {
        const how = `ended with ${signal ?? code}: ${stderr.slice(-2000)}`
        outcome.wrong.push(`the first mapping, ${all[i]!.join(' ')}: ${how}`)
      }
    }
    return outcome
  })
}
