// Runs calls.mjs on a runtime, watches that it goes on, and starts it again behind a call that ended it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { start } from '../helpers/processes.ts'
import { watch } from '../helpers/report.ts'
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
      const numbers = [first, calls.step, calls.random, calls.seed].map(String)
      const args = [...runtime.args, script, join(folder, 'surface.json'), report, ...numbers]
      const ended = await watch(report, () => start(runtime.command, args, { cwd: folder }))
      outcome.wrong.push(...ended.lines)
      const done = /^(\d+) of \d+$/m.exec(ended.stdout)
      if (done) {
        outcome.made += Number(done[1])
        return outcome
      }
      const [number, what] = JSON.parse(ended.progress || '[0, "nothing"]') as [number, string]
      outcome.wrong.push(`in call ${number}, ${what}: ${ended.how}`)
      outcome.made += Math.floor((number - first) / calls.step)
      first = number + calls.step
    }
    return outcome
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
