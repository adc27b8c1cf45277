// Runs calls.mjs on a runtime, watches that it goes on, and starts it again behind a call that ended it.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { scriptEnv } from '../helpers/processes.ts'
import type { Runtime } from '../helpers/runtimes.ts'
import type { Operation } from './surface.ts'

export type Calls = {
  /** The calls `first`, `first + step` and so on of all. */
  first: number
  step: number
  /** How many of each function with everything hostile. */
  random: number
  seed: number
}

export type Outcome = {
  /** How many calls were made. */
  made: number
  /** What went wrong, in words. */
  wrong: string[]
}

/** No call takes so long, on however busy a machine. */
const LIMIT = 120_000
/** Crashes after which the rest is not worth it. */
const MOST = 20

const script = fileURLToPath(new URL('calls.mjs', import.meta.url))

export async function callEverything(runtime: Runtime, surface: Operation[], calls: Calls): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-hostile-'))
  const outcome: Outcome = { made: 0, wrong: [] }
  try {
    writeFileSync(join(folder, 'surface.json'), JSON.stringify(surface))
    for (let { first } = calls, crashes = 0; crashes < MOST; crashes++) {
      const report = join(folder, `report-${crashes}`)
      writeFileSync(report, ''.padEnd(512))
      const ended = await run(runtime, folder, report, { ...calls, first })
      const [progress, ...lines] = [readFileSync(report, 'utf8').slice(0, 512), ...readLines(report)]
      outcome.wrong.push(...lines)
      const done = /^(\d+) of \d+$/m.exec(ended.stdout)
      if (done) {
        outcome.made += Number(done[1])
        return outcome
      }
      const [number, what] = JSON.parse(progress.trim() || '[0, "nothing"]') as [number, string]
      outcome.wrong.push(`${ended.how} in call ${number}: ${what}\n${ended.stderr.slice(-2000)}`)
      outcome.made += Math.floor((number - first) / calls.step)
      first = number + calls.step
    }
    return outcome
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const readLines = (report: string) => readFileSync(report, 'utf8').slice(512).split('\n').filter(Boolean)

type Ended = { how: string; stdout: string; stderr: string }

function run(runtime: Runtime, cwd: string, report: string, { first, step, random, seed }: Calls): Promise<Ended> {
  const args = [...runtime.args, script, join(cwd, 'surface.json'), report, ...[first, step, random, seed].map(String)]
  return new Promise((resolve, reject) => {
    const child = spawn(runtime.command, args, { cwd, env: scriptEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr, stopped] = ['', '', false]
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)))
    let [at, since] = ['', Date.now()]
    const watch = setInterval(() => {
      const now = readFileSync(report, 'utf8').slice(0, 512)
      if (now !== at) [at, since] = [now, Date.now()]
      else if (Date.now() - since > LIMIT) stopped = child.kill('SIGKILL')
    }, 500)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearInterval(watch)
      resolve({ how: stopped ? 'hung' : `ended with ${signal ?? code}`, stdout, stderr })
    })
  })
}
