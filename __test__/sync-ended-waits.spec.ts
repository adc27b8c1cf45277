// Waits that are ended early have taken nothing; and workers end while they wait, or while they hold a lock.

import { setMaxListeners } from 'node:events'

import test, { type ExecutionContext } from 'ava'
import { mapShared, type MemoryMap } from 'memory-map'
import {
  Barrier,
  Broadcast,
  Channel,
  Condition,
  Event,
  Latest,
  Mutex,
  Queue,
  Rpc,
  RwLock,
  Semaphore,
  wait,
  waitAsync,
} from 'memory-map/sync'

import { runScript, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { blockUntil } from './helpers/sharing.ts'
import { turns } from './helpers/until.ts'

const LOCK = 64
const PERMITS = 128
const SHARED = 1024
const EXCLUSIVE = 1536
const LATEST = { offset: 2048, length: 512 }
const CHANNEL = 4096
const QUEUE = { offset: 6144, length: 1024 }
const FULL_QUEUE = { offset: 10_240, length: 1024 }
const BROADCAST = { offset: 12_288, length: 1024 }
const FULL_BROADCAST = { offset: 16_384, length: 8192, lossless: true }
const RPC = { offset: 24_576, length: 2048, clients: 2 }
const FULL_RPC = { offset: 26_624, length: 2048, clients: 2 }
const SERVED = { offset: 28_672, length: 2048, clients: 2 }
const LENGTH = 32_768

/** A file that is mapped twice, by two owners, and what is in its words. */
function open(t: ExecutionContext) {
  const file = sparseFile(t, LENGTH)
  const maps = [0, 1].map(() => mapShared(file, { protection: 'read-write', onFault: () => {} }))
  t.teardown(() => maps.forEach((map) => map.close()))
  const [map, other] = maps as [MemoryMap, MemoryMap]
  const words = other.typedArray(BigUint64Array)
  return {
    map,
    other,
    owner: () => Atomics.load(words, LOCK / 8) >> 2n,
    permits: () => Atomics.load(words, PERMITS / 8) - 1n,
    /** The state of a lock of readers and writers. */
    state: (place: number) => Atomics.load(words, place / 8 + 1),
    /** How many readers have it. */
    readers: (place: number) => {
      const slots = words.subarray(place / 8 + 4, (place + RwLock.byteLength) / 8)
      return Array.from(slots.keys()).filter((i) => Atomics.load(slots, i) !== 0n).length
    },
  }
}

const ends = {
  'a signal': (_: MemoryMap, controller: AbortController) => controller.abort(new Error('enough')),
  close: (map: MemoryMap) => map.close(),
}

for (const [name, end] of Object.entries(ends)) {
  const error = { code: name === 'close' ? 'ERR_MMAP_CLOSED' : 'ABORT_ERR' }

  test(`a wait that ${name} ends while it has nothing takes nothing later`, async (t) => {
    const { map, other, owner, permits } = open(t)
    const controller = new AbortController()
    const { signal } = controller
    setMaxListeners(30, signal)
    const channel = Channel.create(map, { offset: CHANNEL, length: 1024 })
    const sender = Channel.create(map, { offset: 2 * CHANNEL, length: 1024 })
    while (sender.trySend('full')) continue
    const [mutex, rwlock] = [new Mutex(other, LOCK), new RwLock(other, SHARED)]
    mutex.lock()
    rwlock.lockExclusive()
    const condition = new Mutex(map, 208)
    condition.lock()
    const queue = Queue.create(map, FULL_QUEUE)
    while (queue.trySend('full')) continue
    const broadcast = Broadcast.create(map, FULL_BROADCAST)
    const receiver = Broadcast.open(other, { offset: FULL_BROADCAST.offset }).subscribe()
    while (broadcast.trySend('full')) continue
    const fullRpc = Rpc.create(map, FULL_RPC)
    const requests = Channel.open(map, { offset: FULL_RPC.offset + 128 })
    while (requests.trySend('full')) continue
    const serving = Rpc.create(map, SERVED).serve(() => '', { signal })
    const waits: Record<string, Promise<unknown>> = {
      call: Rpc.create(map, RPC).call('never answered', { signal }),
      'call where there is no room': fullRpc.call('one too many', { signal, timeout: 1e6 }),
      lock: new Mutex(map, LOCK).lockAsync({ signal }),
      acquire: new Semaphore(map, PERMITS, 0).acquireAsync({ signal, timeout: 1e6 }),
      barrier: new Barrier(map, 256, 2).waitAsync({ signal }),
      condition: new Condition(map, 200).waitAsync(condition, { signal }),
      event: new Event(map, 192).waitAsync({ signal }),
      latest: new Latest(map, LATEST).waitAsync(0, { signal }),
      'lock shared': new RwLock(map, SHARED).lockSharedAsync({ signal }),
      'lock exclusive': new RwLock(map, SHARED).lockExclusiveAsync({ signal }),
      'receive from a broadcast': Broadcast.create(map, BROADCAST).subscribe().receiveAsync({ signal }),
      'send to a broadcast': broadcast.sendAsync('one too many', { signal }),
      'receive from a queue': Queue.create(map, QUEUE).receiveAsync({ signal }),
      'send to a queue': queue.sendAsync('one too many', { signal }),
      receive: channel.receiveAsync({ signal }),
      'a second receive': channel.receiveAsync({ signal, timeout: Infinity }),
      send: sender.sendAsync('one too many', { signal }),
      'a second send': sender.sendAsync('and another', { signal }),
      wait: waitAsync(map, 0, 0, { signal }),
    }
    end(map, controller)
    for (const [what, promise] of Object.entries(waits)) await t.throwsAsync(promise, error, what)
    await serving
    await Rpc.open(other, { offset: SERVED.offset }).serve(() => '', { signal: AbortSignal.abort() })
    mutex.unlock()
    rwlock.unlock()
    new Semaphore(other, PERMITS).release()
    t.is(owner(), 0n)
    t.is(permits(), 1n)
    t.is(rwlock.tryLockExclusive(), 'acquired')
    t.is(new Mutex(other, 208).tryLock(), 'acquired')
    const messages = Channel.open(other, { offset: 2 * CHANNEL })
    if (name !== 'close') sender.close()
    for (let message = messages.tryReceive(); message; message = messages.tryReceive()) t.is(`${message}`, 'full')
    for (let message = receiver.tryReceive(); message; message = receiver.tryReceive()) t.is(`${message}`, 'full')
    if (name !== 'close') queue.close()
    const jobs = Queue.open(other, { offset: FULL_QUEUE.offset })
    for (let job = jobs.tryReceive(); job; job = jobs.tryReceive()) t.is(`${job.data}`, 'full')
    const calls = Channel.open(other, { offset: FULL_RPC.offset + 128 })
    for (let call = calls.tryReceive(); call; call = calls.tryReceive()) t.is(`${call}`, 'full')
  })

  test(`a wait that ${name} ends before it was reported gives back what it took`, async (t) => {
    const { map, other, owner, permits, state, readers } = open(t)
    const controller = new AbortController()
    const { signal } = controller
    const [mine, mutex] = [new Mutex(map, LOCK), new Mutex(other, LOCK)]
    const [shared, exclusive] = [new RwLock(other, SHARED), new RwLock(other, EXCLUSIVE)]
    mutex.lock()
    shared.lockExclusive()
    exclusive.lockExclusive()
    const reading = new RwLock(map, SHARED).lockSharedAsync({ signal })
    const writing = new RwLock(map, EXCLUSIVE).lockExclusiveAsync({ signal })
    const writer = state(EXCLUSIVE)
    const locking = mine.lockAsync({ signal })
    const acquiring = new Semaphore(map, PERMITS, 0).acquireAsync({ signal })
    const [before] = [owner()]
    mutex.unlock()
    shared.unlock()
    exclusive.unlock()
    new Semaphore(other, PERMITS).release()
    blockUntil(() => owner() !== 0n && owner() !== before && permits() === 0n)
    blockUntil(() => readers(SHARED) === 1)
    blockUntil(() => state(EXCLUSIVE) !== 0n && state(EXCLUSIVE) !== writer)
    end(map, controller)
    t.is(owner(), 0n)
    t.is(permits(), 1n)
    t.is(readers(SHARED), 0)
    t.is(shared.tryLockExclusive(), 'acquired')
    t.is(exclusive.tryLockExclusive(), 'acquired')
    await t.throwsAsync(reading, error)
    await t.throwsAsync(writing, error)
    await t.throwsAsync(locking, error)
    await t.throwsAsync(acquiring, error)
    t.is(mutex.lock(), 'acquired')
  })

  test(`a lock recovered by a wait that ${name} ended is recovered again by the next owner`, async (t) => {
    const { map, other, owner, state } = open(t)
    const third = mapShared(map.path!, { protection: 'read-write' })
    const controller = new AbortController()
    new Mutex(third, LOCK).lock()
    new RwLock(third, EXCLUSIVE).lockExclusive()
    const [before, writer] = [owner(), state(EXCLUSIVE)]
    const locking = new Mutex(map, LOCK).lockAsync({ signal: controller.signal })
    const writing = new RwLock(map, EXCLUSIVE).lockExclusiveAsync({ signal: controller.signal })
    third.close()
    blockUntil(() => owner() !== before && state(EXCLUSIVE) !== writer)
    end(map, controller)
    await t.throwsAsync(locking, error)
    await t.throwsAsync(writing, error)
    const rwlock = new RwLock(other, EXCLUSIVE)
    t.is(rwlock.lockExclusive(), 'recovered')
    rwlock.unlock()
    t.is(rwlock.lockExclusive(), 'acquired')
    const mutex = new Mutex(other, LOCK)
    t.is(mutex.lock(), 'recovered')
    mutex.unlock()
    t.is(mutex.lock(), 'acquired')
  })
}

test('what a wait has taken, it keeps when the mapping moves', async (t) => {
  const { map, other, owner, permits, readers } = open(t)
  const [mine, mutex] = [new Mutex(map, LOCK), new Mutex(other, LOCK)]
  const [shared, rwlock] = [new RwLock(map, SHARED), new RwLock(other, SHARED)]
  mutex.lock()
  rwlock.lockExclusive()
  const before = owner()
  const reading = shared.lockSharedAsync()
  const locking = mine.lockAsync()
  const acquiring = new Semaphore(map, PERMITS, 0).acquireAsync()
  mutex.unlock()
  rwlock.unlock()
  new Semaphore(other, PERMITS).release()
  blockUntil(() => owner() !== 0n && owner() !== before && permits() === 0n && readers(SHARED) === 1)
  map.resize(0)
  map.resize(LENGTH)
  t.is(await reading, 'acquired')
  t.false(rwlock.tryLockExclusive())
  shared.unlock()
  t.is(rwlock.tryLockExclusive(), 'acquired')
  t.is(await locking, 'acquired')
  t.true(await acquiring)
  mine.unlock()
  t.is(mutex.lock(), 'acquired')
})

test('waits go on when a mapping grows in place', async (t) => {
  const { map, other } = open(t)
  // The first resize may move it to where there is room.
  map.resize(2 ** 20)
  const mutex = new Mutex(other, LOCK)
  mutex.lock()
  const sender = Channel.create(map, { offset: CHANNEL, length: 1024 })
  while (sender.trySend('full')) continue
  const sending = sender.sendAsync('last')
  const waits = [new Mutex(map, LOCK).lockAsync(), new Semaphore(map, PERMITS, 0).acquireAsync()]
  const { address } = map
  for (let pages = 1; pages < 20; pages++) map.resize(2 ** 20 + pages * 4096)
  if (map.address === address) {
    mutex.unlock()
    new Semaphore(other, PERMITS).release()
    t.deepEqual(await Promise.all(waits), ['acquired', true])
    t.is(`${sender.receive()}`, 'full')
    t.true(await sending)
  } else {
    // On this system it has moved all the same.
    for (const wait of [...waits, sending]) await t.throwsAsync(wait, { code: 'ERR_MMAP_CLOSED' })
  }
})

test('a wait whose signal is aborted already rejects, and takes nothing', async (t) => {
  const { map } = open(t)
  const channel = Channel.create(map, { offset: CHANNEL, length: 1024 })
  const signal = AbortSignal.abort()
  channel.send('there')
  const mutex = new Mutex(map, LOCK)
  await t.throwsAsync(channel.receiveAsync({ signal }), { name: 'AbortError', code: 'ABORT_ERR' })
  await t.throwsAsync(channel.sendAsync('x', { signal }), { code: 'ABORT_ERR' })
  await t.throwsAsync(mutex.lockAsync({ signal }), { code: 'ABORT_ERR' })
  await t.throwsAsync(mutex.lockAsync({ timeuot: 1 } as never), { message: /did you mean 'timeout'/ })
  await t.throwsAsync(mutex.lockAsync({ timeout: '1' } as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(mutex.lockAsync({ signal: {} } as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(mutex.tryLock(), 'acquired')
  t.is(await mutex.lockAsync({ timeout: 1 }), 'timed-out')
  t.is(`${channel.tryReceive()}`, 'there')
  t.is(channel.tryReceive(), undefined)
})

test('a receive whose signal is aborted when its message has just come leaves that to others', async (t) => {
  const { map, other } = open(t)
  const channel = Channel.create(map, { offset: CHANNEL, length: 1024 })
  const queue = Queue.create(map, QUEUE)
  const broadcast = Broadcast.create(map, BROADCAST)
  const receiver = broadcast.subscribe()
  for (const [name, from, to] of [
    ['channel', channel, Channel.open(other, { offset: CHANNEL })],
    ['queue', queue, Queue.open(other, { offset: QUEUE.offset })],
    ['broadcast', receiver, Broadcast.open(other, { offset: BROADCAST.offset })],
  ] as const) {
    for (const isAsleep of [false, true]) {
      const controller = new AbortController()
      const receiving = from.receiveAsync({ signal: controller.signal })
      if (isAsleep) await turns() // now a thread waits
      to.send('there')
      // The thread has seen it by then, or has not: it may not be taken in either case.
      if (isAsleep) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      controller.abort()
      await t.throwsAsync(receiving, { code: 'ABORT_ERR' }, name)
      const message = from.tryReceive()
      t.is(String(message && 'data' in message ? message.data : message), 'there', name)
      if (message && 'release' in message) message.release()
    }
  }
})

test('waits that stand behind another one time out by themselves', async (t) => {
  const { map } = open(t)
  const channel = Channel.create(map, { offset: CHANNEL, length: 1024 })
  const first = channel.receiveAsync()
  t.is(await channel.receiveAsync(5), undefined)
  t.is(await channel.receiveAsync({ timeout: 5 }), undefined)
  channel.send('for the first')
  t.is(`${await first}`, 'for the first')
  t.is(wait(map, 0, 0, 1), 'timed-out')
})

const BLOCKED = {
  wait: 'sync.wait(map, 0, 0)',
  'wait with a timeout': 'sync.wait(map, 0, 0, 1e9)',
  barrier: 'new sync.Barrier(map, 256, 2).wait()',
  condition: 'const m = new sync.Mutex(map, 208); m.lock(); new sync.Condition(map, 200).wait(m)',
  event: 'new sync.Event(map, 192).wait()',
  lock: 'new sync.Mutex(map, 64).lock()',
  acquire: 'new sync.Semaphore(map, 128, 0).acquire()',
  receive: 'sync.Channel.create(map, { offset: 4096, length: 1024 }).receive()',
  borrow: 'sync.Channel.create(map, { offset: 4096, length: 1024 }).borrow()',
  'lock shared': 'new sync.RwLock(map, 1024).lockShared()',
  'lock exclusive': 'new sync.RwLock(map, 1024).lockExclusive()',
  latest: 'new sync.Latest(map, { offset: 2048, length: 512 }).wait(0)',
  'receive from a broadcast': 'sync.Broadcast.create(map, { offset: 12288, length: 1024 }).subscribe().receive()',
  'send to a broadcast':
    'const b = sync.Broadcast.create(map, { offset: 16384, length: 8192, lossless: true });' +
    'const r = b.subscribe(); while (b.send("message")) continue',
  'receive from a queue': 'sync.Queue.create(map, { offset: 6144, length: 1024 }).receive()',
  'send to a queue':
    'const q = sync.Queue.create(map, { offset: 6144, length: 1024 }); while (q.send("message")) continue',
  send: 'const c = sync.Channel.create(map, { offset: 4096, length: 1024 }); while (c.send("message")) continue',
  reserve: 'const c = sync.Channel.create(map, { offset: 4096, length: 1024 }); while (c.reserve(100)) continue',
}

/** `start(line)` starts a worker that maps a file and runs the line; resolves when it is about to run it. */
const WORKERS = `
const { Worker } = await import('node:worker_threads')
const fs = await import('node:fs')
const root = process.env.MEMORY_MAP_ROOT
const { mapShared } = await import(root + 'index.js')
const { Mutex, RwLock } = await import(root + 'sync.js')
const files = []
async function start(line, file = 'file' + files.push(0)) {
  if (!fs.existsSync(file)) fs.writeFileSync(file, Buffer.alloc(${LENGTH}))
  const worker = new Worker(\`(async () => {
    const { mapShared } = await import('\${root}index.js')
    const sync = await import('\${root}sync.js')
    const map = globalThis.map = mapShared('\${file}', { protection: 'read-write' })
    require('node:worker_threads').parentPort.postMessage('up')
    \${line}
  })()\`, { eval: true })
  worker.on('error', () => {})
  worker.ended = new Promise((resolve) => worker.once('exit', resolve))
  // Listened for at once: when a worker ends, all that it has said comes without a turn between.
  const says = (wanted) => new Promise((resolve) => worker.on('message', (message) => message === wanted && resolve()))
  worker.locked = says('locked')
  await says('up')
  return worker
}
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
`

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: terminate() ends workers that are blocked`, async (t) => {
    const source = `${WORKERS}
      const blocked = []
      for (const line of ${JSON.stringify(Object.values(BLOCKED))}) {
        const file = 'of' + blocked.length
        fs.writeFileSync(file, Buffer.alloc(${LENGTH}))
        const map = mapShared(file, { protection: 'read-write' })
        new Mutex(map, 64).lock()
        new RwLock(map, 1024).lockExclusive()
        blocked.push(await start(line, file))
      }
      await sleep(300) // until they are asleep
      await Promise.all(blocked.map((worker) => worker.terminate()))
      // Bun does not wait for the threads, and Deno ends none that is in JavaScript, be it in Atomics.wait.
      const task = '/proc/self/task/'
      const names = () => (fs.existsSync(task) ? fs.readdirSync(task) : []).map((id) => {
        try {
          return fs.readFileSync(task + id + '/comm', 'latin1')
        } catch {
          return ''
        }
      })
      while (names().includes('Worker\\n')) await sleep(10)
      console.log('ended')`
    const { stdout, code, signal, stderr } = await runScript(runtime, source)
    t.deepEqual({ stdout, code, signal }, { stdout: 'ended\n', code: 0, signal: null }, stderr)
  })

  test(`${name}: what follows a wait that terminate() has ended does not run as if it had the lock`, async (t) => {
    const { wait, barrier, condition, event, lock, acquire, ...rest } = BLOCKED
    const waits = [wait, barrier, condition, event, lock, acquire, rest['lock shared'], rest['lock exclusive']]
    const source = `${WORKERS}
      fs.writeFileSync('file', Buffer.alloc(${LENGTH}))
      const map = mapShared('file', { protection: 'read-write' })
      new Mutex(map, 64).lock()
      new RwLock(map, 1024).lockExclusive()
      const words = map.typedArray(Int32Array)
      for (const line of ${JSON.stringify(waits)}) {
        const worker = await start('const words = map.typedArray(Int32Array); words[4] = 1; ' + line + '; words[5]++', 'file')
        while (words[4] === 0) await sleep(10)
        await sleep(200) // until it is asleep
        await worker.terminate()
        words[4] = 0
      }
      console.log(words[5])
      process.kill(process.pid, 'SIGKILL') // Deno does not end such workers`
    const { stdout, stderr } = await runScript(runtime, source)
    t.is(stdout, '0\n', stderr)
  })

  test(`${name}: process.exit() does not wait for workers that are blocked`, async (t) => {
    const source = `${WORKERS}
      for (const line of ${JSON.stringify(Object.values(BLOCKED).filter((line) => !/Mutex|RwLock/.test(line)))}) {
        await start(line)
      }
      await sleep(300)
      process.exit(7)`
    const { code, signal, stderr } = await runScript(runtime, source)
    t.deepEqual({ code, signal }, { code: 7, signal: null }, stderr)
  })

  test(`${name}: a worker that ends leaves its locks, and no descriptor`, async (t) => {
    const search = 'terminate; for (let i = 0; i < 8; i++) map.find("x")'
    const ends = ['', '', 'process.exit(0)', 'throw new Error("x")', 'terminate', search]
    const source = `${WORKERS}
      // Only those of the file: a runtime may keep some of its own.
      const descriptors = '/proc/self/fd/'
      const open = () => (fs.existsSync(descriptors) ? fs.readdirSync(descriptors) : []).filter((fd) => {
        try {
          return fs.readlinkSync(descriptors + fd).endsWith('held')
        } catch {
          return false
        }
      }).length
      const lock = 'globalThis.mutex = new sync.Mutex(map, 64); mutex.lock();' +
        'globalThis.shared = new sync.RwLock(map, 1024); shared.lockShared(); shared.lockShared();' +
        'globalThis.exclusive = new sync.RwLock(map, 1536); exclusive.lockExclusive();' +
        'globalThis.queue = sync.Queue.create(map, { offset: 6144, length: 1024 }); queue.send("job"); queue.receive();' +
        'const lossless = { offset: 16384, length: 8192, lossless: true };' +
        'globalThis.receiver = sync.Broadcast.create(map, lossless).subscribe();' +
        'globalThis.channel = sync.Channel.create(map, { offset: 4096, length: 1024 }); channel.send("x"); channel.receive();' +
        'globalThis.rpc = sync.Rpc.create(map, { offset: 24576, length: 2048, clients: 1 });' +
        'rpc.serve(() => ""); rpc.call("x");' +
        'globalThis.semaphore = new sync.Semaphore(map, 128, 1); new sync.Semaphore(map, 256, 0).acquireAsync();'
      const stay = 'setInterval(() => {}, 1000);'
      const told = 'require("node:worker_threads").parentPort.postMessage("locked");'
      const { Broadcast, Channel, Queue, Rpc } = await import(root + 'sync.js')
      fs.writeFileSync('held', '')
      fs.truncateSync('held', 2 ** 28)
      for (const end of ${JSON.stringify(ends)}) {
        const worker = await start(lock + told + (end.startsWith('terminate') ? stay + end.slice(9) : end), 'held')
        const map = mapShared('held', { protection: 'read-write' })
        await worker.locked
        // While a wait is pending, a worker does not end by itself.
        if (end.startsWith('terminate') || end === '') await worker.terminate()
        await worker.ended
        console.log(end, new Mutex(map, 64).lock(240_000))
        const [shared, exclusive] = [new RwLock(map, 1024), new RwLock(map, 1536)]
        console.log(shared.lockExclusive(240_000), exclusive.lockExclusive(240_000))
        shared.unlock()
        exclusive.unlock()
        const job = Queue.open(map, { offset: 6144 }).receive(240_000)
        console.log(String(job?.data), job?.deliveries)
        job?.release()
        const broadcast = Broadcast.open(map, { offset: 16384 })
        for (let i = 0; i < 1000; i++) if (!broadcast.send('message', 240_000)) throw new Error('held back by the dead')
        const channel = Channel.open(map, { offset: 4096 })
        for (let late = Date.now() + 240_000;;) {
          try {
            channel.tryReceive()
            break
          } catch (error) {
            if (Date.now() > late) throw error
            await sleep(10)
          }
        }
        // The worker was its server, and its only client.
        for (let late = Date.now() + 240_000, reply; reply === undefined; ) {
          const rpc = Rpc.open(map, { offset: 24576 })
          const serving = rpc.serve((request) => request + '!')
          try {
            reply = await Promise.race([rpc.call('call', 240_000), serving])
          } catch (error) {
            if (error.code !== 'ERR_MMAP_BUSY' || Date.now() > late) throw error
            await sleep(10)
          }
          rpc.close()
          await serving.catch(() => {})
          if (reply !== undefined) console.log(String(reply))
        }
        map.close()
        for (let late = Date.now() + 240_000; open() > 0 && Date.now() < late; ) await sleep(10)
        if (open() > 0) console.log(open(), 'descriptors')
      }
      process.exit()`
    const { stdout, code, stderr } = await runScript(runtime, source)
    const expected = ends.map((end) => `${end} recovered\nacquired recovered\njob 2\ncall!\n`)
    t.deepEqual({ stdout, code }, { stdout: expected.join(''), code: 0 }, stderr)
  })
}
