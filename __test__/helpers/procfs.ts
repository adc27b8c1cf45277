// Figures of a mapping in any process, and the number of open descriptors. (proc(5))

import { readdirSync, readFileSync } from 'node:fs'

/** The figures of a mapping in /proc/PID/smaps, in bytes. */
export type Smaps = {
  size: number
  /** Pages that are in memory and in this process's page tables. */
  rss: number
  /** The same with each page divided by the number of processes that have it. */
  pss: number
  /** Pages of this process's own, which no file has. */
  own: number
  /** Pages of files that anybody stored to and that are not on disk yet, and this process's own pages. */
  dirty: number
}

/** The figures of the mapping that has `address` in it. */
export function smaps(address: bigint, pid: number | 'self' = 'self'): Smaps {
  const sections = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  const section = sections.find((text) => {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+)/.exec(text)!
    return BigInt(`0x${start}`) <= address && address < BigInt(`0x${end}`)
  })
  if (section === undefined) throw new Error(`nothing is mapped at 0x${address.toString(16)}`)
  const figure = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(section)![1]) * 1024
  return {
    size: figure('Size'),
    rss: figure('Rss'),
    pss: figure('Pss'),
    own: figure('Anonymous'),
    dirty: figure('Shared_Dirty') + figure('Private_Dirty'),
  }
}

/** How many descriptors this process has open. Other tests in the process may change this at any time. */
export function openDescriptors(): number {
  // The listing includes the descriptor through which it is read.
  return readdirSync('/dev/fd').length - 1
}
