// A process that writes a report while it works: in its first bytes what it is doing, then a line for each thing that went
// wrong. It is watched, so that what it was doing is known when it crashes or hangs.

import type { ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

import { ending } from './processes.ts'
import { threadsOf } from './stuck.ts'

export type Reported = {
  /** How it ended: with which code or signal, and the end of what it printed as errors; or that it hung, and where. */
  how: string
  stdout: string
  /** What it was doing last; '' if it had not begun. */
  progress: string
  /** What went wrong. */
  lines: string[]
}

/** Bytes in which the process says what it is doing. */
const HEAD = 512
/** How often that is looked at, in milliseconds. */
const PAUSE = 500
/**
 * A process whose progress is the same after so many looks hangs: nothing takes that long, on however busy a machine. Looks
 * are counted and not the time, as the clock of a machine that was suspended has gone on.
 */
const LOOKS = 240
/** Milliseconds: it may take as long as it likes while it goes on. */
const EVER = 2 ** 31 - 1

/** Starts a process that writes the file `report`, and waits until it ends or hangs. */
export async function watch(report: string, start: () => ChildProcess): Promise<Reported> {
  writeFileSync(report, ''.padEnd(HEAD))
  const read = () => readFileSync(report, 'utf8')
  const child = start()
  let [at, looks, stuck] = ['', 0, '']
  const watching = setInterval(() => {
    const now = read().slice(0, HEAD)
    looks = now === at ? looks + 1 : 0
    at = now
    if (looks !== LOOKS) return
    stuck = `hung, where its threads were:\n${threadsOf(child.pid!)}`
    child.kill('SIGKILL')
  }, PAUSE)
  try {
    const { code, signal, stdout, stderr } = await ending(child, EVER)
    const text = read()
    const how = stuck || `ended with ${signal ?? code}: ${stderr.slice(-2000)}`
    return { how, stdout, progress: text.slice(0, HEAD).trim(), lines: text.slice(HEAD).split('\n').filter(Boolean) }
  } finally {
    clearInterval(watching)
  }
}
