// A file, and what this process holds.

import fs from 'node:fs'
import path from 'node:path'

export const collect = globalThis.Bun ? () => Bun.gc(true) : globalThis.gc
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export const file = path.resolve('mapped-file')
export const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\n')
export const ours = () => mapped().filter((line) => line.includes('mapped-file')).length
/** Whether all these addresses, bigints, are in areas of this process. @param {bigint[]} addresses */
export function areMapped(addresses) {
  const areas = mapped().map((line) =>
    line
      .split(' ')[0]
      .split('-')
      .map((part) => parseInt(part, 16)),
  )
  return addresses.every((address) => areas.some(([start, end]) => start <= address && address < end))
}
export const descriptors = () => fs.readdirSync('/proc/self/fd').length
export async function collectTimes(count) {
  for (let i = 0; i < count; i++) {
    collect?.()
    await sleep(5)
  }
}
export async function settle(done) {
  for (const end = Date.now() + 120_000; !done() && Date.now() < end;) await collectTimes(1)
}
