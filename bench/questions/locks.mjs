// What do locks, events, conditions and barriers cost, and what a mapping that another thread is given?

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { inMemory, MIB } from '../harness/files.mjs'
import { sample, tripsSync } from '../harness/sample.mjs'

const partner = fileURLToPath(new URL('../harness/partner.mjs', import.meta.url))

/** A new file of a megabyte, mapped. */
async function mapped() {
  const { mapShared } = await import('../../index.js')
  const file = inMemory('words')
  return { file, map: mapShared(file, { protection: 'read-write', create: true, length: MIB }) }
}

// Calls that find nothing in the way

const calls =
  (make) =>
  async ({ quick }) => {
    const call = await make()
    const run = () => {
      for (let i = 0; i < 1000; i++) call()
    }
    const times = await sample(run, { time: quick ? 20 : 200, batch: 1000 })
    return { call: times.map((time) => time * 1000) }
  }

const ours = (make) => calls(async () => make(await import('../../sync.js'), (await mapped()).map))

const mutex = ours(({ Mutex }, map) => {
  const lock = new Mutex(map, 0)
  return () => {
    lock.lock()
    lock.unlock()
  }
})

const shared = ours(({ RwLock }, map) => {
  const lock = new RwLock(map, 0)
  return () => {
    lock.lockShared()
    lock.unlock()
  }
})

const exclusive = ours(({ RwLock }, map) => {
  const lock = new RwLock(map, 0)
  return () => {
    lock.lockExclusive()
    lock.unlock()
  }
})

const event = ours(({ Event }, map) => {
  const flag = new Event(map, 0)
  return () => {
    flag.set()
    flag.clear()
  }
})

const condition = ours(({ Condition }, map) => {
  const changed = new Condition(map, 0)
  return () => changed.notify()
})

const barrier = ours(({ Barrier }, map) => {
  const alone = new Barrier(map, 0, 1)
  return () => alone.wait()
})

const atomics = calls(() => {
  const words = new Int32Array(new SharedArrayBuffer(4))
  return () => {
    while (Atomics.compareExchange(words, 0, 0, 1) !== 0) Atomics.wait(words, 0, 1)
    Atomics.store(words, 0, 0)
    Atomics.notify(words, 0, 1)
  }
})

// There and back

/** A trip to a process that has the same file. */
const between = (job, make) => async (context) => {
  const { file, map } = await mapped()
  const trip = make(await import('../../sync.js'), map)
  const child = fork(partner, [job, file])
  process.on('exit', () => child.kill())
  await new Promise((resolve) => child.once('message', resolve))
  return tripsSync(trip, context)
}

const events = between('events', ({ Event }, map) => {
  const [there, back] = [new Event(map, 0), new Event(map, 64)]
  return () => {
    there.set()
    back.wait()
    back.clear()
  }
})

const conditions = between('conditions', ({ Condition, Mutex }, map) => {
  const [lock, changed] = [new Mutex(map, 0), new Condition(map, 64)]
  const turn = map.typedArray(Uint8Array, 128, 1)
  return () => {
    lock.lock()
    turn[0] = 1
    changed.notify()
    changed.waitFor(lock, () => turn[0] === 0)
    lock.unlock()
  }
})

const barriers = between('barriers', ({ Barrier }, map) => {
  const both = new Barrier(map, 0, 2)
  return () => {
    both.wait()
    both.wait()
  }
})

const threads = async (context) => {
  const words = new Int32Array(new SharedArrayBuffer(4))
  const thread = new Worker(partner, { argv: ['atomics'] })
  thread.postMessage(words)
  await new Promise((resolve) => thread.once('message', resolve))
  return tripsSync(() => {
    Atomics.store(words, 0, 1)
    Atomics.notify(words, 0)
    while (Atomics.load(words, 0) === 1) Atomics.wait(words, 0, 1)
  }, context)
}

// A worker gets memory, looks at a byte, and says so

const given =
  (make) =>
  async ({ quick }) => {
    const { file, map } = await mapped()
    const what = make({ file, map })
    const thread = new Worker(partner, { argv: ['look'] })
    const look = () =>
      new Promise((resolve) => {
        thread.once('message', resolve)
        thread.postMessage(what)
      })
    for (let i = 0; i < (quick ? 10 : 300); i++) await look()
    const times = await sample(async () => void (await look()), { time: quick ? 20 : 500 })
    await thread.terminate()
    return { given: times }
  }

const of = (what, run) => ({ run, only: (one) => one.what === what })

export const question = {
  title: 'Locks, and mappings that threads are given',
  about:
    'Atomics and a SharedArrayBuffer work between threads of one process only. There and back by a barrier are two ' +
    'meetings; by a condition, a change under its mutex on either side.',
  rounds: 2,
  tables: {
    call: { title: 'Calls that find nothing in the way', unit: 'ns' },
    trip: { title: 'There and back, between processes', unit: 'µs' },
    given: { title: 'A worker gets 1 MiB, looks at a byte, and says so', unit: 'µs' },
  },
  cases: () => ['call', 'trip', 'given'].map((what) => ({ name: what, what })),
  ways: {
    'memory-map, Mutex, lock and unlock': of('call', mutex),
    'memory-map, RwLock, shared': of('call', shared),
    'memory-map, RwLock, exclusive': of('call', exclusive),
    'memory-map, Event, set and clear': of('call', event),
    'memory-map, Condition, notify nobody': of('call', condition),
    'memory-map, Barrier of one': of('call', barrier),
    'Atomics, lock and unlock': of('call', atomics),
    'memory-map, two Events': of('trip', events),
    'memory-map, Condition and Mutex': of('trip', conditions),
    'memory-map, Barrier of two, twice': of('trip', barriers),
    'Atomics, between threads': of('trip', threads),
    'memory-map, map.handle': of(
      'given',
      given(({ map }) => ({ handle: map.handle })),
    ),
    'memory-map, the file mapped anew': of(
      'given',
      given(({ file }) => ({ file })),
    ),
    'a SharedArrayBuffer': of(
      'given',
      given(() => ({ memory: new SharedArrayBuffer(MIB) })),
    ),
  },
  targets: () => [],
}
