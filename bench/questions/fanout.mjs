// How fast does one process tell four others the same, and how fast is the newest value read?

import { fork } from 'node:child_process'
import net from 'node:net'
import { fileURLToPath } from 'node:url'

import { inMemory, MIB } from '../harness/files.mjs'
import { sample } from '../harness/sample.mjs'

const RING = 8 * MIB
const RECEIVERS = 4
const partner = fileURLToPath(new URL('../harness/partner.mjs', import.meta.url))

const countOf = ({ size, quick }) => Math.min(quick ? 500 : 50_000, Math.floor((64 * MIB) / size))

const next = (child) => new Promise((resolve) => child.once('message', resolve))

/** Four processes that receive, once they are ready, and tell when they have everything. */
async function receivers(job, args) {
  const children = Array.from({ length: RECEIVERS }, () => {
    const child = fork(partner, [job, ...args.map(String)], { serialization: 'advanced' })
    process.on('exit', () => child.kill())
    return child
  })
  await Promise.all(children.map(next))
  return { children, done: Promise.all(children.map(next)) }
}

/** Microseconds for each message, until all have it. */
async function timed(count, send, done) {
  const start = performance.now()
  await send()
  await done
  return { fanout: [((performance.now() - start) * 1000) / count] }
}

const broadcast = (lossless) => async (context) => {
  const { mapShared } = await import('../../index.js')
  const { Broadcast } = await import('../../sync.js')
  const [file, count] = [inMemory('ring'), countOf(context)]
  const map = mapShared(file, { protection: 'read-write', create: true, length: RING })
  map.buffer.fill(0) // its pages are there from now on
  const sender = Broadcast.create(map, { lossless })
  const { done } = await receivers('broadcast receive', [file])
  const data = Buffer.alloc(context.size, 1)
  const send = () => {
    for (let i = 1; i < count; i++) sender.send(data)
    sender.send(Buffer.alloc(context.size)) // the last one
  }
  return timed(count, send, done)
}

const processSend = async (context) => {
  const count = countOf(context)
  const { children, done } = await receivers('process receive', [count])
  const data = Buffer.alloc(context.size, 1)
  const send = async () => {
    for (let i = 0; i < count; i++) {
      const sent = children.map((child) => child.send(data))
      if (sent.includes(false)) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return timed(count, send, done)
}

const sockets = async (context) => {
  const [address, count] = [inMemory('socket'), countOf(context)]
  const server = net.createServer().listen(address)
  await new Promise((resolve) => server.once('listening', resolve))
  const connections = []
  server.on('connection', (socket) => connections.push(socket))
  const { done } = await receivers('socket receive', [address, count * context.size])
  const data = Buffer.alloc(context.size, 1)
  const send = async () => {
    for (let i = 0; i < count; i++) {
      const full = connections.filter((socket) => !socket.write(data))
      if (full.length > 0) await Promise.all(full.map((socket) => new Promise((drain) => socket.once('drain', drain))))
    }
  }
  return timed(count, send, done)
}

/** Nanoseconds of a call, which `make` gives. */
const calls = (make) => async (context) => {
  const call = await make(context)
  const run = () => {
    for (let i = 0; i < 1000; i++) call()
  }
  const times = await sample(run, { time: context.quick ? 20 : 200, batch: 1000 })
  return { read: times.map((time) => time * 1000) }
}

const latest = calls(async ({ size }) => {
  const { mapAnonymous } = await import('../../index.js')
  const { Latest } = await import('../../sync.js')
  const value = new Latest(mapAnonymous(65_536, { shared: true }), { length: Latest.byteLengthFor(size) })
  value.write(Buffer.alloc(size, 1))
  const target = Buffer.alloc(size)
  return () => value.read(target)
})

const copy = calls(({ size }) => {
  const [source, target] = [Buffer.alloc(size, 1), Buffer.alloc(size)]
  return () => source.copy(target)
})

const of = (what, run) => ({ run, only: (one) => one.what === what })

export const question = {
  title: 'One to many',
  about:
    'One process sends the same messages to four others, until all have them. `process.send` has advanced serialization; ' +
    'sockets carry bytes and no boundaries of messages. A broadcast that is not lossless may lose messages, and counts them.',
  rounds: 2,
  tables: {
    fanout: { title: 'To four processes, for each message', unit: 'µs' },
    read: { title: 'Reading the newest value into a Buffer, against `copy` of another Buffer', unit: 'ns' },
  },
  cases: (quick) => [
    { name: '64 B', what: 'fanout', size: 64 },
    ...(quick ? [] : [{ name: '4 KiB', what: 'fanout', size: 4096 }]),
    { name: 'read 64 B', what: 'read', size: 64 },
  ],
  ways: {
    'memory-map, Broadcast': of('fanout', broadcast(false)),
    'memory-map, Broadcast, lossless': of('fanout', broadcast(true)),
    'process.send to each': of('fanout', processSend),
    'Unix sockets, to each': of('fanout', sockets),
    'memory-map, Latest': of('read', latest),
    'Buffer.copy': of('read', copy),
  },
  plot: { kind: 'bars', table: 'fanout', cases: ['64 B', '4 KiB'] },
  targets: (value) => [
    {
      what: 'one to four, 64 B: against process.send',
      value: value('memory-map, Broadcast', '64 B', 'fanout') / value('process.send to each', '64 B', 'fanout'),
      atMost: 0.2,
    },
    {
      what: 'reading the newest 64 B: against copy',
      value: value('memory-map, Latest', 'read 64 B', 'read') / value('Buffer.copy', 'read 64 B', 'read'),
      atMost: 3,
    },
  ],
}
