// What the threads of another process are doing: for the report of one that does not go on.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A line for each thread of a process on Linux, and its stacks where gdb is installed and may look; '' elsewhere. */
export function threadsOf(pid: number): string {
  const threads = attempt(() => readdirSync(`/proc/${pid}/task`).map((thread) => line(`/proc/${pid}/task/${thread}`)))
  return threads ? [...threads, attempt(() => stacks(pid)) ?? 'no gdb'].join('\n') : ''
}

/** Its state, how long it has run, the call of the system that it is in, and its signals. */
function line(thread: string): string {
  const read = (name: string) => attempt(() => readFileSync(`${thread}/${name}`, 'latin1').trim()) ?? '?'
  const [state, ...numbers] = read('stat')
    .replace(/^.*\) /, '')
    .split(' ')
  const signals = read('status').match(/^Sig(Pnd|Blk):\s*\w+/gm) ?? []
  return [
    `${read('comm')} ${state}, ${numbers[10]} + ${numbers[11]} ticks`,
    `in ${read('wchan')}: ${read('syscall')}`,
    ...signals.map((signal) => signal.replace(/\s+0*(?=\w)/, ' ')),
  ].join(', ')
}

function stacks(pid: number): string {
  const where = 'info sharedlibrary memory-map'
  const commands = ['set print frame-arguments none', 'thread apply all backtrace 40', where]
  const args = ['-p', String(pid), '-batch', '-nx', ...commands.flatMap((command) => ['-ex', command])]
  const text = execFileSync('gdb', args, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] })
  // Behind frames of code without a table for unwinding nothing is certain.
  const known = (part: string) => /^(Thread|#|0x)/.test(part) && !part.endsWith(' in ?? ()')
  return text.split('\n').filter(known).join('\n')
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined // it has ended, or may not be looked at
  }
}
