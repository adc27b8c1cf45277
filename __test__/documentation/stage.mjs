// What is around the examples of the documentation, in a folder of their own: the names that they leave out, files, and
// another process, which is on the other side of what they wait for.

import assert from 'node:assert/strict'
import { spawn as start } from 'node:child_process'
import * as fs from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Worker, workerData } from 'node:worker_threads'

import * as library from 'memory-map'
import * as sync from 'memory-map/sync'

// A global of the runtimes has this name: examples import theirs.
const { Event: _, ...classes } = sync

const LENGTH = 2 ** 21
const contents = Buffer.alloc(LENGTH)
contents[0] = 4 // no word that an example waits for is zero; as a mutex, its owner is dead
for (const at of [2 ** 12, 2 ** 20]) contents.write('a line\r\nand one with a needle\n', at)

const isOther = process.argv[2] === 'other'

for (const name of ['log.bin', 'model.bin', 'image.bin', 'table.bin', 'map.bin']) {
  if (!isOther) fs.writeFileSync(name, contents)
}

if (!isOther) fs.writeFileSync('access.log', Array.from({ length: 100 }, (_, at) => `GET /${at}\r\n`).join(''))

const values = {
  ...library,
  ...classes,
  Worker,
  workerData,
  assert,
  fs,
  pipeline,
  statSync: fs.statSync,
  file: 'log.bin',
  options: {},
  length: 4096,
  bytes: Buffer.from('bytes'),
  signal: new AbortController().signal,
  request: Readable.from(['bytes']),
  response: new PassThrough().resume(),
  /** @param {Buffer} bytes */
  handle: (bytes) => assert(Buffer.isBuffer(bytes)),
  repair() {},
  change() {},
  /** @type {(command: string, args: string[], options: import('node:child_process').SpawnOptions) => void} */
  spawn(_, __, options) {
    start(process.execPath, ['--eval', 'require("fs").fstatSync(3)'], options).on('exit', passOn)
  },
}

/** What stands for an instance of a WebAssembly module that counts lines in its memory. */
function makeInstance() {
  const memory = new /** @type {any} */ (globalThis).WebAssembly.Memory({ initial: 2 })
  const count = (at, length) => Buffer.from(memory.buffer, at, length).toString('latin1').split('\n').length - 1
  /** @type {{ memory: library.WasmMemory, records(at: number, length: number): number }} */
  const exports = { memory, records: count }
  return { exports }
}

/** Those that are made when they are first used. */
const makers = {
  map: () => library.mapShared('map.bin', { protection: 'read-write' }),
  worker: () => new Worker('', { eval: true }),
  instance: makeInstance,
  words: () => library.openSharedMemory(`work-${process.pid}`).typedArray(Int32Array),
}

/** @typedef {typeof values & { [N in keyof typeof makers]: ReturnType<(typeof makers)[N]> }} Stage */
export const names = [...Object.keys(values), ...Object.keys(makers)]

Object.assign(globalThis, values)
for (const [name, make] of Object.entries(makers)) {
  let value
  Object.defineProperty(globalThis, name, { get: () => (value ??= make()) })
}

function passOn(code) {
  process.exitCode ||= code
}

if (isOther) {
  const parent = Number(process.argv[3])
  setInterval(() => {
    if (process.ppid !== parent) process.exit()
    attempt(() => sync.Channel.open(library.mapShared('inbox', { protection: 'read-write' })).trySend('hello'))
    for (const open of [
      () => library.openSharedMemory(`work-${parent}`),
      () => library.mapShared('work.bin', { protection: 'read-write' }),
    ]) {
      attempt(() => {
        const map = open()
        sync.Channel.open(map, { offset: 4096 }).trySend('hello')
        Atomics.store(map.typedArray(Int32Array), 2, 1)
        sync.notify(map, 8)
      })
    }
  }, 50)
} else {
  const other = start(process.execPath, [import.meta.filename, 'other', String(process.pid)], { stdio: 'ignore' })
  other.unref()
  process.on('exit', () => {
    other.kill('SIGKILL')
    for (const name of ['work', 'counters', 'pages'])
      attempt(() => library.unlinkSharedMemory(`${name}-${process.pid}`))
  })
}

function attempt(run) {
  try {
    run()
  } catch {}
}
