// The other side of what questions/ipc.mjs, fanout.mjs, locks.mjs and rpc.mjs talk through: partner.mjs JOB ARGUMENTS

import http from 'node:http'
import net from 'node:net'
import { isMainThread, parentPort } from 'node:worker_threads'

const RING = 8 * 2 ** 20

/** A mapping of the file, and what is to be made in it. */
async function opened(file) {
  const { mapShared } = await import('../../index.js')
  return [mapShared(file, { protection: 'read-write' }), await import('../../sync.js')]
}

async function channels(file) {
  const { mapShared } = await import('../../index.js')
  const { Channel } = await import('../../sync.js')
  const map = mapShared(file, { protection: 'read-write' })
  return [Channel.open(map), Channel.open(map, { offset: RING })]
}

/** Writes messages to a stream, and waits where it is full. */
function stream(to, size, count) {
  const data = Buffer.alloc(size, 1)
  let left = count
  const more = () => {
    while (left-- > 0) if (!to.write(data)) return void to.once('drain', more)
  }
  more()
}

const jobs = {
  async 'channel echo'(file) {
    const [there, back] = await channels(file)
    for (let data = there.receive(); data.length > 1; data = there.receive()) back.send(data)
  },
  async 'channel echo async'(file) {
    const [there, back] = await channels(file)
    for await (const data of there) {
      if (data.length === 1) return
      await back.sendAsync(data)
    }
  },
  async 'channel send'(file, size, count) {
    const [there] = await channels(file)
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) there.send(data)
  },
  async 'channel send many'(file, size, count, batch) {
    const [there] = await channels(file)
    const messages = Array.from({ length: Number(batch) }, () => Buffer.alloc(Number(size), 1))
    for (let i = 0; i < count; i += messages.length) there.sendMany(messages)
  },
  async 'channel send async'(file, size, count) {
    const [there] = await channels(file)
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) await there.sendAsync(data)
  },
  async 'broadcast receive'(file) {
    const { mapShared } = await import('../../index.js')
    const { Broadcast } = await import('../../sync.js')
    const receiver = Broadcast.open(mapShared(file, { protection: 'read-write' })).subscribe()
    process.send('ready')
    // What was lost does not come.
    while (receiver.receive()[0] !== 0) continue // the last one
    process.send('done')
  },
  'process receive': (count) => {
    let left = Number(count)
    process.on('message', () => --left === 0 && process.send('done'))
    process.send('ready')
  },
  'socket receive': (address, bytes) => {
    let left = Number(bytes)
    const socket = net.connect(address, () => process.send('ready'))
    socket.on('data', (data) => (left -= data.length) <= 0 && process.send('done'))
  },
  async 'queue work'(file) {
    const { mapShared } = await import('../../index.js')
    const { Channel, Queue } = await import('../../sync.js')
    const map = mapShared(file, { protection: 'read-write' })
    const results = Channel.open(map, { offset: RING })
    for await (const { data } of Queue.open(map)) results.send(data)
  },
  async 'rpc serve'(file) {
    const { mapShared } = await import('../../index.js')
    const { Rpc } = await import('../../sync.js')
    void Rpc.open(mapShared(file, { protection: 'read-write' })).serve((request) => request)
    process.send('ready')
  },
  'process reply': () => {
    process.on('message', (message) => process.send(message))
    process.send('ready')
  },
  'http reply': (address) => {
    const reply = (request, response) => {
      const chunks = []
      request.on('data', (chunk) => chunks.push(chunk)).on('end', () => response.end(Buffer.concat(chunks)))
    }
    http.createServer(reply).listen(address, () => process.send('ready'))
  },
  async events(file) {
    const [map, { Event }] = await opened(file)
    const [there, back] = [new Event(map, 0), new Event(map, 64)]
    process.send('ready')
    for (;;) {
      there.wait()
      there.clear()
      back.set()
    }
  },
  async conditions(file) {
    const [map, { Condition, Mutex }] = await opened(file)
    const [lock, changed] = [new Mutex(map, 0), new Condition(map, 64)]
    const turn = map.typedArray(Uint8Array, 128, 1)
    process.send('ready')
    for (;;) {
      lock.lock()
      changed.waitFor(lock, () => turn[0] === 1)
      turn[0] = 0
      changed.notify()
      lock.unlock()
    }
  },
  async barriers(file) {
    const [map, { Barrier }] = await opened(file)
    const both = new Barrier(map, 0)
    process.send('ready')
    for (;;) both.wait()
  },
  atomics: () => {
    parentPort.once('message', (words) => {
      parentPort.postMessage('ready')
      for (;;) {
        while (Atomics.load(words, 0) === 0) Atomics.wait(words, 0, 0)
        Atomics.store(words, 0, 0)
        Atomics.notify(words, 0)
      }
    })
  },
  async look() {
    const { MemoryMap, mapShared } = await import('../../index.js')
    parentPort.on('message', ({ handle, file, memory }) => {
      if (memory) return parentPort.postMessage(new Uint8Array(memory)[0])
      const map = handle ? MemoryMap.from(handle) : mapShared(file)
      parentPort.postMessage(map.read(0, 1)[0])
      map.close()
    })
  },
  'process echo': () => process.on('message', (data) => process.send(data)),
  'process send': (_, size, count) => {
    const data = Buffer.alloc(Number(size), 1)
    let left = Number(count)
    const more = () => {
      for (let i = 0; i < 64 && left > 0; i++, left--) process.send(data)
      if (left > 0) setImmediate(more)
    }
    more()
  },
  'socket echo': (address) => {
    const socket = net.connect(address)
    socket.on('data', (data) => socket.write(data))
  },
  'socket send': (address, size, count) => {
    const socket = net.connect(address, () => stream(socket, Number(size), Number(count)))
  },
  'pipe echo': () => process.stdin.on('data', (data) => process.stdout.write(data)),
  'pipe send': (_, size, count) => stream(process.stdout, Number(size), Number(count)),
  'thread echo': () => parentPort.on('message', (data) => parentPort.postMessage(data)),
  'thread send': (_, size, count) => {
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) parentPort.postMessage(data)
  },
}

// The process that started this one ends first.
if (isMainThread) process.once('disconnect', () => process.exit())
const [job, ...args] = process.argv.slice(2)
await jobs[job](...args)
