// The files that are measured: in a temporary folder that is removed when the process ends, and in the system's cache.

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { generator } from './statistics.mjs'
import { writeText } from './text.mjs'

export const [KIB, MIB, GIB, TIB] = [2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40]

export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-map-bench-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

let memory

/** A path for what processes share: in memory, where the system has files there. It is removed when the process ends. */
export function inMemory(name) {
  if (memory === undefined) {
    memory = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'memory-map-bench-'))
    process.on('exit', () => fs.rmSync(memory, { recursive: true, force: true }))
  }
  return path.join(memory, name)
}

/** A file without blocks on the disk: its pages in the cache are like any others, and hold zeros. */
export const sparse = (size) => ({ kind: 'sparse', size })

/** A file of Float64 numbers from 0 to 1, written to the disk. */
export const numbers = (size) => ({ kind: 'numbers', size })

/** Real text, as far as this machine has any. */
export const text = (size) => ({ kind: 'text', size })

const made = new Set()

/** The path of a file, made when it is first asked for. */
export function pathOf({ kind, size }) {
  const file = path.join(folder, `${kind}-${size}`)
  if (!made.has(file)) {
    if (kind === 'sparse') fs.writeFileSync(file, '')
    else if (kind === 'text') writeText(file, size)
    else writeNumbers(file, size)
    if (kind === 'sparse') fs.truncateSync(file, size)
    readAll(file)
    made.add(file)
  }
  return file
}

function writeNumbers(file, size) {
  const next = generator()
  const block = Float64Array.from({ length: Math.min(size, 16 * MIB) / 8 }, () => next() / 2 ** 32)
  const fd = fs.openSync(file, 'w')
  for (let at = 0; at < size; at += block.byteLength) fs.writeSync(fd, block)
  fs.fsyncSync(fd)
  fs.closeSync(fd)
}

/** Brings a file into the system's cache. */
export function readAll(file) {
  const fd = fs.openSync(file)
  const block = Buffer.allocUnsafe(4 * MIB)
  while (fs.readSync(fd, block) > 0);
  fs.closeSync(fd)
}
