// What Linux tells of other processes: who holds which participant's lock, and who has a file mapped.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const isLinux = process.platform === 'linux'

/** Where the locks of participants begin (docs/memory-model.md). */
const FIRST = 2n ** 61n

function attempt(read, otherwise) {
  try {
    return read()
  } catch {
    return otherwise // it has ended, or is another user's
  }
}

function pids() {
  return attempt(() => readdirSync('/proc').filter((name) => /^\d+$/.test(name)), [])
}

function participantsIn(text) {
  const matches = text.matchAll(/OFDLCK\s+ADVISORY\s+WRITE\s+\S+\s+\S+?:\S+?:(\d+)\s+(\d+)\s/g)
  return Array.from(matches, ([, inode, start]) => [inode, BigInt(start) - FIRST]).filter(([, number]) => number > 0n)
}

/**
 * The participants that are alive, each with its process, if that may be seen, and which of them are those of a file.
 * Undefined where the system does not tell.
 */
export function participants(inode) {
  const locks = isLinux ? attempt(() => readFileSync('/proc/locks', 'utf8'), undefined) : undefined
  if (locks === undefined) return undefined
  const alive = new Map(participantsIn(locks).map(([, number]) => [number, undefined]))
  const ofFile = participantsIn(locks).filter(([file]) => file === String(inode))
  for (const pid of alive.size === 0 ? [] : pids()) {
    for (const fd of attempt(() => readdirSync(`/proc/${pid}/fdinfo`), [])) {
      const info = attempt(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'), '')
      for (const [, number] of participantsIn(info)) if (alive.has(number)) alive.set(number, Number(pid))
    }
  }
  // On some file systems (overlayfs) a file has another number there.
  return { alive, ofFile: ofFile.length > 0 ? ofFile.map(([, number]) => number) : [...alive.keys()] }
}

/** What a process is called. */
export function nameOf(pid) {
  const words = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'), [])
  return words.filter(Boolean).join(' ') || attempt(() => readlinkSync(`/proc/${pid}/exe`), '')
}
