// How fast do two processes, or two threads, talk; and what does a lock cost? (Long: a row for each way to talk.)

import { execFileSync, fork } from 'node:child_process'
import { EventEmitter } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { inMemory, MIB } from '../harness/files.mjs'
import { sample, tripsSync } from '../harness/sample.mjs'

const RING = 8 * MIB
const partner = fileURLToPath(new URL('../harness/partner.mjs', import.meta.url))

async function makeChannels() {
  const { mapShared } = await import('../../index.js')
  const { Channel } = await import('../../sync.js')
  const file = inMemory('ring')
  const map = mapShared(file, { protection: 'read-write', create: true, length: 2 * RING })
  map.buffer.fill(0) // its pages are there from now on
  const there = Channel.create(map, { length: RING })
  const back = Channel.create(map, { offset: RING, length: RING })
  return { file, there, back }
}

function start(job, args, options = {}) {
  const child = fork(partner, [job, ...args.map(String)], { serialization: 'advanced', ...options })
  process.on('exit', () => child.kill())
  return child
}

/** Returns a function whose promises are the events that come, in turn. */
function events(emitter, event) {
  const waiting = []
  const early = []
  emitter.on(event, (data) => (waiting.length > 0 ? waiting.shift()(data) : early.push(data)))
  return () => (early.length > 0 ? early.shift() : new Promise((resolve) => waiting.push(resolve)))
}

// Measuring

async function trips(trip, { quick }) {
  for (let i = 0; i < 300; i++) await trip()
  // The harness looks whether a function is async before it calls it.
  return { trip: await sample(async () => void (await trip()), { time: quick ? 20 : 500 }) }
}

/** The same as `run`, and how late the event loop turns meanwhile: all but one turn in a hundred, in milliseconds. */
async function withDelay(run) {
  const resolution = 1
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  const found = await run()
  delay.disable()
  return { ...found, delay: [delay.percentile(99) / 1e6 - resolution] }
}

/** As `trips`, and how late the event loop turns meanwhile, once all is compiled. */
async function tripsWithDelay(trip, context) {
  const found = await trips(trip, context)
  return withDelay(async () => {
    for (const end = performance.now() + (context.quick ? 20 : 1000); performance.now() < end;) await trip()
    return found
  })
}

/** Microseconds of single trips, each after both sides have been idle. */
async function idleTrips(trip, { quick }) {
  const times = []
  for (let i = 0; i < (quick ? 5 : 60); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    const start = performance.now()
    trip()
    times.push((performance.now() - start) * 1000)
  }
  return { trip: times.slice(quick ? 0 : 10) }
}

const messagesOf = ({ size, quick }, most) =>
  Math.max(200, Math.floor(Math.min(most, ((quick ? 4 : 400) * MIB) / size) / (quick ? 10 : 1)))

/** Microseconds for each message that comes after the first. */
async function flow(count, receive) {
  await receive()
  const start = performance.now()
  for (let i = 1; i < count; i++) await receive()
  return { flow: [((performance.now() - start) * 1000) / (count - 1)] }
}

function flowSync(count, receive) {
  receive()
  const start = performance.now()
  for (let i = 1; i < count; i++) receive()
  return { flow: [((performance.now() - start) * 1000) / (count - 1)] }
}

/** As `flow`, of a stream of bytes, from the first that come to the last. */
async function drain(readable, bytes, count) {
  let [start, left] = [0, bytes]
  await new Promise((resolve) => {
    readable.on('data', (chunk) => {
      start ||= performance.now()
      left -= chunk.length
      if (left <= 0) resolve()
    })
  })
  return { flow: [((performance.now() - start) * 1000) / count] }
}

/** A trip over a stream: writes, and waits until as many bytes are back. */
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

async function connected(job, args) {
  const address = inMemory('socket')
  const server = net.createServer().listen(address)
  await new Promise((resolve) => server.once('listening', resolve))
  start(job, [address, ...args])
  return new Promise((resolve) => server.once('connection', resolve))
}

const taskset = '/usr/bin/taskset'

/** The same with this process, and those that it starts, on one processor. */
const onOneProcessor = ({ run, only }) => ({
  run: (context) => {
    execFileSync(taskset, ['--all-tasks', '--cpu-list', '--pid', '0', String(process.pid)])
    return run(context)
  },
  only: (one) => fs.existsSync(taskset) && one.size === 8 && only(one),
})

const worker = (job, args) => new Worker(partner, { argv: [job, ...args.map(String)] })
const pipes = { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] }
const FEW = 30_000
const MANY = 400_000

/** A way: what it does for a trip there and back, and for a flow of messages in one direction. */
const way = (jobs) => ({
  run: (context) => jobs[context.what](context),
  only: ({ what }) => what in jobs,
})

const channel = (begin) =>
  way({
    trip: async (context) => {
      const { file, there, back } = await makeChannels()
      begin('channel echo', [file])
      const data = Buffer.alloc(context.size, 1)
      const trip = () => {
        there.send(data)
        back.receive()
      }
      const found = tripsSync(trip, context)
      there.send('x') // the end, so that the other side stops waiting
      return found
    },
    flow: async (context) => {
      const { file, there } = await makeChannels()
      const count = messagesOf(context, MANY)
      begin('channel send', [file, context.size, count])
      return flowSync(count, () => there.receive())
    },
  })

const asynchronous = way({
  trip: async (context) => {
    const { file, there, back } = await makeChannels()
    start('channel echo async', [file])
    const data = Buffer.alloc(context.size, 1)
    const trip = async () => {
      await there.sendAsync(data)
      await back.receiveAsync()
    }
    return tripsWithDelay(trip, context)
  },
  flow: async (context) => {
    const { file, there } = await makeChannels()
    const count = messagesOf(context, MANY)
    start('channel send async', [file, context.size, count])
    return flow(count, () => there.receiveAsync())
  },
})

const processSend = way({
  trip: async (context) => {
    const child = start('process echo', [])
    const next = events(child, 'message')
    const data = Buffer.alloc(context.size, 1)
    const trip = () => {
      child.send(data)
      return next()
    }
    return tripsWithDelay(trip, context)
  },
  flow: async (context) => {
    const count = messagesOf(context, FEW)
    return flow(count, events(start('process send', ['', context.size, count]), 'message'))
  },
})

/** Microseconds for each job that workers answer, with so many on their way at a time. */
async function answered(count, send, receive) {
  const window = 64
  const start = performance.now()
  for (let i = 0; i < window; i++) await send()
  for (let i = window; i < count + window; i++) {
    await receive()
    if (i < count) await send()
  }
  return { jobs: [((performance.now() - start) * 1000) / count] }
}

/** The same of jobs that two workers share, after each has answered some. */
const work = (begin) =>
  way({
    jobs: async (context) => {
      const { send, receive } = await begin(Buffer.alloc(context.size, 1))
      await answered(1000, send, receive)
      return answered(messagesOf(context, FEW), send, receive)
    },
  })

const queueWork = work(async (data) => {
  const { mapShared } = await import('../../index.js')
  const { Channel, Queue } = await import('../../sync.js')
  const file = inMemory('queue')
  const map = mapShared(file, { protection: 'read-write', create: true, length: 2 * RING })
  map.buffer.fill(0)
  const queue = Queue.create(map, { length: RING })
  const results = Channel.create(map, { offset: RING })
  for (let i = 0; i < 2; i++) start('queue work', [file])
  return { send: () => queue.send(data), receive: () => results.receiveAsync() }
})

const processWork = work((data) => {
  const workers = [start('process echo', []), start('process echo', [])]
  const both = new EventEmitter()
  for (const worker of workers) worker.on('message', (message) => both.emit('message', message))
  let sent = 0
  return { send: () => workers[sent++ % 2].send(data), receive: events(both, 'message') }
})

const limit = (spins) => ({
  program: 'c-ipc',
  args: ({ quick }) => [quick ? 1000 : 20_000, spins],
  only: ({ what, size }) => what === 'trip' && size === 8,
})

/** Nanoseconds of a call, which `make` gives. */
const calls = (make) => async (context) => {
  const call = await make(context)
  const run = () => {
    for (let i = 0; i < 1000; i++) call()
  }
  const times = await sample(run, { time: context.quick ? 20 : 200, batch: 1000 })
  return { [context.what]: times.map((time) => time * 1000) }
}

const mutex = calls(async () => {
  const { mapAnonymous } = await import('../../index.js')
  const { Mutex } = await import('../../sync.js')
  const lock = new Mutex(mapAnonymous(4096, { shared: true }), 0)
  return () => {
    lock.lock()
    lock.unlock()
  }
})

const atomics = calls(() => {
  const words = new Int32Array(new SharedArrayBuffer(4))
  return () => {
    while (Atomics.compareExchange(words, 0, 0, 1) !== 0) Atomics.wait(words, 0, 1)
    Atomics.store(words, 0, 0)
    Atomics.notify(words, 0, 1)
  }
})

const CALLS = ['take a permit and give it back', 'receive nothing', 'notify nobody', 'look at an event']
const [PERMIT, EMPTY, NOBODY, EVENT] = CALLS

const ourCalls = calls(async ({ name }) => {
  const { mapAnonymous } = await import('../../index.js')
  const { Channel, Event, notify, Semaphore } = await import('../../sync.js')
  const map = mapAnonymous(8192, { shared: true })
  const permits = new Semaphore(map, 0, 1)
  const channel = Channel.create(map, { offset: 4096 })
  const event = new Event(map, 128)
  return {
    [PERMIT]: () => {
      permits.tryAcquire()
      permits.release()
    },
    [EMPTY]: () => channel.tryReceive(),
    [NOBODY]: () => notify(map, 64),
    [EVENT]: () => event.isSet(),
  }[name]
})

const theirCalls = calls(({ name }) => {
  const words = new Int32Array(new SharedArrayBuffer(64))
  words[0] = 1
  return {
    [PERMIT]: () => {
      for (
        let seen;
        (seen = Atomics.load(words, 0)) > 0 && Atomics.compareExchange(words, 0, seen, seen - 1) !== seen;
      );
      Atomics.add(words, 0, 1)
      Atomics.notify(words, 0, 1)
    },
    [EMPTY]: () => Atomics.load(words, 1) === Atomics.load(words, 2),
    [NOBODY]: () => Atomics.notify(words, 4),
    [EVENT]: () => Atomics.load(words, 3) === 1,
  }[name]
})

const larger = [
  { name: '64 KiB', what: 'trip', size: 65_536 },
  { name: '4 KiB', what: 'flow', size: 4096 },
  { name: '1 MiB', what: 'flow', size: MIB },
]

export const question = {
  title: 'Messages between processes and threads, and locks',
  about:
    'Against what Node has: `process.send` with advanced serialization, a Unix socket, a pipe, `postMessage`. ' +
    'Sockets and pipes carry bytes and no boundaries of messages.',
  rounds: 2,
  tables: {
    trip: { title: 'There and back', unit: 'µs' },
    flow: { title: 'One way, for each message', unit: 'µs' },
    delay: { title: 'How late the event loop turns meanwhile: 99 of 100 turns', unit: 'ms' },
    jobs: { title: 'Jobs that two worker processes answer, 64 on their way: for each', unit: 'µs' },
    lock: { title: 'Locking and unlocking what nobody else wants', unit: 'ns' },
    call: { title: 'Calls that find nothing in the way', unit: 'ns' },
  },
  cases: (quick) => [
    { name: '8 B', what: 'trip', size: 8 },
    { name: '64 B', what: 'flow', size: 64 },
    { name: 'jobs of 64 B', what: 'jobs', size: 64 },
    { name: 'a lock', what: 'lock' },
    ...CALLS.map((name) => ({ name, what: 'call' })),
    ...(quick ? [] : larger),
  ],
  ways: {
    'C, a futex alone': limit(0),
    'C, a futex after a spin': limit(5000),
    'memory-map, Channel': channel(start),
    'memory-map, Channel after 5 ms of rest': way({
      trip: async (context) => {
        const { file, there, back } = await makeChannels()
        start('channel echo', [file])
        const data = Buffer.alloc(context.size, 1)
        const trip = () => {
          there.send(data)
          back.receive()
        }
        tripsSync(trip, { quick: true })
        const found = await idleTrips(trip, context)
        there.send('x')
        return found
      },
    }),
    'memory-map, Channel, borrowed': way({
      flow: async (context) => {
        const { file, there } = await makeChannels()
        const count = messagesOf(context, MANY)
        start('channel send', [file, context.size, count])
        return flowSync(count, () => there.release(there.borrow()))
      },
    }),
    'memory-map, Channel, batches': way({
      flow: async (context) => {
        const { file, there } = await makeChannels()
        const batch = Math.max(1, Math.min(512, Math.floor(RING / 4 / context.size)))
        const count = batch * Math.ceil(messagesOf(context, 4 * MANY) / batch)
        start('channel send many', [file, context.size, count, batch])
        let left = count - there.receiveMany(1).length
        const begin = performance.now()
        while (left > 0) left -= there.receiveMany(1024).length
        return { flow: [((performance.now() - begin) * 1000) / (count - 1)] }
      },
    }),
    'memory-map, Channel, for await': way({
      flow: async (context) => {
        const { file, there } = await makeChannels()
        const count = messagesOf(context, 10 * MANY) // for so long that one turn in a hundred is several
        start('channel send', [file, context.size, count])
        const messages = there[Symbol.asyncIterator]()
        const next = () => messages.next()
        const first = Math.floor(count / 4)
        await flow(first, next) // until all is compiled
        return withDelay(() => flow(count - first, next))
      },
    }),
    'memory-map, Channel, async': asynchronous,
    'memory-map, Channel, async, on one processor': onOneProcessor(asynchronous),
    'memory-map, Channel between threads': channel(worker),
    'process.send': processSend,
    'process.send, on one processor': onOneProcessor(processSend),
    'Unix socket': way({
      trip: async (context) => {
        const socket = await connected('socket echo', [])
        return trips(overStream(socket, socket, context.size), context)
      },
      flow: async (context) => {
        const count = messagesOf(context, MANY)
        return drain(await connected('socket send', [context.size, count]), context.size * count, count)
      },
    }),
    pipe: way({
      trip: async (context) => {
        const child = start('pipe echo', [], pipes)
        return trips(overStream(child.stdin, child.stdout, context.size), context)
      },
      flow: async (context) => {
        const count = messagesOf(context, MANY)
        return drain(start('pipe send', ['', context.size, count], pipes).stdout, context.size * count, count)
      },
    }),
    'threads, postMessage': way({
      trip: async (context) => {
        const thread = worker('thread echo', [])
        const next = events(thread, 'message')
        const data = Buffer.alloc(context.size, 1)
        return trips(() => {
          thread.postMessage(data)
          return next()
        }, context)
      },
      flow: async (context) => {
        const count = messagesOf(context, FEW)
        return flow(count, events(worker('thread send', ['', context.size, count]), 'message'))
      },
    }),
    'memory-map, Channel, received into a Buffer': {
      ...way({
        flow: async (context) => {
          const { file, there } = await makeChannels()
          const count = messagesOf(context, MANY)
          start('channel send', [file, context.size, count])
          const target = Buffer.alloc(context.size)
          return flowSync(count, () => there.receiveInto(target))
        },
      }),
      only: ({ what, size }) => what === 'flow' && size === MIB,
    },
    'memory-map, Channel, borrowed and copied': {
      ...way({
        flow: async (context) => {
          const { file, there } = await makeChannels()
          const count = messagesOf(context, MANY)
          start('channel send', [file, context.size, count])
          const target = Buffer.alloc(context.size)
          return flowSync(count, () => {
            const message = there.borrow()
            message.copy(target)
            there.release(message)
          })
        },
      }),
      only: ({ what, size }) => what === 'flow' && size === MIB,
    },
    'a copy between two Buffers': {
      ...way({
        flow: ({ size, quick }) => {
          const buffers = Array.from({ length: 2 }, () => Buffer.alloc(size, 1))
          return flowSync(messagesOf({ size, quick }, MANY), () => buffers[0].copy(buffers[1]))
        },
      }),
      only: ({ what, size }) => what === 'flow' && size === MIB,
    },
    'a copy to a new Buffer': {
      ...way({
        flow: ({ size, quick }) => {
          const buffer = Buffer.alloc(size, 1)
          return flowSync(messagesOf({ size, quick }, MANY), () => buffer.copy(Buffer.allocUnsafe(size)))
        },
      }),
      only: ({ what, size }) => what === 'flow' && size === MIB,
    },
    'memory-map, Queue and Channel': queueWork,
    'process.send, round robin': processWork,
    'memory-map, Mutex': way({ lock: mutex }),
    'memory-map, other calls': way({ call: ourCalls }),
    'Atomics, between threads only': way({ lock: atomics, call: theirCalls }),
  },
  plot: { kind: 'bars', table: 'trip' },
  targets: (value) => [
    {
      what: 'there and back, 8 B: against process.send',
      value: value('memory-map, Channel', '8 B', 'trip') / value('process.send', '8 B', 'trip'),
      atMost: 0.2,
    },
    {
      what: 'there and back, 8 B: against a futex after a spin in C',
      value: value('memory-map, Channel', '8 B', 'trip') / value('C, a futex after a spin', '8 B', 'trip'),
      atMost: 3,
    },
    {
      what: 'there and back, 8 B, async, µs',
      value: value('memory-map, Channel, async', '8 B', 'trip'),
      atMost: 10,
    },
    {
      what: 'there and back, 8 B, async: against process.send',
      value: value('memory-map, Channel, async', '8 B', 'trip') / value('process.send', '8 B', 'trip'),
      atMost: 0.2,
    },
    {
      what: 'there and back, 8 B, async, on one processor: against process.send',
      value:
        value('memory-map, Channel, async, on one processor', '8 B', 'trip') /
        value('process.send, on one processor', '8 B', 'trip'),
      atMost: 1.5,
    },
    {
      what: 'one way, 64 B, in batches, µs: 6 million a second',
      value: value('memory-map, Channel, batches', '64 B', 'flow'),
      atMost: 1 / 6,
    },
    {
      what: 'one way, 64 B, for await, µs: 1.5 million a second',
      value: value('memory-map, Channel, for await', '64 B', 'flow'),
      atMost: 1 / 1.5,
    },
    {
      what: 'a lock that nobody wants: against Atomics between threads',
      value: value('memory-map, Mutex', 'a lock', 'lock') / value('Atomics, between threads only', 'a lock', 'lock'),
      atMost: 2,
    },
    ...CALLS.map((name) => ({
      what: `${name}: against Atomics between threads`,
      value: value('memory-map, other calls', name, 'call') / value('Atomics, between threads only', name, 'call'),
      atMost: 2,
    })),
    ...[
      ['async', '8 B'],
      ['for await', '64 B'],
    ].map(([way, one]) => ({
      what: `how late the event loop turns meanwhile, ${way}, ${one}, ms`,
      value: value(`memory-map, Channel, ${way}`, one, 'delay'),
      atMost: 1,
    })),
    ...['', ', received into a Buffer', ', borrowed and copied'].map((how) => ({
      what: `one way, 1 MiB${how}: against a copy between two Buffers`,
      value: value(`memory-map, Channel${how}`, '1 MiB', 'flow') / value('a copy between two Buffers', '1 MiB', 'flow'),
      atMost: 2,
    })),
    {
      what: 'jobs that two workers answer: against process.send, round robin',
      value:
        value('memory-map, Queue and Channel', 'jobs of 64 B', 'jobs') /
        value('process.send, round robin', 'jobs of 64 B', 'jobs'),
      atMost: 0.5,
    },
    {
      what: 'one way, 64 B: against process.send',
      value: value('memory-map, Channel', '64 B', 'flow') / value('process.send', '64 B', 'flow'),
      atMost: 0.2,
    },
  ],
}
