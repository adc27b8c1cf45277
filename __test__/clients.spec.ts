// Programs in Python and Rust share memory with Node, Bun and Deno. (Long: each class, in both directions.)

import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

import type { MemoryMap } from 'memory-map'
import { Channel, Latest, Mutex } from 'memory-map/sync'

import { isLinux, where } from './helpers/platform.ts'
import { ending, Peer, run, start, untilAsleep } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'
import { peerWith, sharedMap } from './helpers/sharing.ts'
import { until } from './helpers/until.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Where everything is in the file, for all languages; the mutex is at byte 0. */
const NUMBER = 8
const TO_CLIENT = { offset: 4096, length: 8192 }
const FROM_CLIENT = { offset: 32_768, length: 8192 }
const VALUE = { offset: 49_152, length: Latest.byteLengthFor(1000) }
const TIMES = 2000

/** Whether a command can be run here. Where this runs in CI it must be. */
function has(command: string, args: string[]): boolean {
  return process.env.CI !== undefined || spawnSync(command, args, { cwd: root, stdio: 'ignore' }).status === 0
}

const importing = 'import sys; sys.path.insert(0, "clients/python"); import memory_map'
const withPython = where(isLinux && has('python3', ['-c', importing]), 'needs Python 3.9 and libatomic.so.1')
const withCargo = where(isLinux && has('cargo', ['--version']), 'needs Rust')

/** A file that is mapped here, and by the processes that it starts. */
class Scene {
  readonly file: string
  readonly map: MemoryMap
  readonly mutex: Mutex

  constructor(t: ExecutionContext) {
    this.file = scratchFile(t, Buffer.alloc(65_536))
    this.map = sharedMap(t, this.file)
    this.mutex = new Mutex(this.map, 0)
  }

  /** Another process with the file as `map`, the mutex in it as `mutex`, and what `setup` makes. */
  async node(t: ExecutionContext, setup: string, runtime?: Runtime): Promise<Peer> {
    return await peerWith(t, this.file, `mutex = new sync.Mutex(map, 0)\n${setup}`, runtime)
  }

  /** Python with the file as `memory`, the mutex in it as `mutex`, and what `setup` makes. */
  async python(t: ExecutionContext, setup = ''): Promise<Peer> {
    const peer = await Peer.startPython(t)
    await peer.run(`import sys; sys.path.insert(0, '${root}clients/python')`)
    await peer.run('from memory_map import *')
    await peer.run(`memory = Memory('${this.file}'); mutex = Mutex(memory, 0)`)
    if (setup !== '') await peer.run(setup)
    return peer
  }

  /** The word of 64 bits at this byte. */
  word(at: number): bigint {
    return this.map.dataView(at, 8).getBigUint64(0, true)
  }

  setWord(at: number, value: bigint): void {
    this.map.dataView(at, 8).setBigUint64(0, value, true)
  }

  /** Adds to the number under the mutex, as the other programs do. */
  count(times: number): void {
    for (let i = 0; i < times; i++) {
      this.mutex.lock()
      this.setWord(NUMBER, this.word(NUMBER) + 1n)
      this.mutex.unlock()
    }
  }
}

/** Messages of all lengths up to the longest, many of them. */
function* messages(most: number): Generator<Buffer> {
  for (let i = 1; i <= 600; i++) yield Buffer.alloc(1 + ((i * 7919) % most), i % 251)
}

const PYTHON_COUNTS = `
def count(times):
    recovered = 0
    for _ in range(times):
        with mutex as how:
            recovered += how == 'recovered'
            number = int.from_bytes(memory.map[${NUMBER}:${NUMBER + 8}], 'little')
            memory.map[${NUMBER}:${NUMBER + 8}] = (number + 1).to_bytes(8, 'little')
    return recovered
`

const PYTHON_ECHOES = `
def echo():
    inbox, outbox = Channel(memory, ${TO_CLIENT.offset}), Channel(memory, ${FROM_CLIENT.offset})
    while message := inbox.receive():
        outbox.send(message)
`

for (const runtime of runtimes()) {
  withPython(`Python and ${runtime.name} ${runtime.version} count under a mutex, and lose no count`, async (t) => {
    const scene = new Scene(t)
    const python = await scene.python(t, PYTHON_COUNTS)
    const node = await scene.node(
      t,
      `count = (times) => {
        const view = map.dataView()
        for (let i = 0; i < times; i++) {
          if (mutex.lock() !== 'acquired') throw new Error('nobody has died')
          view.setBigUint64(${NUMBER}, view.getBigUint64(${NUMBER}, true) + 1n, true)
          mutex.unlock()
        }
      }`,
      runtime,
    )
    await Promise.all([python.run(`count(${TIMES})`), node.run(`count(${TIMES})`)])
    t.is(scene.word(NUMBER), BigInt(2 * TIMES))
    t.is(scene.mutex.tryLock(), 'acquired')
  })
}

/** Sends messages to a client that echoes them, until an empty one ends it. */
async function echoed(t: ExecutionContext, scene: Scene): Promise<void> {
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
  const python = await scene.python(t, PYTHON_ECHOES)
  await Promise.all([python.run('echo()'), echoed(t, scene)])
})

withPython('a mutex that Python had when it was killed goes to Node', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t)
  t.is(await python.run('mutex.lock()'), 'acquired')
  t.false(scene.mutex.tryLock())
  t.is(scene.mutex.lock(1), 'timed-out')
  const locked = scene.mutex.lockAsync()
  await python.kill()
  t.is(await locked, 'recovered')
})

withPython('a mutex that Node had when it was killed goes to Python', async (t) => {
  const scene = new Scene(t)
  const node = await scene.node(t, 'mutex.lock()')
  const python = await scene.python(t)
  t.is(await python.run('mutex.try_lock()'), null)
  t.is(await python.run('mutex.lock(0.01)'), 'timed-out')
  const waiting = python.run('mutex.lock()')
  await untilAsleep(python.pid)
  await node.kill()
  t.is(await waiting, 'recovered')
  await python.run('mutex.unlock()')
  t.is(scene.mutex.lock(), 'acquired')
})

/** A wait whose only sleep ends when the lock is given back and taken again at once, as its time is up. */
const PYTHON_LATE = `
class Late:
    slept = False
    def is_over(self):
        return self.slept
    def sleep(self, word, expected, seconds):
        memory_map._compare_exchange(word, expected, expected & ~1)
        self.slept = True
`

withPython('Python that gives up when it was woken has the owner wake the next one', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t, `import memory_map${PYTHON_LATE}`)
  scene.mutex.lock()
  await python.run('memory_map._lock(mutex._word(), memory._me(), memory._participants, Late())')
  t.is(scene.word(0) & 1n, 1n)
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
  const python = await scene.python(t, `channel = Channel(memory, ${TO_CLIENT.offset})`)
  t.true(await python.run('channel.send(b"before")'))
  await python.run('channel._claim(5, *channel._fits(5))') // as send does, before the bytes are there
  channel.send('after')
  t.is(channel.receive()?.toString(), 'before')
  t.is(channel.tryReceive(), undefined)
  await python.kill()
  t.is(channel.receive()?.toString(), 'after')
})

withPython(
  'Python takes over from a receiver that was killed, and skips the message that it was writing',
  async (t) => {
    const scene = new Scene(t)
    Channel.create(scene.map, TO_CLIENT).close()
    const node = await scene.node(
      t,
      `channel = sync.Channel.open(map, { offset: ${TO_CLIENT.offset} })
    channel.tryReceive()
    channel.reserve(100)`,
    )
    const python = await scene.python(t, `channel = Channel(memory, ${TO_CLIENT.offset})`)
    await python.run('channel.send(b"from Python")')
    await t.throwsAsync(python.run('channel.receive(0)'), { message: /Busy/ })
    await node.kill()
    t.is(await python.run('channel.receive().decode()'), 'from Python')
    t.is(await python.run('channel.receive(0)'), null)
  },
)

withPython('Python that has stopped receiving leaves the channel to another receiver', async (t) => {
  const scene = new Scene(t)
  const channel = Channel.create(scene.map, TO_CLIENT)
  const python = await scene.python(t, `channel = Channel(memory, ${TO_CLIENT.offset}); channel.receive(0)`)
  t.throws(() => channel.tryReceive(), { code: 'ERR_MMAP_BUSY' })
  await python.run('channel.stop_receiving()')
  t.is(channel.tryReceive(), undefined)
})

withPython('Python sends no message that there is no room for in time', async (t) => {
  const scene = new Scene(t)
  Channel.create(scene.map, TO_CLIENT).close()
  const python = await scene.python(t, `channel = Channel(memory, ${TO_CLIENT.offset})`)
  t.false(await python.run(`[channel.send(bytes(channel.max_length), 0) for _ in range(4)][-1]`))
})

for (const runtime of runtimes()) {
  withPython(
    `the newest values of Python and ${runtime.name} ${runtime.version} are whole, and no version is missed`,
    async (t) => {
      const scene = new Scene(t)
      const python = await scene.python(
        t,
        `
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
`,
      )
      t.is(await python.run('[latest.version, latest.read(), latest.wait(0, 0.001)] == [0, None, False]'), true)
      const node = await scene.node(
        t,
        `latest = new sync.Latest(map, ${JSON.stringify(VALUE)})
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
      }`,
        runtime,
      )
      const nodeWatches = node.run('watch()')
      await python.run('write(500)')
      await python.run('latest.write(b"end")')
      await nodeWatches
      const pythonWatches = python.run('watch()')
      await node.run('write(5000)')
      await node.run('latest.write("end")')
      await pythonWatches
      await Promise.all([python.run('write(300)'), node.run('write(300)')])
      t.is(new Latest(scene.map, VALUE).version, 6102)
      t.is(await python.run('latest.version'), 6102)
    },
  )
}

const OPEN_LATEST = `latest = Latest(memory, ${VALUE.offset}, ${VALUE.length})`

withPython('Python that is killed while it writes a value leaves the value before', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t, OPEN_LATEST)
  const latest = new Latest(scene.map, VALUE)
  await python.run('latest.write(b"whole")')
  await python.run('lock = Mutex(memory, latest._offset + 8); lock.lock()')
  await python.run('latest._begin(b"half")') // as write does, before others see it
  t.is(latest.read()?.toString(), 'whole')
  t.false(latest.write('waits', 1))
  await python.kill()
  t.is(latest.read()?.toString(), 'whole')
  t.true(latest.write('next'))
  t.deepEqual([latest.version, latest.read()?.toString()], [2, 'next'])
})

withPython('Python reads and writes a value whose writer was killed', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t, OPEN_LATEST)
  for (let i = 0; i < 5; i++) {
    const node = await scene.node(t, `latest = new sync.Latest(map, ${JSON.stringify(VALUE)})`)
    const killed = t.throwsAsync(node.run('for (let i = 0; ; i++) latest.write(Buffer.alloc(1000, i % 250))'))
    t.true(await python.run('latest.wait(latest.version)'))
    await node.kill()
    await killed
    t.true(await python.run('(lambda value: value == value[:1] * 1000)(latest.read())'))
    t.true(await python.run('latest.write(b"after") and latest.read() == b"after"'))
  }
})

withPython('Python makes a channel, and opens the one that is there', async (t) => {
  const scene = new Scene(t)
  const { offset, length } = TO_CLIENT
  const python = await scene.python(t, `channel = Channel.create(memory, ${offset}, ${length})`)
  const channel = Channel.open(scene.map, { offset })
  t.is((await python.run('channel.max_length')) as number, channel.maxLength)
  channel.send('hello')
  t.is(await python.run(`Channel.open_or_create(memory, ${offset}).receive().decode()`), 'hello')
})

withPython('Python processes that make a channel at once get the same one', async (t) => {
  const scene = new Scene(t)
  const pythons = [await scene.python(t), await scene.python(t)]
  const { offset, length } = TO_CLIENT
  const opening = Channel.openAsync(scene.map, { offset })
  const make = `Channel.open_or_create(memory, ${offset}, ${length}).send(b'mine')`
  const making = pythons.map((python) => python.run(make))
  Channel.openOrCreate(scene.map, TO_CLIENT).send('mine')
  await Promise.all(making)
  const channel = (await opening)!
  for (let i = 0; i < 3; i++) t.is(channel.receive()?.toString(), 'mine')
})

withPython('Python makes the channel that a killed process had begun to make', async (t) => {
  const scene = new Scene(t)
  const { offset } = TO_CLIENT
  const maker = await scene.python(t, `lock = Mutex(memory, ${offset} + 448); lock.lock()`)
  const next = await scene.python(t)
  const made = next.run(`Channel.open_or_create(memory, ${offset}).send(b'made')`)
  await untilAsleep(next.pid)
  await maker.kill()
  t.true(await made)
  t.is(Channel.open(scene.map, { offset }).receive()?.toString(), 'made')
})

/** Waits until somebody waits for an event of a channel; its count then, which grows only when they are woken. */
async function awaited(scene: Scene, event: number): Promise<bigint> {
  await until(() => scene.word(event) % 2n === 1n)
  return scene.word(event)
}

withPython('Python wakes whoever waits for a message', async (t) => {
  const scene = new Scene(t)
  const inbox = Channel.create(scene.map, FROM_CLIENT)
  const python = await scene.python(t, `outbox = Channel(memory, ${FROM_CLIENT.offset})`)
  const filled = FROM_CLIENT.offset + 320
  const receiving = inbox.receiveAsync()
  const before = await awaited(scene, filled)
  await python.run('outbox.send(b"hello")')
  t.is(String(await receiving), 'hello')
  t.true(scene.word(filled) > before)
})

withPython('Python wakes whoever waits for room', async (t) => {
  const scene = new Scene(t)
  const outbox = Channel.create(scene.map, TO_CLIENT)
  const python = await scene.python(t, `inbox = Channel(memory, ${TO_CLIENT.offset})`)
  const emptied = TO_CLIENT.offset + 384
  while (outbox.trySend(Buffer.alloc(1000))) continue
  const sending = outbox.sendAsync(Buffer.alloc(1000))
  const before = await awaited(scene, emptied)
  while (scene.word(emptied) === before) t.is(await python.run('len(inbox.receive(60))'), 1000)
  t.true(await sending)
})

withPython('a value that Python begins to write takes the number of the one whose place it takes', async (t) => {
  const scene = new Scene(t)
  const python = await scene.python(t, OPEN_LATEST)
  const latest = new Latest(scene.map, VALUE)
  for (let i = 1; i <= 3; i++) t.true(await python.run(`latest.write(b'value ${i}')`))
  const numberOfFirst = VALUE.offset + 64 + 16 + latest.maxLength
  t.is(scene.word(numberOfFirst), 1n)
  await python.run("latest._begin(b'value 4')") // as write does, before others see it
  t.is(scene.word(numberOfFirst), 0n, 'who still copies the first finds its number gone')
  t.is(String(latest.read()), 'value 3')
})

withPython('a channel that Python makes anew begins behind all that users of the old one remember', async (t) => {
  const scene = new Scene(t)
  const { offset, length } = TO_CLIENT
  const channel = Channel.create(scene.map, TO_CLIENT)
  for (let i = 0; i < 50; i++) {
    channel.send(Buffer.alloc(1000, i))
    t.is(channel.receive()?.length, 1000)
  }
  const head = offset + 128
  const before = scene.word(head)
  const python = await scene.python(t, `channel = Channel.create(memory, ${offset}, ${length})`)
  t.true(scene.word(head) >= before + BigInt(length), `${scene.word(head)} after ${before}`)
  channel.send('hello')
  t.is(await python.run('channel.receive().decode()'), 'hello', 'whoever had the old one goes on with the new one')
})

/** Has a line of Python fail with an error that says so. */
type Refused = (line: string, message: RegExp) => Promise<unknown>

/** Declares a test of what Python refuses. */
function pythonRefuses(
  what: string,
  run: (t: ExecutionContext, scene: Scene, python: Peer, refused: Refused) => unknown,
) {
  withPython(`Python refuses ${what}`, async (t) => {
    const scene = new Scene(t)
    const python = await scene.python(t)
    await run(t, scene, python, (line, message) => t.throwsAsync(python.run(line), { message }))
  })
}

pythonRefuses(
  'a mutex that is locked twice, unlocked twice, or not all in the memory',
  async (_t, _scene, python, refused) => {
    await python.run('mutex.lock()')
    await refused('mutex.lock()', /RuntimeError.*deadlock/)
    await python.run('mutex.unlock()')
    await refused('mutex.unlock()', /RuntimeError.*not held/)
    await refused('Mutex(memory, 4)', /ValueError.*multiple of 8/)
    await refused('Mutex(memory, 65536)', /ValueError/)
  },
)

pythonRefuses('a second receiver in the same process', async (_t, _scene, python, refused) => {
  await python.run(`first = Channel.create(memory, ${FROM_CLIENT.offset}, ${FROM_CLIENT.length})`)
  await python.run(`second = Channel(memory, ${FROM_CLIENT.offset})`)
  await python.run('first.receive(0)')
  await refused('second.receive(0)', /Busy.*another channel object/)
  await python.run('first.stop_receiving(); second.receive(0)')
})

pythonRefuses(
  'a channel that is too short or not aligned, and a message that is too long',
  async (_t, _scene, python, refused) => {
    await refused('Channel.create(memory, 4096, 600)', /ValueError.*640/)
    await refused('Channel.create(memory, 4100)', /ValueError/)
    await python.run(`channel = Channel.create(memory, ${TO_CLIENT.offset}, ${TO_CLIENT.length})`)
    await refused('channel.send(bytes(channel.max_length + 1))', /ValueError/)
  },
)

pythonRefuses('values that are too long, and damaged ones', async (_t, scene, python, refused) => {
  await refused('Latest(memory, 49152, 100)', /ValueError.*136/)
  await python.run('latest = Latest(memory, 49152, 304)')
  await refused('latest.write(bytes(65))', /ValueError.*64/)
  await refused('Latest(memory, 49152, 400)', /Damaged.*length/)
  scene.setWord(49_152 + 16, 7n) // a number whose slot is not written
  await refused('latest.read()', /Damaged/)
})

pythonRefuses('memory without a channel, and a damaged one', async (t, scene, python, refused) => {
  await refused('Channel(memory, 4096)', /Damaged.*no channel/)
  Channel.create(scene.map, TO_CLIENT).send('hello')
  await python.run('channel = Channel(memory, 4096)')
  const [magic, head, tail] = [TO_CLIENT.offset, TO_CLIENT.offset + 128, TO_CLIENT.offset + 192]
  for (const [word, damage] of [
    [head, 2n ** 63n],
    [tail, 3n],
  ] as const) {
    const before = scene.word(word)
    scene.setWord(word, damage)
    await refused('channel.receive(0)', /Damaged/)
    await refused('channel.send(b"1", 0)', /Damaged/)
    scene.setWord(word, before)
  }
  t.is(await python.run('channel.receive(0).decode()'), 'hello')
  scene.setWord(magic, 0n)
  await refused('Channel(memory, 4096)', /Damaged/)
})

pythonRefuses('memory that it has closed', async (_t, _scene, python, refused) => {
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

/** The client in Rust, which is built once. */
let built: string | undefined

function rustClient(): string {
  if (built !== undefined) return built
  const args = ['build', '--quiet', '--locked', '--manifest-path', 'clients/rust/Cargo.toml', '--target-dir', 'target']
  execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })
  return (built = `${root}target/debug/memory-map-client`)
}

withCargo('a Rust program counts with Node, and replies to messages', async (t) => {
  const scene = new Scene(t)
  for (const range of [TO_CLIENT, FROM_CLIENT]) Channel.create(scene.map, range).close()
  const rust = ending(start(rustClient(), [scene.file, String(TIMES)]), 540_000)
  scene.count(TIMES)
  await echoed(t, scene)
  t.like(await rust, { code: 0, stdout: 'recovered: 0\n', stderr: '' })
  t.is(scene.word(NUMBER), BigInt(2 * TIMES))
})

withCargo('a Rust program gets the mutex of a process that was killed', async (t) => {
  const scene = new Scene(t)
  const [toRust] = [TO_CLIENT, FROM_CLIENT].map((range) => Channel.create(scene.map, range))
  const node = await scene.node(t, 'mutex.lock()')
  const rust = start(rustClient(), [scene.file, '1'])
  const ended = ending(rust)
  await untilAsleep(rust.pid!)
  await node.kill()
  toRust!.send('')
  t.like(await ended, { code: 0, stdout: 'recovered: 1\n' })
})

withCargo('a Rust program ends with an error if there is no such file', async (t) => {
  t.is((await run(rustClient(), ['/does/not/exist', '1'])).code, 1)
})
