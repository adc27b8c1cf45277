// `npm run test:loaded -- [RUNS]`: the whole suite again and again, 20 times if nothing else is said, while four other
// processes compute. Nothing is run again until it passes: one that fails in any run has failed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { given, wholeNumber } from './arguments.mjs'

const BUSY = 4
const suite = fileURLToPath(new URL('test.mjs', import.meta.url))
const [many = 20] = given(1).positionals
const runs = wholeNumber('RUNS', many, 1)

/** Ends with its parent, whatever ends that. */
const COMPUTE = 'for (const parent = process.ppid; process.ppid === parent;);'
const busy = Array.from({ length: BUSY }, () => spawn(process.execPath, ['-e', COMPUTE], { stdio: 'ignore' }))
const failed = []
try {
  for (let run = 1; run <= runs; run++) {
    const begun = Date.now()
    const [code] = await once(spawn(process.execPath, [suite], { stdio: 'inherit' }), 'exit')
    if (code !== 0) failed.push(run)
    const minutes = Math.round((Date.now() - begun) / 60_000)
    console.log(`\nrun ${run} of ${runs}: ${code === 0 ? 'passed' : 'FAILED'}, ${minutes} minutes\n`)
  }
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
