// What a runtime can do with an ArrayBuffer over memory that it does not own: move it (`transfer()`, and in Deno every
// way), copy it (Node 20), or refuse until `transfer()` has moved it into one of its own kind (Node 22 and later, Bun).

import fs from 'node:fs'
import { join } from 'node:path'
import { isMainThread, workerData } from 'node:worker_threads'

import { mapShared } from '../../index.js'
import { areasOfFile, check, descriptorsOf, folder } from '../helpers/observe.mjs'

export const path = workerData?.path ?? join(folder(), 'file')
export const length = 16 << 20
if (isMainThread) fs.writeFileSync(path, Buffer.alloc(length, 'A'))
export const map = () => mapShared(path, { protection: 'read-write' })
export const isFree = () => areasOfFile(path) === 0 && descriptorsOf(path) === 0
export const isUntouched = () => fs.readFileSync(path).equals(Buffer.alloc(length, 'A'))

/** An ArrayBuffer that can go to another thread; Node 20 can only copy. */
export const movable = (arrayBuffer) => (arrayBuffer.transfer ? arrayBuffer.transfer() : arrayBuffer.slice())
export const isCopied = !ArrayBuffer.prototype.transfer

/** Reads and writes all pages of what is left of a mapping, which has its file's bytes or zeros. */
export function use(arrayBuffer, { store = true } = {}) {
  const bytes = new Uint8Array(arrayBuffer)
  check(bytes.length === length, 'the transferred buffer has all the bytes')
  for (let at = 0; at < length; at += 4096) check(bytes[at] === 65 || bytes[at] === 0, 'old bytes or zeros')
  if (!store) return
  for (let at = 0; at < length; at += 4096) bytes[at] = 65
}
