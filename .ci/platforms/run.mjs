// Tests on the platforms that a machine like this one can run, part by part: `npm run test:platforms [part...]`.
//
// A part is a script beside this file. It passes, fails, or ends with 77 after a line "not run: why" where this machine
// cannot run it, which is no failure. It is skipped where it passed before with the same inputs (stamps.mjs). What is
// downloaded or built once is kept in $MEMORY_MAP_CACHE, or else in ~/.cache/memory-map. When $PLATFORMS_SECONDS, if
// set, are over, no part goes on or begins.

import { spawn } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

import { commitThatPassed, inputsHash, stampPassed } from './stamps.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const logs = join(root, 'target', 'platforms')

const rust = ['crates', 'Cargo.toml', 'Cargo.lock', '.ci/platforms/tools']
const javascript = ['index.ts', 'sync.ts', 'lib', 'scripts', 'tsconfig.json', 'package.json', 'package-lock.json']
const specs = ['__test__', 'examples', '.ci/platforms/runtimes']

/**
 * Each is run by the first of its scripts, which are in this folder. Those on demand, which take long, only where they
 * are named. Those that leave a processor idle run beside the others, which run one after another.
 */
const parts = [
  { name: 'x64', scripts: ['x64.sh'], minutes: 10, covers: [...rust, ...javascript, ...specs] },
  {
    name: 'windows',
    scripts: ['windows-in-wine.sh', 'windows.sh'],
    minutes: 18,
    beside: true,
    covers: [...rust, ...javascript, ...specs],
  },
  { name: 'arm64', scripts: ['arm64.sh'], minutes: 12, covers: [...rust, ...javascript, ...specs] },
  { name: 'musl', scripts: ['musl.sh'], minutes: 12, covers: [...rust, ...javascript, ...specs] },
  { name: 'check', scripts: ['check.sh'], minutes: 20, covers: [...rust, 'scripts', 'package-lock.json'] },
  { name: 'untold', scripts: ['untold.sh'], minutes: 10, covers: [...rust, ...javascript, ...specs] },
  { name: 'arm64-musl', scripts: ['arm64-musl.sh'], minutes: 15, covers: [...rust, ...javascript, ...specs] },
  { name: 'i686', onDemand: true, scripts: ['i686.sh'], minutes: 20, covers: [...rust, ...javascript, ...specs] },
  { name: 'riscv64', onDemand: true, scripts: ['riscv64.sh'], minutes: 40, covers: [...rust, ...javascript, ...specs] },
  { name: 'armv7', onDemand: true, scripts: ['armv7.sh'], minutes: 40, covers: [...rust, ...javascript, ...specs] },
  { name: 'arm64-16k', onDemand: true, scripts: ['arm64-16k.sh'], minutes: 30, covers: rust },
]

const NOT_RUN = 77
/** Less is not worth beginning a part. */
const LEAST_SECONDS = 60
const GRACE_MS = 5000

const here = (script) => join('.ci', 'platforms', script)

/** Runs a part's script in a process group of its own, which ends with it, or when the time is over. */
function run(part, log, seconds) {
  rmSync(log, { force: true })
  const output = openSync(log, 'a')
  const child = spawn(join(root, here(part.scripts[0])), [], {
    cwd: root,
    stdio: ['ignore', output, output],
    detached: true,
  })
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal)
    } catch {
      // Nothing is left of it.
    }
  }
  const stop = () => {
    kill('SIGTERM')
    setTimeout(kill, GRACE_MS, 'SIGKILL').unref()
  }
  const end = (signal) => {
    process.exitCode = 128 + constants.signals[signal]
    stop()
  }
  process.once('SIGTERM', end).once('SIGINT', end)
  return new Promise((resolve, reject) => {
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      stop()
    }, seconds * 1000)
    child.on('error', reject)
    child.on('exit', (code) => {
      clearTimeout(timer)
      process.off('SIGTERM', end).off('SIGINT', end)
      kill('SIGKILL')
      resolve({ code, timedOut })
    })
  })
}

/** How many tests passed: a line of ava's for each, a line for each program of Rust's, or the last line of windows.sh. */
function countTests(text) {
  const counts = [...text.matchAll(/^(?:test result: \w+\. )?(\d+) passed[;,]/gm)].map(([, count]) => Number(count))
  return counts.reduce((sum, count) => sum + count, 0) + [...text.matchAll(/^ *✔/gm)].length
}

async function outcomeOf(part, secondsLeft) {
  const hash = inputsHash([...part.covers, ...part.scripts.map(here)])
  const commit = commitThatPassed(part.name, hash)
  if (commit) return { outcome: 'skipped', why: `passed before with the same inputs, at ${commit}` }
  if (secondsLeft < LEAST_SECONDS) return { outcome: 'not run', why: 'time' }

  const result = await attempt(part, secondsLeft)
  if (result.outcome === 'passed') stampPassed(part.name, hash)
  return result
}

async function attempt(part, secondsLeft) {
  const log = join(logs, `${part.name}.log`)
  const seconds = part.minutes * 60
  const { code, timedOut } = await run(part, log, Math.min(seconds, secondsLeft))
  const text = stripVTControlCharacters(readFileSync(log, 'utf8'))
  const tests = countTests(text)
  if (timedOut && secondsLeft < seconds) return { outcome: 'not run', why: 'time', tests }
  if (code === NOT_RUN) return { outcome: 'not run', why: /^not run: (.*)$/m.exec(text)?.[1] ?? 'it does not say why' }
  if (code !== 0) {
    console.log(text.split('\n').slice(-80).join('\n'))
    return {
      outcome: 'failed',
      why: timedOut ? `not done after ${part.minutes} minutes` : `exit code ${code}`,
      tests,
      timedOut,
    }
  }
  return { outcome: 'passed', tests }
}

const names = process.argv.slice(2)
for (const name of names) {
  if (!parts.some((part) => part.name === name)) throw new Error(`there is no part ${name}`)
}
mkdirSync(logs, { recursive: true })

const secondsSince = (time) => Math.round((Date.now() - time) / 1000)
const started = Date.now()
const budget = Number(process.env.PLATFORMS_SECONDS ?? Infinity)
const results = []
async function runInTurn(chosen) {
  for (const part of chosen) {
    if (process.exitCode !== undefined) break // by a signal
    const { name } = part
    console.log(`== ${name}`)
    const begun = Date.now()
    const { outcome, why, tests = 0 } = await outcomeOf(part, budget - secondsSince(started))
    results.push({ name, outcome, tests, seconds: secondsSince(begun) })
    const isGood = outcome === 'passed' || outcome === 'skipped'
    console.log(`-- ${isGood ? outcome : outcome.toUpperCase()}: ${name}${why ? ` (${why})` : ''}`)
  }
}

const toRun = parts.filter(({ name, onDemand }) => (names.length === 0 ? !onDemand : names.includes(name)))
await Promise.all([runInTurn(toRun.filter(({ beside }) => !beside)), runInTurn(toRun.filter(({ beside }) => beside))])

console.log()
for (const { name, outcome, tests, seconds } of results) {
  console.log(
    `${name.padEnd(12)}${outcome.padEnd(8)}${String(tests).padStart(6)} tests${String(seconds).padStart(6)} s`,
  )
}
const count = (wanted) => results.filter(({ outcome }) => outcome === wanted).length
const passed = results.reduce((sum, { tests }) => sum + tests, 0)
console.log(`${count('not run')} not run`)
console.log(`${passed} tests passed, ${count('failed')} parts failed`)
process.exitCode ??= count('failed') === 0 ? 0 : 1
