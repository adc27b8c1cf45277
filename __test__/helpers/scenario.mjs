// What scenarios share. Scenarios are programs of tests that run in a process and a folder of their own.

import assert from 'node:assert'
import fs from 'node:fs'
import { createRequire } from 'node:module'

import { areas, turn as sleep } from './observe.mjs'

export { collect as gc, fixture, random as chance } from './observe.mjs'
export { sleep }

const HANG_MS = 120_000

/** How many memory areas this process has, of which the system allows 65,530. */
export const areaCount = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\n').length

/** How many memory areas lie in a mapping: one, or as many as it has ranges of different protection. */
export function areasIn({ address, length }) {
  return areas().filter(({ start, end }) => start < address + BigInt(length) && end > address).length
}

let made = 0
/** A file with these bytes, or one of this length without blocks on disk. */
export function makeFile(content) {
  const path = `mapped-${made++}`
  fs.writeFileSync(path, typeof content === 'number' ? '' : content)
  if (typeof content === 'number') fs.truncateSync(path, content)
  return path
}

/** Lets the event loop turn until a condition holds. */
export async function until(isSo) {
  for (const end = Date.now() + HANG_MS; !isSo(); await sleep(1)) assert.ok(Date.now() < end, 'nothing has happened')
}

/**
 * Forbids the system calls whose numbers the arguments of the program are, by the addon at FORBID. The function that it
 * returns says whether the system refuses a call.
 */
export function forbidSome() {
  const { forbid, isRefused } = createRequire(import.meta.url)(process.env.FORBID)
  for (const number of process.argv.slice(2))
    assert.strictEqual(forbid(Number(number)), 0, `call ${number} is forbidden`)
  return isRefused
}
