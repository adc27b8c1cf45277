// `npm run test:loaded -- [RUNS [AT_ONCE]]`: the whole suite again and again, 20 times if nothing else is said, beside
// four other busy processes or more. These are the other suites, if several run at once, and processes that compute.
// Nothing is run again until it passes: one that fails in any run has failed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { given, wholeNumber } from './arguments.mjs'

const BUSY = 4
const SPECS_AT_ONCE = 2 // the least that AVA runs
const suite = fileURLToPath(new URL('test.mjs', import.meta.url))
const logs = fileURLToPath(new URL('../target/loaded/', import.meta.url))
const [many = 20, together = 1] = given(2).positionals
const runs = wholeNumber('RUNS', many, 1)
const atOnce = wholeNumber('AT_ONCE', together, 1)

/** Ends with its parent, whatever ends that. */
const COMPUTE = 'for (const parent = process.ppid; process.ppid === parent;);'
const compute = () => spawn(process.execPath, ['-e', COMPUTE], { stdio: 'ignore' })
const computing = Math.max(0, BUSY - SPECS_AT_ONCE * (atOnce - 1))
const busy = Array.from({ length: computing }, compute)
const failed = []
let begun = 0

/** Runs one suite after another, as long as any is left. What they print goes to files, but for the end. */
async function runSuites() {
  while (begun < runs) {
    const run = ++begun
    const since = Date.now()
    const path = `${logs}${run}.log`
    const log = openSync(path, 'w')
    const [code] = await once(spawn(process.execPath, [suite], { stdio: ['ignore', log, log] }), 'exit')
    closeSync(log)
    if (code !== 0) failed.push(run)
    const minutes = Math.round((Date.now() - since) / 60_000)
    const result = code === 0 ? 'passed' : 'FAILED'
    console.log(`run ${run} of ${runs}: ${result}, ${minutes} minutes, ${path}`)
    console.log(readFileSync(path, 'utf8').slice(-2000).split('\n\n').at(-1))
  }
  // The suites that still run keep as many busy processes beside them.
  busy.push(...Array.from({ length: SPECS_AT_ONCE }, compute))
}

mkdirSync(logs, { recursive: true })
try {
  await Promise.all(Array.from({ length: atOnce }, runSuites))
  if (busy.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)) {
    throw new Error('A busy process has ended early')
  }
} finally {
  for (const child of busy) child.kill()
}
console.log(
  `${runs - failed.length} of ${runs} runs passed${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}`,
)
if (failed.length > 0) process.exitCode = 1
