// The memory areas of a process, and the descriptors of this one, as Linux shows them. (proc(5))

import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'

import { pageSize } from 'memory-map'

export type Area = {
  start: bigint
  end: bigint
  /** As in `rw-s`. */
  permissions: string
  /** The name of the file that is mapped there, with `(deleted)` if it was; empty for plain memory. */
  name: string
}

/** What /proc/PID/smaps says of an area, in bytes. */
export type AreaFigures = Area & {
  size: number
  /** Bytes of each page. */
  page: number
  /** Pages that are in memory and in the process's page tables. */
  rss: number
  /** The same with each page divided by the number of processes that have it. */
  pss: number
  /** Pages of the process's own, which no file has. */
  own: number
  /** Pages of files that anybody stored to and that are not on disk yet, and the process's own pages. */
  dirty: number
  /** As in `rd`, `wr`, `nr`. */
  flags: string[]
}

/** Every area of this process's memory, as /proc/self/maps has them. */
export function areas(): Area[] {
  return readFileSync('/proc/self/maps', 'utf8').trimEnd().split('\n').map(parseArea)
}

/** The area that has `address` in it, if something is mapped there. */
export function areaAt(address: bigint): Area | undefined {
  return areas().find(({ start, end }) => start <= address && address < end)
}

/** The same with its figures. The kernel joins neighbouring areas of plain memory with equal flags. */
export function figuresAt(address: bigint, pid: number | 'self' = 'self'): AreaFigures {
  const sections = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  for (const section of sections) {
    const area = parseArea(section.slice(0, section.indexOf('\n')))
    if (address < area.start || area.end <= address) continue
    const bytes = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(section)![1]) * 1024
    return {
      ...area,
      size: bytes('Size'),
      page: bytes('KernelPageSize'),
      rss: bytes('Rss'),
      pss: bytes('Pss'),
      own: bytes('Anonymous'),
      dirty: bytes('Shared_Dirty') + bytes('Private_Dirty'),
      flags: /^VmFlags: (.*)$/m.exec(section)![1]!.trim().split(' '),
    }
  }
  throw new Error(`nothing is mapped at 0x${address.toString(16)}`)
}

/** How many of the pages from `address` on, `length` bytes long, are in memory. (pagemap(5)) */
export function residentPages(address: bigint, length: number): number {
  const first = address / BigInt(pageSize)
  const last = (address + BigInt(length) - 1n) / BigInt(pageSize)
  const entries = Buffer.alloc(Number(last - first + 1n) * 8)
  const fd = openSync('/proc/self/pagemap', 'r')
  readSync(fd, entries, 0, entries.length, first * 8n)
  closeSync(fd)
  let resident = 0
  for (let at = 0; at < entries.length; at += 8) resident += Number(entries.readBigUInt64LE(at) >> 63n)
  return resident
}

/** The files of all open descriptors of this process, by number. */
export function descriptors(): Map<number, string> {
  const open = new Map<number, string>()
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      open.set(Number(fd), readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      // The listing has the descriptor that it is read through, which is closed by now.
    }
  }
  return open
}

/** How many descriptors this process has open, on any POSIX system. Other tests in it may change this at any time. */
export function openDescriptors(): number {
  // The listing includes the descriptor through which it is read.
  return readdirSync('/dev/fd').length - 1
}

/** The flags of `open` that a descriptor of this process has, close-on-exec included. */
export function descriptorFlags(fd: number): number {
  return parseInt(/^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8)
}

/** Collects garbage until all finalizers have run, also those of objects that other finalizers have freed. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 8; round++) {
    globalThis.gc!()
    await turn()
  }
}

function parseArea(line: string): Area {
  const [, start, end, permissions, name] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)$/.exec(line)!
  return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), permissions: permissions!, name: name! }
}
