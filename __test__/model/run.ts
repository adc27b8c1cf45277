// Runs run.mjs on a runtime, and prints the program that failed, or that ended the process.

import { runScript, type Runtime } from '../helpers/runtimes.ts'

export type Programs = { seed: number; programs: number; thread: 'main' | 'worker' }

/** Undefined if all programs did what the model says; otherwise the shortest that did not, or the one that ended the process. */
export async function runPrograms(runtime: Runtime, { seed, programs, thread }: Programs): Promise<string | undefined> {
  // What ran last is told by a script around the one that may be ended.
  const source = `
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
const [command, ...args] = ${JSON.stringify([runtime.command, ...runtime.args])}
const script = new URL('__test__/model/run.mjs', process.env.MEMORY_MAP_ROOT)
const { fileURLToPath } = await import('node:url')
const { status, signal } = spawnSync(command, [...args, fileURLToPath(script), ...process.argv.slice(2)], { stdio: 'inherit' })
if (signal || (status !== 0 && status !== 1)) {
  console.log('ended with ' + (signal ?? status) + ' by\\n' + fs.readFileSync('program.mjs', 'utf8'))
}
process.exit(status ?? 1)
`
  const { code, signal, stdout, stderr, timedOut } = await runScript(runtime, source, {
    args: [String(seed), String(programs), thread],
    timeoutMs: 3_600_000,
  })
  if (code === 0 && stdout === `${programs} programs, seed ${seed}\n`) return undefined
  return `${runtime.name}, ${thread}: ${JSON.stringify({ code, signal, timedOut })}\n${stdout}\n${stderr}`
}
