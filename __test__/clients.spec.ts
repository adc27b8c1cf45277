// Programs in Python and Rust share memory with Node, Bun and Deno. (Long: each class, in both directions.)

import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

import { mapShared, type MemoryMap } from '../index.js'
import { Channel, Latest, Mutex } from '../sync.js'
import { isLinux, where } from './helpers/platform.ts'
import { ending, Peer, run, start, untilAsleep } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Where everything is in the file, for all languages; the mutex is at byte 0. */
const NUMBER = 8
const TO_CLIENT = { offset: 4096, length: 8192 }
const FROM_CLIENT = { offset: 32_768, length: 8192 }
const TIMES = 2000

/** Whether a command can be run here. Where this runs in CI it must be. */
function has(command: string, args: string[]): boolean {
  return process.env.CI !== undefined || spawnSync(command, args, { cwd: root, stdio: 'ignore' }).status === 0
}

const importing = 'import sys; sys.path.insert(0, "clients/python"); import memory_map'
const withPython = where(isLinux && has('python3', ['-c', importing]), 'needs Python 3.9 and libatomic.so.1')
const withCargo = where(isLinux && has('cargo', ['--version']), 'needs Rust')

class Scene {
  readonly file: string
  readonly map: MemoryMap
  readonly mutex: Mutex

  constructor(t: ExecutionContext) {
    this.file = scratchFile(t, Buffer.alloc(65_536))
    this.map = mapShared(this.file, { protection: 'read-write' })
    this.mutex = new Mutex(this.map, 0)
    t.teardown(() => this.map.close())
  }

  /** Python with the same file as `memory`, and the mutex in it. */
  async python(t: ExecutionContext): Promise<Peer> {
    const peer = await Peer.startPython(t)
    await peer.run(`import sys; sys.path.insert(0, '${root}clients/python')`)
    await peer.run('from memory_map import *')
    await peer.run(`memory = Memory('${this.file}'); mutex = Mutex(memory, 0)`)
    return peer
  }

  number(): bigint {
    return this.map.dataView(NUMBER, 8).getBigUint64(0, true)
  }
}

/** Messages of all lengths up to the longest, many of them. */
function* messages(most: number): Generator<Buffer> {
  for (let i = 1; i <= 600; i++) yield Buffer.alloc(1 + ((i * 7919) % most), i % 251)
}

const COUNT_IN_PYTHON = `
def count(times):
    recovered = 0
    for _ in range(times):
        with mutex as how:
            recovered += how == 'recovered'
            number = int.from_bytes(memory.map[${NUMBER}:${NUMBER + 8}], 'little')
            memory.map[${NUMBER}:${NUMBER + 8}] = (number + 1).to_bytes(8, 'little')
    return recovered

def answer():
    inbox, outbox = Channel(memory, ${TO_CLIENT.offset}), Channel(memory, ${FROM_CLIENT.offset})
    while message := inbox.receive():
        outbox.send(message)
`

for (const runtime of runtimes()) {
  withPython(`Python and ${runtime.name} ${runtime.version} count under a mutex, and lose no count`, async (t) => {
    const scene = new Scene(t)
    const python = await scene.python(t)
    await python.run(COUNT_IN_PYTHON)
    const peer = await Peer.start(t, runtime)
    await peer.run(`(async () => {
      const { Mutex } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      map = lib.mapShared('${scene.file}', { protection: 'read-write' })
      mutex = new Mutex(map, 0)
      count = (times) => {
        const view = map.dataView()
        for (let i = 0; i < times; i++) {
          if (mutex.lock() !== 'acquired') throw new Error('nobody has died')
          view.setBigUint64(${NUMBER}, view.getBigUint64(${NUMBER}, true) + 1n, true)
          mutex.unlock()
        }
      }
    })()`)
    await Promise.all([python.run(`count(${TIMES})`), peer.run(`count(${TIMES})`)])
    t.is(scene.number(), BigInt(2 * TIMES))
    t.is(scene.mutex.tryLock(), 'acquired')
  })
}

/** Sends messages to a client, and compares what it sends back. */
async function echo(t: ExecutionContext, scene: Scene): Promise<void> {
  const [out, back] = [TO_CLIENT, FROM_CLIENT].map(({ offset }) => Channel.open(scene.map, { offset })) as [
    Channel,
    Channel,
  ]
  const sending = (async () => {
    for (const message of messages(out.maxLength)) await out.sendAsync(message)
    await out.sendAsync('')
  })()
  for (const message of messages(out.maxLength)) {
    const got = await back.receiveAsync(120_000)
    if (!got?.equals(message)) return t.fail(`a message of ${message.length} bytes came as ${got?.length}`)
  }
  await sending
  t.pass()
}

withPython('messages of all lengths go to Python and back', async (t) => {
  const scene = new Scene(t)
  for (const range of [TO_CLIENT, FROM_CLIENT]) Channel.create(scene.map, range).close()
  const python = await scene.python(t)
  await python.run(COUNT_IN_PYTHON)
  await Promise.all([python.run('answer()'), echo(t, scene)])
})

withPython('Python that is killed with the mutex leaves it to Node, and the other way around', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  t.is(await python.run('mutex.lock()'), 'acquired')
  t.false(scene.mutex.tryLock())
  t.is(scene.mutex.lock(1), 'timed-out')
  const locked = scene.mutex.lockAsync()
  await python.kill()
  t.is(await locked, 'recovered')
  scene.mutex.unlock()

  const [runtime] = runtimes()
  const node = await Peer.start(t, runtime!)
  await node.run(`(async () => {
    const { Mutex } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    map = lib.mapShared('${scene.file}', { protection: 'read-write' })
    mutex = new Mutex(map, 0)
    mutex.lock()
  })()`)
  const next = await scene.python(t)
  t.is(await next.run('mutex.try_lock()'), null)
  t.is(await next.run('mutex.lock(0.01)'), 'timed-out')
  const waiting = next.run('mutex.lock()')
  await untilAsleep(next.pid)
  await node.kill()
  t.is(await waiting, 'recovered')
  await next.run('mutex.unlock()')
  t.is(scene.mutex.lock(), 'acquired')
})

withPython('Python that sleeps until it gets the mutex is woken, and the mutex counts as acquired', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  scene.mutex.lock()
  const waiting = python.run('mutex.lock()')
  await untilAsleep(python.pid)
  scene.mutex.unlock()
  t.is(await waiting, 'acquired')
  const locked = scene.mutex.lockAsync()
  await python.run('mutex.unlock()')
  t.is(await locked, 'acquired')
})

withPython('a message that Python was writing when it was killed is skipped', async (t) => {
  const scene = new Scene(t)
  const channel = Channel.create(scene.map, TO_CLIENT)
  const python = await scene.python(t)
  await python.run(`channel = Channel(memory, ${TO_CLIENT.offset})`)
  t.true(await python.run('channel.send(b"before")'))
  await python.run('channel._claim(5, *channel._fits(5))') // as send does, before the bytes are there
  channel.send('after')
  t.is(channel.receive()?.toString(), 'before')
  t.is(channel.tryReceive(), undefined)
  await python.kill()
  t.is(channel.receive()?.toString(), 'after')
})

withPython(
  'Python skips the message that Node was writing when it was killed, and takes over from a dead receiver',
  async (t) => {
    const scene = new Scene(t)
    Channel.create(scene.map, TO_CLIENT).close()
    const [runtime] = runtimes()
    const node = await Peer.start(t, runtime!)
    await node.run(`(async () => {
    const { Channel } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    map = lib.mapShared('${scene.file}', { protection: 'read-write' })
    channel = Channel.open(map, { offset: ${TO_CLIENT.offset} })
    channel.tryReceive()
    channel.reserve(100)
  })()`)
    const python = await scene.python(t)
    await python.run(`channel = Channel(memory, ${TO_CLIENT.offset})`)
    await python.run('channel.send(b"from Python")')
    await t.throwsAsync(python.run('channel.receive(0)'), { message: /Busy/ })
    await node.kill()
    t.is(await python.run('channel.receive().decode()'), 'from Python')
    t.is(await python.run('channel.receive(0)'), null)
    const first = Channel.open(scene.map, { offset: TO_CLIENT.offset })
    t.throws(() => first.tryReceive(), { code: 'ERR_MMAP_BUSY' })
    await python.run('channel.stop_receiving()')
    t.is(first.tryReceive(), undefined)
    t.false(await python.run(`[channel.send(bytes(channel.max_length), 0) for _ in range(4)][-1]`))
  },
)

/** Where the newest value is. */
const VALUE = { offset: 49_152, length: Latest.byteLengthFor(1000) }

for (const runtime of runtimes()) {
  withPython(
    `the newest values of Python and ${runtime.name} ${runtime.version} are whole, and no version is missed`,
    async (t) => {
      const scene = new Scene(t)
      const python = await scene.python(t)
      await python.run(`
latest = Latest(memory, ${VALUE.offset}, Latest.byte_length_for(1000))
def write(times):
    for i in range(times):
        latest.write(bytes([i % 250]) * (i * 7 % 1001))
def watch():
    seen = 0
    while True:
        latest.wait(seen)
        seen = latest.version
        value = latest.read()
        if value == b'end':
            return
        assert value == value[:1] * len(value), value
`)
      t.is(await python.run('[latest.version, latest.read(), latest.wait(0, 0.001)] == [0, None, False]'), true)
      const peer = await Peer.start(t, runtime)
      await peer.run(`(async () => {
      const { Latest } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      map = lib.mapShared('${scene.file}', { protection: 'read-write' })
      latest = new Latest(map, ${JSON.stringify(VALUE)})
      write = (times) => {
        for (let i = 0; i < times; i++) latest.write(Buffer.alloc((i * 11) % 1001, i % 250))
      }
      watch = async () => {
        for (let seen = 0; ; ) {
          await latest.waitAsync(seen)
          seen = latest.version
          const value = latest.read()
          if (value.equals(Buffer.from('end'))) return
          if (!value.equals(Buffer.alloc(value.length, value[0]))) throw new Error('torn')
        }
      }
    })()`)
      const watching = peer.run('watch()')
      await python.run('write(500)')
      await python.run('latest.write(b"end")')
      await watching
      const other = python.run('watch()')
      await peer.run('write(5000)')
      await peer.run('latest.write("end")')
      await other
      await Promise.all([python.run('write(300)'), peer.run('write(300)')])
      t.is(new Latest(scene.map, VALUE).version, 6102)
      t.is(await python.run('latest.version'), 6102)
    },
  )
}

withPython(
  'Python that is killed while it writes a value leaves the value before, and reads despite a dead writer',
  async (t) => {
    const scene = new Scene(t)
    const python = await scene.python(t)
    const latest = new Latest(scene.map, VALUE)
    await python.run(`latest = Latest(memory, ${VALUE.offset}, ${VALUE.length})`)
    await python.run('latest.write(b"whole")')
    // As write does, before others see it.
    await python.run('lock = Mutex(memory, latest._offset + 8); lock.lock(); latest._begin(b"half")')
    t.is(latest.read()?.toString(), 'whole')
    t.false(latest.write('waits', 1))
    await python.kill()
    t.is(latest.read()?.toString(), 'whole')
    t.true(latest.write('next'))
    t.deepEqual([latest.version, latest.read()?.toString()], [2, 'next'])

    const [runtime] = runtimes()
    const next = await scene.python(t)
    await next.run(`latest = Latest(memory, ${VALUE.offset}, ${VALUE.length})`)
    for (let i = 0; i < 5; i++) {
      const node = await Peer.start(t, runtime!)
      const writing = node.run(`(async () => {
      const { Latest } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      const latest = new Latest(lib.mapShared('${scene.file}', { protection: 'read-write' }), ${JSON.stringify(VALUE)})
      for (let i = 0; ; i++) latest.write(Buffer.alloc(1000, i % 250))
    })()`)
      const ended = t.throwsAsync(writing)
      t.true(await next.run('latest.wait(latest.version)'))
      await node.kill()
      await ended
      t.true(await next.run('(lambda value: value == value[:1] * 1000)(latest.read())'))
      t.true(await next.run('latest.write(b"after") and latest.read() == b"after"'))
    }
  },
)

withPython('Python processes that make a channel at once get the same, also after a maker has died', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  const { offset, length } = TO_CLIENT
  await python.run(`channel = Channel.create(memory, ${offset}, ${length})`)
  const channel = Channel.open(scene.map, { offset })
  t.is((await python.run('channel.max_length')) as number, channel.maxLength)
  channel.send('hello')
  t.is(await python.run(`Channel.open_or_create(memory, ${offset}).receive().decode()`), 'hello')
  const other = await scene.python(t)
  const range = FROM_CLIENT
  const waiting = Channel.openAsync(scene.map, { offset: range.offset })
  const make = `channel = Channel.open_or_create(memory, ${range.offset}, ${range.length}); channel.send(b'mine')`
  const making = [python.run(make), other.run(make)]
  Channel.openOrCreate(scene.map, range).send('mine')
  await Promise.all(making)
  const made = (await waiting)!
  for (let i = 0; i < 3; i++) t.is(made.receive()?.toString(), 'mine')
  // This process begins to make a channel, and dies.
  await other.run(`maker = Mutex(memory, ${VALUE.offset} + 448); maker.lock()`)
  const next = python.run(`Channel.open_or_create(memory, ${VALUE.offset}).send(b'made')`)
  await untilAsleep(python.pid)
  await other.kill()
  t.true(await next)
  t.is(Channel.open(scene.map, { offset: VALUE.offset }).receive()?.toString(), 'made')
})

withPython('Python wakes those who wait for a message, and those who wait for room', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  const [inbox, outbox] = [Channel.create(scene.map, FROM_CLIENT), Channel.create(scene.map, TO_CLIENT)]
  await python.run(`inbox, outbox = Channel(memory, ${TO_CLIENT.offset}), Channel(memory, ${FROM_CLIENT.offset})`)
  const word = (at: number) => scene.map.dataView(at, 8).getBigUint64(0, true)
  /** Waits until somebody waits for an event; what it is then. Only those who wake them make it grow. */
  const awaited = async (at: number) => {
    await until(() => word(at) % 2n === 1n)
    return word(at)
  }
  const filled = FROM_CLIENT.offset + 320
  const receiving = inbox.receiveAsync()
  const noMessage = await awaited(filled)
  await python.run('outbox.send(b"hello")')
  t.is(String(await receiving), 'hello')
  t.true(word(filled) > noMessage)

  const emptied = TO_CLIENT.offset + 384
  while (outbox.trySend(Buffer.alloc(1000))) continue
  const sending = outbox.sendAsync(Buffer.alloc(1000))
  const noRoom = await awaited(emptied)
  while (word(emptied) === noRoom) t.is(await python.run('len(inbox.receive(60))'), 1000)
  t.true(await sending)
})

withPython('a value that Python begins to write takes the number of the one whose place it takes', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  const latest = new Latest(scene.map, VALUE)
  await python.run(`latest = Latest(memory, ${VALUE.offset}, ${VALUE.length})`)
  for (let i = 1; i <= 3; i++) t.true(await python.run(`latest.write(b'value ${i}')`))
  // The fourth comes where the first was: who still copies that finds its number gone.
  const slot = scene.map.dataView(VALUE.offset + 64 + 16 + latest.maxLength, 8)
  t.is(slot.getBigUint64(0, true), 1n)
  await python.run("latest._begin(b'value 4')") // as write does, before others see it
  t.is(slot.getBigUint64(0, true), 0n)
  t.is(String(latest.read()), 'value 3')
})

withPython('a channel that Python makes anew begins behind all that users of the old one remember', async (t) => {
  const scene = new Scene(t)
  const { offset, length } = TO_CLIENT
  const before = Channel.create(scene.map, TO_CLIENT)
  const head = () => scene.map.dataView(offset + 128, 8).getBigUint64(0, true)
  for (let i = 0; i < 50; i++) {
    before.send(Buffer.alloc(1000, i))
    t.is(before.receive()?.length, 1000)
  }
  const python = await scene.python(t)
  const old = head()
  await python.run(`channel = Channel.create(memory, ${offset}, ${length})`)
  t.true(head() >= old + BigInt(length), `${head()} after ${old}`)
  // Whoever had it goes on with the new one.
  before.send('hello')
  t.is(await python.run('channel.receive().decode()'), 'hello')
})

withPython('Python refuses the memory that Node refuses', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  const refused = (line: string, message: RegExp) => t.throwsAsync(python.run(line), { message })
  await python.run('mutex.lock()')
  await refused('mutex.lock()', /RuntimeError.*deadlock/)
  await python.run('mutex.unlock()')
  await refused('mutex.unlock()', /RuntimeError.*not held/)
  await refused('Mutex(memory, 4)', /ValueError.*multiple of 8/)
  await refused('Mutex(memory, 65536)', /ValueError/)
  await refused('Channel(memory, 4096)', /Damaged.*no channel/)
  await python.run(`first = Channel.create(memory, ${FROM_CLIENT.offset}, ${FROM_CLIENT.length})`)
  await python.run(`second = Channel(memory, ${FROM_CLIENT.offset})`)
  await python.run('first.receive(0)')
  await refused('second.receive(0)', /Busy.*another channel object/)
  await python.run('first.stop_receiving(); second.receive(0)')
  await refused('Channel.create(memory, 4096, 600)', /ValueError.*640/)
  await refused('Channel.create(memory, 4100)', /ValueError/)
  await refused('Latest(memory, 49152, 100)', /ValueError.*136/)
  await python.run('latest = Latest(memory, 49152, 304)')
  await refused('latest.write(bytes(65))', /ValueError.*64/)
  await refused('Latest(memory, 49152, 400)', /Damaged.*length/)
  scene.map.dataView(49_152 + 16, 8).setBigUint64(0, 7n, true) // a number whose slot is not written
  await refused('latest.read()', /Damaged/)
  const channel = Channel.create(scene.map, TO_CLIENT)
  await python.run('channel = Channel(memory, 4096)')
  await refused('channel.send(bytes(channel.max_length + 1))', /ValueError/)
  channel.send('hello')
  for (const [at, value] of [
    [128, 2n ** 63n], // the head
    [192, 3n], // the tail
  ] as const) {
    const view = scene.map.dataView(TO_CLIENT.offset + at, 8)
    const before = view.getBigUint64(0, true)
    view.setBigUint64(0, value, true)
    await refused('channel.receive(0)', /Damaged/)
    await refused('channel.send(b"1", 0)', /Damaged/)
    view.setBigUint64(0, before, true)
  }
  t.is(await python.run('channel.receive(0).decode()'), 'hello')
  scene.map.dataView(TO_CLIENT.offset, 8).setBigUint64(0, 0n, true)
  await refused('Channel(memory, 4096)', /Damaged/)
  await python.run('memory.close()')
  await refused('mutex.try_lock()', /ValueError.*closed/)
})

withPython("a child that Python forks does not hold its parent's locks", async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  await python.run('mutex.lock()')
  await python.run(`
(out, into), pid = os.pipe(), 0
pid = os.fork()
if pid == 0:
    os.close(0)
    try:
        mutex.unlock()
    except ValueError:
        os.write(into, b'refused')
    os.close(1)
    os.close(2)
    import time
    time.sleep(600)
`)
  const pid = (await python.run('pid')) as number
  t.teardown(() => process.kill(pid, 'SIGKILL'))
  t.is(await python.run('os.read(out, 7).decode()'), 'refused')
  t.false(scene.mutex.tryLock(), 'the parent has it')
  await python.kill()
  t.is(scene.mutex.lock(), 'recovered', 'though the child lives')
})

withCargo(
  'a Rust program counts with Node, replies to messages, and takes over from a process that died',
  async (t) => {
    const scene = new Scene(t)
    for (const range of [TO_CLIENT, FROM_CLIENT]) Channel.create(scene.map, range).close()
    const build = [
      'build',
      '--quiet',
      '--locked',
      '--manifest-path',
      'clients/rust/Cargo.toml',
      '--target-dir',
      'target',
    ]
    execFileSync('cargo', build, { cwd: root, stdio: 'inherit' })
    const client = `${root}target/debug/memory-map-client`

    const rust = ending(start(client, [scene.file, String(TIMES)]))
    for (let i = 0; i < TIMES; i++) {
      scene.mutex.lock()
      const view = scene.map.dataView(NUMBER, 8)
      view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true)
      scene.mutex.unlock()
    }
    await echo(t, scene)
    t.like(await rust, { code: 0, stdout: 'recovered: 0\n', stderr: '' })
    t.is(scene.number(), BigInt(2 * TIMES))

    const [runtime] = runtimes()
    const node = await Peer.start(t, runtime!)
    await node.run(`(async () => {
    const { Mutex } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    map = lib.mapShared('${scene.file}', { protection: 'read-write' })
    mutex = new Mutex(map, 0)
    mutex.lock()
  })()`)
    const next = start(client, [scene.file, '1'])
    await untilAsleep(next.pid!)
    const ended = ending(next)
    await node.kill()
    const out = Channel.open(scene.map, { offset: TO_CLIENT.offset })
    out.send('')
    t.like(await ended, { code: 0, stdout: 'recovered: 1\n' })

    const wrong = await run(client, ['/does/not/exist', '1'])
    t.is(wrong.code, 1)
  },
)
