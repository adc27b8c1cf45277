// For scripts in child processes: what the process holds at this moment, and how to collect its garbage.
// They import it by its address: `await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/observe.mjs')`.

import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, readlinkSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

export { random } from './random.mjs'

export const isBun = 'bun' in process.versions
export const isDeno = 'deno' in process.versions

/** A new folder in the script's own, which is removed with that. */
export const folder = () => mkdtempSync(join(process.cwd(), 'files-'))

export function collect() {
  if (isBun) Bun.gc(true)
  else globalThis.gc()
}

/** Lets the event loop turn. */
export const turn = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Keeps the thread busy until it is terminated, but only for some seconds, because Deno does not always terminate it. */
export function stayBusy() {
  for (const end = Date.now() + 5000; Date.now() < end;);
}

/** Collects garbage and lets the event loop turn until `condition` holds. Returns whether it did within two minutes. */
export async function until(condition) {
  const end = Date.now() + 120_000
  for (let pause = 0; !condition(); pause = Math.min(pause + 2, 50)) {
    if (Date.now() > end) return false
    collect()
    await turn(pause)
  }
  return true
}

/** The memory areas of the process: `/proc/self/maps`. */
export function areas() {
  const lines = readFileSync('/proc/self/maps', 'latin1').trimEnd().split('\n')
  return lines.map((line) => {
    const [, start, end, access, , , , name] = /^(\w+)-(\w+) (\S+) (\w+) (\S+) (\d+) *(.*)$/.exec(line)
    return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), access, name }
  })
}

/** How many areas a file has, even if it was deleted. */
export const areasOfFile = (path) => areas().filter(({ name }) => name.startsWith(resolve(path))).length

/** How many descriptors a file has. */
export const descriptorsOf = (path) => targets('self').filter((target) => target.startsWith(resolve(path))).length

/** How many io_urings a process has: waits sleep in them where the system has them. */
export const rings = (/** @type {number | 'self'} */ pid = 'self') =>
  targets(pid).filter((target) => target === 'anon_inode:[io_uring]').length

/** What the descriptors of a process are of. */
const targets = (pid) =>
  descriptors(pid).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return [] // the one that listed the folder
    }
  })

/** The open descriptors. */
export const descriptors = (/** @type {number | 'self'} */ pid = 'self') => readdirSync(`/proc/${pid}/fd`)

/**
 * Whether the addresses of a closed mapping are kept: all of them, by memory of the library's, or by private memory
 * without a file or swap (`nr` in /proc/self/smaps). What malloc puts there once they went back has swap, or is the
 * rest of an arena; one piece of another kind is enough to tell. A look misses what other threads change meanwhile, so
 * one of some is enough.
 */
export const isReserved = (address, length) => [1, 2, 3, 4].some(() => keptBytes(address, length) === BigInt(length))

/** The C library keeps an arena for a thread at a multiple of this: what is in use, and behind it what is not yet. */
const ARENA = 64n << 20n

/** @param {bigint} address @param {number} length */
function keptBytes(address, length) {
  const end = address + BigInt(length)
  let kept = 0n
  let before = { from: 0n, to: 0n }
  for (const section of readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start, stop, access, name] = /^(\w+)-(\w+) (\S+) \w+ \S+ \d+ *(.*)$/m.exec(section)
    const [from, to] = [BigInt(`0x${start}`), BigInt(`0x${stop}`)]
    const isArena = access === '---p' && before.to === from && before.access === 'rw-p' && before.from % ARENA === 0n
    before = { from, to, access }
    if (to <= address || end <= from || isArena) continue
    const isPlain = access.endsWith('p') && name === '' && /^VmFlags:.* nr\b/m.test(section)
    if (isPlain || name.startsWith('/memfd:memory-map'))
      kept += (to < end ? to : end) - (from > address ? from : address)
  }
  return kept
}

/** A line of `/proc/self/status` in bytes, such as `VmRSS` or `VmSize`. */
export function memory(name) {
  const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'latin1'))
  return Number(kilobytes) * 1024
}

/** A named pipe, open at both ends: what is written to `fd` waits until `drain` or another reader reads it. */
export function pipe(path) {
  execFileSync('mkfifo', [path])
  return openSync(path, 'r+')
}

/** Reads exactly `length` bytes from the pipe at `path`, by a descriptor of its own; the loop turns meanwhile. */
export async function drain(path, length) {
  const fd = openSync(path, 'r+')
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; await turn()) at += readSync(fd, bytes, at, Math.min(length - at, 65536), null)
  closeSync(fd)
  return bytes
}

/** The native test addon. */
export const fixture = () => createRequire(import.meta.url)(process.env.FIXTURE)

/** Ends the process with a message if `holds` is false: by a signal, because a busy pool may hold up an exit. */
export function check(holds, message) {
  if (holds) return
  writeSync(2, `NOT AS IT SHOULD BE: ${message}\n`)
  process.kill(process.pid, 'SIGKILL')
}
