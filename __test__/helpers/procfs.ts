// What Linux tells of a process's memory and descriptors. (proc(5))

import { readdirSync, readFileSync } from 'node:fs'

/** A mapping's line of figures in /proc/PID/smaps, in bytes. */
export type Smaps = {
  size: number
  /** What of it is in memory and in this process's page tables. */
  rss: number
  /** The same with each page divided by the number of processes that have it. */
  pss: number
  /** Pages of this process's own, which no file has. */
  own: number
  /** Pages of files that were stored to, by whomever, and are not on disk yet; and pages of this process's own. */
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

/** How many descriptors this process has open; asynchronous work of other tests may change it at any time. */
export function openDescriptors(): number {
  // The listing has the descriptor that it is read through.
  return readdirSync('/dev/fd').length - 1
}
