// Runs passes.mjs or fire.mjs on a runtime, again and again from where it ended, and collects the results of all calls.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { scriptEnv } from '../helpers/processes.ts'
import type { Runtime } from '../helpers/runtimes.ts'

export type Call = {
  /** The line of the table, and which of its calls. */
  name: string
  at: number
  index: number
  order?: number
  /** Of passes.mjs: 2 for one pass over all of the memory, more for more. */
  touches?: number
  outcome?: string
  /** Of fire.mjs. */
  calls?: number
  outcomes?: Record<string, number>
  beside?: 'kept' | 'CHANGED'
  /** The signal or the exit code if the process did not survive the call; 'hangs' if it printed nothing more. */
  died?: string | number
}

/** Every call that the script makes, in the order in which it makes them. */
export async function callsMadeBy(
  runtime: Runtime,
  script: string,
  args: string[],
  silence = 120_000,
): Promise<Call[]> {
  const calls: Call[] = []
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-changing-'))
  try {
    for (let from = 0, ended = false; !ended;) {
      const { lines, died, stderr } = await run(runtime, script, [...args, String(from)], folder, silence)
      if (lines.length === 0) throw new Error(`${script} said nothing on ${runtime.name}: ${died} ${stderr}`)
      for (const line of lines) {
        if (line.end) ended = true
        else if (line.name) calls.push(line)
        else Object.assign(calls.at(-1)!, line)
      }
      if (ended) break
      const last = calls.at(-1)!
      if (last.touches === undefined && last.calls === undefined) last.died = died
      from = last.index
    }
    return calls
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Line = Call & { end?: true }

function run({ command, args: first }: Runtime, script: string, args: string[], cwd: string, silence: number) {
  const file = fileURLToPath(new URL(script, import.meta.url))
  return new Promise<{ lines: Line[]; died: string | number; stderr: string }>((resolve, reject) => {
    const child = spawn(command, [...first, file, ...args], { cwd, env: scriptEnv() })
    const lines: Line[] = []
    let rest = ''
    let stderr = ''
    let hangs = false
    const kill = () => (hangs = child.kill('SIGKILL'))
    let timer = setTimeout(kill, silence)
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      clearTimeout(timer)
      timer = setTimeout(kill, silence)
      const parts = (rest + text).split('\n')
      rest = parts.pop()!
      lines.push(...parts.map((part) => JSON.parse(part) as Line))
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ lines, died: hangs ? 'hangs' : (signal ?? code ?? 'unknown'), stderr })
    })
  })
}
