// How fast two processes, or two threads, talk: channels in shared memory against what Node has.
//
//   npm run build && node bench/ipc.mjs
//
// All in one run, medians of batches. A C compiler makes the limit, a bare futex, measurable too.

import { execFileSync, fork } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { mapShared } from 'memory-map'
import { Channel } from 'memory-map/sync'

const RING = 8 * 2 ** 20
const SIZES = { '64 B': 64, '4 KiB': 4096, '1 MiB': 2 ** 20 }
const self = import.meta.filename

const open = (file) => mapShared(file, { protection: 'read-write' })
const channels = (file) => {
  const map = open(file)
  return [Channel.open(map), Channel.open(map, { offset: RING })]
}

// ---- the other side

const peers = {
  'channel echo': ([file]) => {
    const [there, back] = channels(file)
    for (let data = there.receive(); data.length > 1; data = there.receive()) back.send(data)
  },
  async 'channel echo async'([file]) {
    const [there, back] = channels(file)
    for await (const data of there) {
      if (data.length === 1) return
      await back.sendAsync(data)
    }
  },
  'channel send': ([file, size, count]) => {
    const [there] = channels(file)
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) there.send(data)
  },
  async 'channel send async'([file, size, count]) {
    const [there] = channels(file)
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) await there.sendAsync(data)
  },
  'process echo': () => void process.on('message', (data) => process.send(data)),
  'process send': ([, size, count]) => {
    const data = Buffer.alloc(Number(size), 1)
    let left = Number(count)
    const more = () => {
      for (let i = 0; i < 64 && left > 0; i++, left--) process.send(data)
      if (left > 0) setImmediate(more)
    }
    more()
  },
  'socket echo': ([file]) => {
    net.connect(`${file}.socket`, function () {
      this.setNoDelay?.()
      this.on('data', (data) => this.write(data))
    })
  },
  'socket send': ([file, size, count]) => {
    net.connect(`${file}.socket`, function () {
      stream(this, Number(size), Number(count))
    })
  },
  'pipe echo': () => void process.stdin.on('data', (data) => process.stdout.write(data)),
  'pipe send': ([, size, count]) => stream(process.stdout, Number(size), Number(count)),
  'thread echo': () => parentPort.on('message', (data) => parentPort.postMessage(data)),
  'thread send': ([, size, count]) => {
    const data = Buffer.alloc(Number(size), 1)
    for (let i = 0; i < count; i++) parentPort.postMessage(data)
  },
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

// ---- this side

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const microseconds = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} µs`

/** Microseconds of a round trip: the median of batches, after warm-up. */
async function rounds(trip, { batch = 200, batches = 20, warm = 400 } = {}) {
  for (let i = 0; i < warm; i++) await trip()
  const times = []
  for (let b = 0; b < batches; b++) {
    const start = performance.now()
    for (let i = 0; i < batch; i++) await trip()
    times.push(((performance.now() - start) * 1000) / batch)
  }
  return median(times)
}

function roundsSync(trip, batch = 2000, batches = 25) {
  const times = []
  for (let b = 0; b < batches; b++) {
    const start = performance.now()
    for (let i = 0; i < batch; i++) trip()
    times.push(((performance.now() - start) * 1000) / batch)
  }
  return median(times.slice(5))
}

/** Microseconds of single round trips, each after both sides have been idle for a while. */
async function idleRounds(trip, count = 60) {
  const times = []
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    const start = performance.now()
    trip()
    times.push((performance.now() - start) * 1000)
  }
  return median(times.slice(10))
}

const folder = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'memory-map-ipc-'))
let files = 0

function makeChannels() {
  const file = path.join(folder, `ring-${files++}`)
  const map = mapShared(file, { protection: 'read-write', create: true, length: 2 * RING })
  map.buffer.fill(0) // its pages are there from now on
  const [there, back] = [Channel.create(map, { length: RING }), Channel.create(map, { offset: RING, length: RING })]
  return { file, map, there, back }
}

function peer(job, args, options = {}) {
  const child = fork(self, [job, ...args.map(String)], { serialization: 'advanced', ...options })
  return Object.assign(child, { gone: new Promise((resolve) => child.once('exit', resolve)) })
}

const end = async (child) => {
  child.kill()
  await child.gone
}

const events = (emitter, event) => {
  const waiting = []
  const early = []
  emitter.on(event, (data) => (waiting.length ? waiting.shift()(data) : early.push(data)))
  return () => (early.length ? early.shift() : new Promise((resolve) => waiting.push(resolve)))
}

/** Runs `run` with a connected unix socket whose other end is the peer. */
async function withSocket(job, args, run) {
  const file = path.join(folder, `s${files++}`)
  const server = net.createServer().listen(`${file}.socket`)
  const connected = new Promise((resolve) => server.once('connection', resolve))
  const child = peer(job, [file, ...args])
  const socket = await connected
  const result = await run(socket)
  socket.on('error', () => {}).destroy()
  server.close()
  await end(child)
  return result
}

/** A round trip over a stream: writes, and waits until as many bytes are back. */
function overStream(writable, readable, size) {
  const data = Buffer.alloc(size, 1)
  let left = 0
  let done
  readable.on('data', (chunk) => {
    left -= chunk.length
    if (left === 0) done()
  })
  return () =>
    new Promise((resolve) => {
      left = size
      done = resolve
      writable.write(data)
    })
}

/** Microseconds for a message of a stream, from the first byte that comes to the last. */
async function drain(readable, bytes, count) {
  let [start, left] = [0, bytes]
  await new Promise((resolve) => {
    readable.on('data', (chunk) => {
      start ||= performance.now()
      left -= chunk.length
      if (left <= 0) resolve()
    })
  })
  return ((performance.now() - start) * 1000) / count
}

async function roundTrips(size) {
  const data = Buffer.alloc(size, 1)
  const result = {}
  {
    const { file, map, there, back } = makeChannels()
    const child = peer('channel echo', [file])
    const trip = () => {
      there.send(data)
      back.receive()
    }
    result['Channel, blocking'] = roundsSync(trip)
    result['Channel, blocking, after 5 ms of rest'] = await idleRounds(trip)
    there.send('x')
    await child.gone
    map.close()
  }
  {
    const { file, map, there, back } = makeChannels()
    const child = peer('channel echo async', [file])
    result['Channel, async'] = await rounds(async () => {
      await there.sendAsync(data)
      await back.receiveAsync()
    })
    await there.sendAsync('x')
    await child.gone
    map.close()
  }
  {
    const child = peer('process echo', [])
    const next = events(child, 'message')
    result['process.send, advanced'] = await rounds(async () => {
      child.send(data)
      await next()
    })
    await end(child)
  }
  result['unix socket'] = await withSocket('socket echo', [], (socket) => rounds(overStream(socket, socket, size)))
  {
    const child = peer('pipe echo', [], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] })
    result.pipe = await rounds(overStream(child.stdin, child.stdout, size))
    await end(child)
  }
  {
    const worker = new Worker(self, { workerData: ['thread echo'] })
    const next = events(worker, 'message')
    result['threads: postMessage'] = await rounds(async () => {
      worker.postMessage(data)
      await next()
    })
    await worker.terminate()
  }
  {
    const { file, map, there, back } = makeChannels()
    const worker = new Worker(self, { workerData: ['channel echo', file] })
    result['threads: Channel, blocking'] = roundsSync(() => {
      there.send(data)
      back.receive()
    })
    there.send('x')
    await new Promise((resolve) => worker.once('exit', resolve))
    map.close()
  }
  return result
}

async function throughput(size) {
  const count = Math.max(200, Math.min(400_000, Math.floor((400 * 2 ** 20) / size)))
  const slow = Math.max(100, Math.min(30_000, count))
  const per = (start, messages) => ((performance.now() - start) * 1000) / messages
  const result = {}
  {
    const { file, map, there } = makeChannels()
    const child = peer('channel send', [file, size, count])
    there.receive()
    const start = performance.now()
    for (let i = 1; i < count; i++) there.receive()
    result['Channel, blocking'] = per(start, count - 1)
    await child.gone
    map.close()
  }
  {
    const { file, map, there } = makeChannels()
    const child = peer('channel send', [file, size, count])
    there.release(there.borrow())
    const start = performance.now()
    for (let i = 1; i < count; i++) there.release(there.borrow())
    result['Channel, received without a copy'] = per(start, count - 1)
    await child.gone
    map.close()
  }
  {
    const { file, map, there } = makeChannels()
    const child = peer('channel send async', [file, size, count])
    await there.receiveAsync()
    const start = performance.now()
    for (let i = 1; i < count; i++) await there.receiveAsync()
    result['Channel, async'] = per(start, count - 1)
    await child.gone
    map.close()
  }
  {
    const child = peer('process send', ['', size, slow])
    const next = events(child, 'message')
    await next()
    const start = performance.now()
    for (let i = 1; i < slow; i++) await next()
    result['process.send, advanced'] = per(start, slow - 1)
    await end(child)
  }
  result['unix socket (bytes, no boundaries)'] = await withSocket('socket send', [size, count], (socket) =>
    drain(socket, size * count, count),
  )
  {
    const child = peer('pipe send', ['', size, count], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] })
    result['pipe (bytes, no boundaries)'] = await drain(child.stdout, size * count, count)
    await end(child)
  }
  {
    const worker = new Worker(self, { workerData: ['thread send', '', size, slow] })
    const next = events(worker, 'message')
    await next()
    const start = performance.now()
    for (let i = 1; i < slow; i++) await next()
    result['threads: postMessage'] = per(start, slow - 1)
    await worker.terminate()
  }
  {
    const { file, map, there } = makeChannels()
    const worker = new Worker(self, { workerData: ['channel send', file, size, count] })
    there.receive()
    const start = performance.now()
    for (let i = 1; i < count; i++) there.receive()
    result['threads: Channel, blocking'] = per(start, count - 1)
    await new Promise((resolve) => worker.once('exit', resolve))
    map.close()
  }
  return result
}

function limits() {
  const binary = path.join(folder, 'limit')
  try {
    execFileSync('cc', ['-O2', '-o', binary, path.join(import.meta.dirname, 'ipc.c')], { stdio: 'ignore' })
  } catch {
    return {}
  }
  const run = (spins) => {
    const times = execFileSync(binary, ['20000', String(spins)], { encoding: 'utf8' })
      .trim()
      .split('\n')
    return median(times.slice(1000).map(Number)) / 1000
  }
  return { 'limit: a futex in C': run(0), 'limit: the same after a spin': run(5000) }
}

function table(title, result, rate) {
  console.log(`\n${title}`)
  const base = result['process.send, advanced']
  for (const [name, time] of Object.entries(result)) {
    const ratio = `${(base / time).toFixed(1)} x process.send`
    console.log(`  ${name.padEnd(38)} ${microseconds(time).padStart(9)}  ${rate ? `${rate(time)}  ` : ''}${ratio}`)
  }
}

async function idle() {
  const { there } = makeChannels()
  const waiting = there.receiveAsync(2000)
  const before = process.cpuUsage()
  await waiting
  const { user, system } = process.cpuUsage(before)
  console.log(`\nA pending receiveAsync took ${((user + system) / 1000).toFixed(1)} ms of processor time in 2 s.`)
}

if (!isMainThread) {
  const [job, ...args] = workerData
  await peers[job](args)
} else if (process.argv[2]) {
  await peers[process.argv[2]](process.argv.slice(3))
  if (process.argv[2].startsWith('channel')) process.disconnect()
} else {
  try {
    console.log(`Node ${process.version}, ${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores`)
    const limit = limits()
    table('Round trip of 8 bytes', { ...(await roundTrips(8)), ...limit })
    table('Round trip of 64 KiB', await roundTrips(65536))
    for (const [name, size] of Object.entries(SIZES)) {
      const rate = (time) => `${((size / time) * (1e6 / 2 ** 20)).toFixed(0).padStart(6)} MiB/s`
      table(`One way, messages of ${name}: time for each`, await throughput(size), rate)
    }
    await idle()
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
  process.exit()
}
