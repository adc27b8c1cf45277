// words.mjs NODE PACKAGE FOLDER: a process of 64 bits and one of another word size, run by NODE with the package in
// PACKAGE, share what memory-map/sync puts into one file in FOLDER: a channel each way, a mutex, a semaphore, a word.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const THERE = { offset: 4096, length: 16384 }
const BACK = { offset: 32768, length: 16384 }
const [MUTEX, SEMAPHORE, COUNTER, WORD] = [0, 64, 128, 192]
const MESSAGES = 20_000
const ROUNDS = 5_000
const WAIT_MS = 15_000

async function load(folder) {
  const at = (name) => import(pathToFileURL(join(folder, name)))
  return { ...(await at('index.js')), ...(await at('sync.js')) }
}

function open(library, file, create) {
  const { mapShared, Channel, Mutex, Semaphore } = library
  const map = mapShared(file, { protection: 'read-write', create, length: 65_536 })
  const mutex = new Mutex(map, MUTEX)
  const semaphore = new Semaphore(map, SEMAPHORE, 0)
  const channel = ({ offset, length }) =>
    create ? Channel.create(map, { offset, length }) : Channel.open(map, { offset })
  const [there, back] = [channel(THERE), channel(BACK)]
  return { map, mutex, semaphore, there, back }
}

/** A message whose length and bytes tell its number. */
function message(number) {
  const bytes = Buffer.alloc(8 + ((number * 37) % 3000), number)
  bytes.writeBigUInt64LE(BigInt(number))
  return bytes
}

/** Counts up under the lock, by a load and a store, so that without the lock counts would be lost. */
function count({ map, mutex }) {
  const counter = map.typedArray(Float64Array, COUNTER, 1)
  for (let round = 0; round < ROUNDS; round++) {
    assert.equal(mutex.lock(WAIT_MS), 'acquired')
    counter[0] += 1
    mutex.unlock()
  }
}

/** What the other process does. */
async function answer(folder, file) {
  const library = await load(folder)
  const shared = open(library, file, false)
  const { there, back, semaphore, mutex, map } = shared
  for (let number = 0; number < MESSAGES; number++) {
    const received = there.receive(WAIT_MS)
    const hash = createHash('md5').update(received).digest()
    assert(back.send(Buffer.concat([received.subarray(0, 8), hash]), WAIT_MS))
  }
  count(shared)
  semaphore.release(3)
  assert.equal(library.wait(map, WORD, 0, WAIT_MS), 'ok')
  mutex.lock()
  console.log('locked')
  setInterval(() => {}, WAIT_MS) // until it is killed
}

async function ask(node, folder, scratch) {
  const here = await load(fileURLToPath(new URL('../../', import.meta.url)))
  const file = join(scratch, 'words')
  rmSync(file, { force: true })
  const shared = open(here, file, true)
  const { there, back, semaphore, mutex, map } = shared
  const options = { stdio: ['ignore', 'pipe', 'inherit'] }
  const child = spawn(node, [fileURLToPath(import.meta.url), 'answer', folder, file], options)

  const answers = []
  for (let number = 0; number < MESSAGES; number++) {
    assert(there.send(message(number), WAIT_MS))
    for (let bytes = back.tryReceive(); bytes; bytes = back.tryReceive()) answers.push(bytes)
  }
  while (answers.length < MESSAGES) answers.push(back.receive(WAIT_MS))
  answers.forEach((bytes, number) => {
    const hash = createHash('md5').update(message(number)).digest()
    assert.deepEqual(bytes, Buffer.concat([message(number).subarray(0, 8), hash]))
  })

  count(shared)
  for (let i = 0; i < 3; i++) assert(semaphore.acquire(WAIT_MS))
  assert.equal(semaphore.tryAcquire(), false)
  assert.equal(map.typedArray(Float64Array, COUNTER, 1)[0], 2 * ROUNDS)

  while (here.notify(map, WORD) === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  await once(child.stdout, 'data')
  assert.equal(mutex.tryLock(), false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(mutex.lock(WAIT_MS), 'recovered')
  mutex.unlock()
  map.close()
  console.log(`✔ a process of another word size answers ${MESSAGES} messages, locks, waits, and is killed with a lock`)
}

const [command, ...parameters] = process.argv.slice(2)
await (command === 'answer' ? answer(...parameters) : ask(command, ...parameters))
