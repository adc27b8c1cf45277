// A mixed load on the main thread and on two workers, until it is killed: `load.mjs FOLDER INDEX SEED`. (run.ts)
//
// Each second it writes a line: what it has done, the longest that its event loop was held up, and what went wrong.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { collect, random, turn } from '../helpers/observe.mjs'
import { AT, BROADCAST, CHANNEL, DATA, isMessage, message, QUEUE, TRUNCATED } from './layout.mjs'

const { mapAnonymous, mapPrivate, mapShared, MemoryMap, openSharedMemory, pageSize, unlinkSharedMemory } = await import(
  process.env.MEMORY_MAP_ROOT + 'index.js'
)
const { Broadcast, Channel, Latest, Mutex, Queue, RwLock } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')

const [folder, index, seed] = isMainThread
  ? [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
  : [workerData.folder, workerData.index, workerData.seed]
const chance = random(seed)
const at = (name) => `${folder}/${name}`
const rw = { protection: 'read-write', onFault() {} }
const backing = () => ['array-buffer', 'shared-array-buffer'][chance(2)]

const done = {}
const wrong = []

/** Runs what may end with some codes. */
async function mayEnd(codes, act) {
  try {
    return await act()
  } catch (error) {
    if (!codes.includes(error?.code)) throw error
  }
}

function expect(isSo, what) {
  if (!isSo) throw new Error(what)
}

const OPERATIONS = {
  mapping() {
    const offset = chance(DATA.length / 2)
    const make = chance(2) === 0 ? mapShared : mapPrivate
    const map = make(at('data'), { offset, length: 1 + chance(DATA.length / 4), backing: backing() })
    const place = chance(map.length)
    expect(map.view(place, 1)[0] === DATA.byte(offset + place), 'a byte is not that of the file')
    if (chance(3) > 0) map.close() // the others are collected
  },

  anonymous() {
    const map = mapAnonymous(pageSize * (1 + chance(100)), { backing: backing() })
    map.buffer[map.length - 1] = 7
    const length = map.length
    map.resize(length + pageSize * chance(200))
    expect(map.view(length - 1, 1)[0] === 7, 'resize has lost a byte')
    if (chance(2) === 0) map.protect('read')
    if (chance(3) > 0) map.close()
  },

  async truncated() {
    // Another process truncates the file, and extends it again.
    await mayEnd(['ERR_MMAP_FAULT', 'ERR_MMAP_BEYOND_END'], async () => {
      const map = mapShared(at(`truncated-${chance(TRUNCATED.files)}`), rw)
      try {
        const bytes = map.buffer
        await turn(chance(50))
        for (let i = 0; i < bytes.length; i += pageSize) bytes[i] = bytes[i] + 1
        if (chance(2) === 0) map.read()
        if (chance(2) === 0) await map.sync()
        if (chance(4) === 0) map.resize(1 + chance(TRUNCATED.length))
        map.check()
      } finally {
        done.faults = (done.faults ?? 0) + map.faults
        map.close()
      }
    })
  },

  async durable() {
    const map = mapShared(at(`own-${index}`), { ...rw, create: true, length: 2 ** 18 })
    map.write(Buffer.alloc(1000, chance(256)), chance(2 ** 18 - 1000))
    const range = { offset: chance(2 ** 17), length: chance(2 ** 17) }
    if (chance(8) === 0) await map.sync(range)
    await map.prefetch(range)
    map.advise('dontneed', { offset: 0, length: 2 ** 17 })
    await map.closeAsync()
  },

  async search() {
    const map = mapShared(at('data'))
    const controller = new AbortController()
    if (chance(3) === 0) setTimeout(() => controller.abort(), chance(3))
    await mayEnd(['ABORT_ERR'], async () => {
      const lines = await map.countAsync('\n', { signal: controller.signal })
      expect(lines === DATA.lines, `${lines} lines`)
    })
    expect(map.count('\n', { length: DATA.line * 100 }) === 100, 'lines are missing')
    map.close()
  },

  async stream() {
    const map = mapShared(at('data'))
    const stream = map.createReadStream({ end: chance(DATA.length) })
    const isGivenUp = chance(3) === 0
    let bytes = 0
    await mayEnd(isGivenUp ? ['ERR_MMAP_CLOSED', 'ERR_STREAM_PREMATURE_CLOSE'] : [], () =>
      pipeline(stream, async (chunks) => {
        for await (const chunk of chunks) {
          bytes += chunk.length
          if (isGivenUp) map.close()
        }
      }),
    )
    expect(isGivenUp || bytes === Math.min(stream.bytesRead ?? bytes, DATA.length), `${bytes} bytes of the stream`)
    map.close()
  },

  lines() {
    const map = mapPrivate(at('data'))
    let count = 0
    for (const line of map.lines({ length: DATA.line * 200, encoding: 'latin1' })) count += line.length + 1
    expect(count === DATA.line * 200, `${count} bytes of lines`)
    map.close()
  },

  named() {
    const name = `${folder.split('/').at(-1)}-${index}-${isMainThread ? 'main' : workerData.number}`
    const map = openSharedMemory(name, { create: true, length: pageSize * (1 + chance(20)), onFault() {} })
    map.buffer.fill(1)
    const again = openSharedMemory(name)
    expect(again.view(0, 1)[0] === 1, 'memory has another name')
    unlinkSharedMemory(name)
    again.close()
    map.close()
  },

  sealed() {
    const map = mapAnonymous(pageSize * 4, { shared: true, seal: ['shrink', 'grow', 'write'] })
    map.buffer.fill(5)
    const received = mapShared(map.fd, { seal: 'shrink' })
    map.close()
    expect(received.view(pageSize, 1)[0] === 5, 'what was received is not what was sent')
    received.close()
  },

  async transferred() {
    const map = mapShared(at('data'))
    for await (const chunk of map.createReadStream({ end: 200_000 })) {
      if (!isMainThread) break // copies
      const { byteOffset } = chunk
      const moved = structuredClone(chunk.buffer, { transfer: [chunk.buffer] })
      expect(new Uint8Array(moved)[byteOffset] === DATA.byte(0), 'what was transferred has another byte')
      break
    }
    map.close()
  },

  async locked() {
    const map = mapShared(at('shared'), rw)
    const words = map.typedArray(Int32Array, 0, 64)
    const mutex = new Mutex(map, AT.mutex)
    const locked = isMainThread ? await mutex.lockAsync(2000) : mutex.lock(2000)
    if (locked !== 'timed-out') {
      const [one, two] = [AT.one / 4, AT.two / 4]
      expect(locked !== 'acquired' || words[one] === words[two], `unlocked with ${words[one]} and ${words[two]}`)
      words[two] = words[one]
      words[one]++
      for (let spins = chance(2000); spins > 0; spins--) Atomics.load(words, one)
      words[two]++
      mutex.unlock()
    }
    map.close()
  },

  async sent() {
    const map = mapShared(at('shared'), rw)
    const channel = Channel.open(map, { offset: CHANNEL.offset })
    for (let i = chance(10); i > 0; i--) {
      const bytes = message(chance(1000))
      const sent = isMainThread ? await channel.sendAsync(bytes, 500) : channel.send(bytes, 500)
      if (!sent) break
    }
    map.close()
  },

  async readOrWritten() {
    const map = mapShared(at('shared'), rw)
    const words = map.typedArray(Int32Array, 0, 64)
    const lock = new RwLock(map, AT.rwlock)
    const writes = chance(3) === 0
    const [now, later] = writes ? ['lockExclusive', 'lockExclusiveAsync'] : ['lockShared', 'lockSharedAsync']
    const locked = isMainThread ? await lock[later](2000) : lock[now](2000)
    if (locked !== 'timed-out') {
      const place = AT.written / 4
      if (writes) words[place] = chance(2 ** 31)
      const seen = words[place]
      for (let spins = chance(2000); spins > 0; spins--) {
        expect(Atomics.load(words, place) === seen, 'what is locked has changed')
      }
      lock.unlock()
    }
    map.close()
  },

  async broadcast() {
    const map = mapShared(at('shared'), rw)
    const broadcast = Broadcast.open(map, { offset: BROADCAST.offset })
    const receiver = broadcast.subscribe()
    const bytes = message(chance(1000))
    if (isMainThread ? await broadcast.sendAsync(bytes, 500) : broadcast.send(bytes, 500)) {
      const received = isMainThread ? await receiver.receiveAsync(500) : receiver.receive(500)
      expect(received === undefined || isMessage(received), 'what was broadcast is not whole')
    }
    if (chance(2) === 0) receiver.close()
    map.close()
  },

  async queued() {
    const map = mapShared(at('shared'), rw)
    const queue = Queue.open(map, { offset: QUEUE.offset })
    queue.trySend(message(chance(1000)))
    const taken = isMainThread ? await queue.receiveAsync(100) : queue.receive(100)
    if (taken !== undefined) {
      expect(isMessage(taken.data), 'what was queued is not whole')
      if (chance(4) === 0) taken.requeue()
      else if (chance(4) > 0) taken.release()
    }
    map.close()
  },

  latest() {
    const map = mapShared(at('shared'), rw)
    const latest = new Latest(map, { offset: AT.latest, length: Latest.byteLengthFor(64) })
    latest.write(Buffer.alloc(64, chance(256)), 100)
    const value = latest.read()
    expect(value === undefined || value.equals(Buffer.alloc(64, value[0])), 'the latest value is of two')
    map.close()
  },

  handled() {
    const map = mapShared(at('data'), { onFault() {} })
    const again = MemoryMap.from(map.handle, { onFault() {} })
    map.close()
    const place = chance(again.length)
    expect(again.view(place, 1)[0] === DATA.byte(place), 'a byte is not that of the file')
    if (chance(3) > 0) again.close()
  },
}
const NAMES = Object.keys(OPERATIONS)

/** Milliseconds from one operation of a flow to the next. */
const PACE = 100

async function flow() {
  let next = performance.now() + chance(PACE)
  for (;;) {
    const name = NAMES[chance(NAMES.length)]
    try {
      await OPERATIONS[name]()
      done[name] = (done[name] ?? 0) + 1
    } catch (error) {
      wrong.push(`${name}: ${error?.stack ?? String(error)}`)
    }
    // As many as also a busy machine can do: more at once hold more.
    next = Math.max(next + PACE, performance.now())
    await turn(Math.max(0, next - performance.now()))
  }
}

/** Receives all messages, on one main thread of all. */
async function receive() {
  const map = mapShared(at('shared'), rw)
  const channel = Channel.open(map, { offset: CHANNEL.offset })
  for (;;) {
    const received = await channel.receiveAsync(1000)
    if (received === undefined) continue
    if (!isMessage(received)) wrong.push(`a message of ${received.length} bytes is not what was sent`)
    done.received = (done.received ?? 0) + 1
  }
}

process.on('warning', (warning) => wrong.push(`a warning: ${warning.message}`))

if (isMainThread) {
  let held = 0
  let before = performance.now()
  setInterval(() => {
    const now = performance.now()
    held = Math.max(held, now - before - 20)
    before = now
  }, 20)

  const start = (number) => {
    const data = { folder, index, number, seed: chance(2 ** 31) }
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    worker.on('message', (message) => {
      for (const [name, count] of Object.entries(message.done)) done[name] = (done[name] ?? 0) + count
      wrong.push(...message.wrong)
    })
    worker.on('error', (error) => wrong.push(`a worker: ${error.stack}`))
    return worker
  }
  const workers = [0, 1].map(start)
  const replace = async () => {
    for (;;) {
      await turn(2000 + chance(4000))
      const number = chance(2)
      await workers[number].terminate()
      done.terminated = (done.terminated ?? 0) + 1
      workers[number] = start(number)
    }
  }

  for (let flows = 0; flows < 3; flows++) void flow()
  if (index === 0) void receive()
  void replace()
  for (;;) {
    await turn(1000)
    collect()
    const handles = process.getActiveResourcesInfo().filter((name) => !/^(Timeout|Immediate)$/.test(name)).length
    fs.writeSync(1, `${JSON.stringify({ done, held: Math.round(held), handles, wrong: wrong.splice(0) })}\n`)
    held = 0
  }
} else {
  setInterval(() => {
    parentPort.postMessage({ done: { ...done }, wrong: wrong.splice(0) })
    for (const name of Object.keys(done)) delete done[name]
    collect()
  }, 500)
  await flow()
}
