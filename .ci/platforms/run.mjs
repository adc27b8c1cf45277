// Tests on the platforms that a machine like this one can run: `npm run test:platforms [part...]`. matrix.mjs has them.
//
// A part passes, fails, or is not run where this machine cannot, which is no failure. It is left out where it has passed
// with the same inputs: $MEMORY_MAP_CACHE, or else ~/.cache/memory-map, has a file for each. When $PLATFORMS_SECONDS, if
// set, are over, no part goes on or begins.

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

import { chosen, given } from '../../scripts/arguments.mjs'
import { cache } from '../../scripts/zig.mjs'
import { parts } from './matrix.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const logs = join(root, 'target', 'platforms', 'logs')
const passed = join(cache, 'passed')
const NOT_RUN = 77
/** With less time left, no part is begun. */
const LEAST_SECONDS = 60
const GRACE_MS = 5000

/** A hash of what a part tests, committed or not, and of the Node that runs the tests. */
function hashOf(inputs) {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...inputs]
  const files = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
  const hash = createHash('sha256').update(process.version)
  for (const file of [...new Set(files)].toSorted()) {
    const path = join(root, file)
    hash.update(`\0${file}\0`).update(existsSync(path) ? readFileSync(path) : '')
  }
  return hash.digest('hex').slice(0, 32)
}

/** Runs a part in a process group of its own, which ends with it, or when the time is over. */
function start(name, log, seconds) {
  rmSync(log, { force: true })
  const output = openSync(log, 'a')
  const program = fileURLToPath(new URL('part.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, name], {
    cwd: root,
    stdio: ['ignore', output, output],
    detached: true,
  })
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal)
    } catch {
      // It has ended already.
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

/** How many tests passed: a line of AVA's for each, one of Cargo's for each program, or the last line of windows.sh. */
function countTests(text) {
  const counts = [...text.matchAll(/^(?:test result: \w+\. )?(\d+) passed[;,]/gm)].map(([, count]) => Number(count))
  return counts.reduce((sum, count) => sum + count, 0) + [...text.matchAll(/^ *✔/gm)].length
}

/** The lines of a log that say more than that a test has passed: a step that failed may be far from the end. */
function withoutPassed(text) {
  return text.split('\n').filter((line) => line.trim() !== '' && !/^ *✔|^test .* ok$/.test(line))
}

async function outcomeOf(name, secondsLeft) {
  const { inputs, minutes } = parts[name]
  const stamp = join(passed, `${name}-${hashOf(inputs)}`)
  if (existsSync(stamp)) return { outcome: 'skipped', why: 'it has passed with the same inputs' }
  if (secondsLeft < LEAST_SECONDS) return { outcome: 'not run', why: 'time' }

  const log = join(logs, `${name}.log`)
  const { code, timedOut } = await start(name, log, Math.min(minutes * 60, secondsLeft))
  const text = stripVTControlCharacters(readFileSync(log, 'utf8'))
  const tests = countTests(text)
  if (code === 0) {
    mkdirSync(passed, { recursive: true })
    writeFileSync(stamp, '')
    return { outcome: 'passed', tests }
  }
  if (timedOut && secondsLeft < minutes * 60) return { outcome: 'not run', why: 'time', tests }
  if (code === NOT_RUN) return { outcome: 'not run', why: /^not run: (.*)$/m.exec(text)?.[1] ?? 'it does not say why' }
  console.log(withoutPassed(text).slice(-200).join('\n').replaceAll(/^/gm, '  | '))
  return { outcome: 'failed', why: timedOut ? `not done after ${minutes} minutes` : `exit code ${code}`, tests }
}

const asked = given(Infinity).positionals
const named = chosen('part', asked, Object.keys(parts))
mkdirSync(logs, { recursive: true })

const secondsSince = (time) => Math.round((Date.now() - time) / 1000)
const started = Date.now()
const budget = Number(process.env.PLATFORMS_SECONDS ?? Infinity)
const results = []
async function runInTurn(names) {
  for (const name of names) {
    if (process.exitCode !== undefined) break // by a signal
    console.log(`== ${name}`)
    const begun = Date.now()
    const { outcome, why, tests = 0 } = await outcomeOf(name, budget - secondsSince(started))
    results.push({ name, outcome, tests, seconds: secondsSince(begun) })
    const isGood = outcome === 'passed' || outcome === 'skipped'
    console.log(`-- ${isGood ? outcome : outcome.toUpperCase()}: ${name}${why ? ` (${why})` : ''}`)
  }
}

const names = named.filter((name) => asked.length > 0 || !parts[name].onDemand)
const isBeside = (name) => Boolean(parts[name].beside)
await Promise.all([runInTurn(names.filter((name) => !isBeside(name))), runInTurn(names.filter(isBeside))])

console.log()
for (const { name, outcome, tests, seconds } of results) {
  console.log(
    `${name.padEnd(12)}${outcome.padEnd(8)}${String(tests).padStart(6)} tests${String(seconds).padStart(6)} s`,
  )
}
const count = (wanted) => results.filter(({ outcome }) => outcome === wanted).length
console.log(`${results.reduce((sum, { tests }) => sum + tests, 0)} tests passed, ${count('failed')} parts failed`)
process.exitCode ??= count('failed') === 0 ? 0 : 1
