// `npm run test:loaded -- [RUNS [AT_ONCE]]`: the whole suite again and again, 20 times if nothing else is said, beside
// four other busy processes or more. These are the other suites, if several run at once, and processes that compute.
// Nothing is run again until it passes: one that fails in any run has failed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { given, wholeNumber } from './arguments.mjs'

const BUSY = 4
const SPECS_AT_ONCE = 2 // or more, where AVA has more processors
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
const suites = []
const failed = []

/** Runs one suite after another, as long as any is left. If several run at once, each prints to a file. */
async function runSuites() {
  while (suites.length < runs) {
    const run = suites.length + 1
    const begun = Date.now()
    const path = `${logs}${run}.log`
    const output = atOnce === 1 ? 'inherit' : openSync(path, 'w')
    const child = spawn(process.execPath, [suite], { stdio: ['inherit', output, output] })
    suites.push(child)
    const [code] = await once(child, 'exit')
    if (output !== 'inherit') closeSync(output)
    if (code !== 0) failed.push(run)
    const minutes = Math.round((Date.now() - begun) / 60_000)
    console.log(`\nrun ${run} of ${runs}: ${code === 0 ? 'passed' : 'FAILED'}, ${minutes} minutes\n`)
    if (output !== 'inherit') console.log(code === 0 ? path : readFileSync(path, 'utf8'))
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
  for (const child of [...suites, ...busy]) child.kill()
}
console.log(
  `${runs - failed.length} of ${runs} runs passed${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}`,
)
if (failed.length > 0) process.exitCode = 1
