// The objects of hostile calls: mappings, objects of the other classes in them, and correct arguments.

import fs from 'node:fs'
import { join } from 'node:path'

const root = new URL('../../', import.meta.url).href
export const main = await import(`${root}index.js`)
export const modules = { index: main, sync: await import(`${root}sync.js`) }
const { mapAnonymous, mapPrivate, mapShared, openSharedMemory, pageSize } = main
const { Barrier, Broadcast, Channel, Condition, Event, Latest, Mutex, Queue, Rpc, RwLock, Semaphore } = modules.sync

/** The name of named memory. */
export const NAME = `hostile-${process.pid}`
const path = join(process.cwd(), 'mapped')
const LENGTH = 4 * pageSize

const rw = { protection: 'read-write', onFault() {} }
export const KINDS = {
  shared: () => mapShared(path, rw),
  private: () => mapPrivate(path, { ...rw, offset: 5 }),
  anonymous: () => mapAnonymous(LENGTH, rw),
  'shared memory': () => mapAnonymous(LENGTH, { ...rw, shared: process.platform !== 'win32' }),
  'named memory': () => openSharedMemory(NAME, { ...rw, create: true, length: LENGTH }),
  'shared backing': () => mapShared(path, { ...rw, backing: 'shared-array-buffer' }),
  'read-only': () => mapShared(path),
  'not kept open': () => mapShared(path, { ...rw, keepOpen: false }),
  empty: () => mapAnonymous(0, rw),
  closed() {
    const map = mapAnonymous(LENGTH, rw)
    map.close()
    return map
  },
}
/** Mappings that locks and channels can be in. */
export const SHARED = ['shared', 'shared memory', 'named memory', 'shared backing']

export function makeFixture(kind) {
  if (!fs.existsSync(path) || fs.statSync(path).size !== LENGTH) {
    fs.writeFileSync(path, Buffer.alloc(LENGTH, 'abc\n'))
  }
  const map = KINDS[kind]()
  const opened = [map]
  const quietly = (act) => {
    try {
      act()
    } catch {
      // The mapping cannot be changed any more, which is as good.
    }
  }
  return {
    map,
    opened,
    close: () => quietly(() => map.close()),
    resize: (length) => quietly(() => map.resize(length)),
    closed() {
      const other = KINDS.closed()
      opened.push(other)
      return other
    },
    /** Objects of the other classes, in the same mapping. */
    get channel() {
      const channel = Channel.create(map, { offset: 2048 })
      channel.sendMany(['one', 'two', 'three'])
      Object.defineProperty(this, 'channel', { value: channel })
      return channel
    },
    get event() {
      map.write(Buffer.alloc(64), 128)
      const event = new Event(map, 128)
      event.set()
      return event
    },
    get condition() {
      map.write(Buffer.alloc(64), 192)
      return new Condition(map, 192)
    },
    get barrier() {
      map.write(Buffer.alloc(Barrier.byteLength), 256)
      return new Barrier(map, 256, 1)
    },
    get mutex() {
      map.write(Buffer.alloc(64), 0)
      return new Mutex(map, 0)
    },
    get broadcast() {
      return Broadcast.create(map, { offset: 8192, length: 1024 })
    },
    get receiver() {
      const broadcast = Broadcast.create(map, { offset: 8192, length: 4608, lossless: true })
      const receiver = broadcast.subscribe()
      for (const message of ['one', 'two', 'three']) broadcast.send(message)
      return receiver
    },
    get latest() {
      map.write(Buffer.alloc(512), 1024)
      const latest = new Latest(map, { offset: 1024, length: 512 })
      latest.write('newest')
      return latest
    },
    get queue() {
      const queue = Queue.create(map, { offset: 2048 })
      queue.sendMany(['one', 'two', 'three'])
      return queue
    },
    get rpc() {
      const rpc = Rpc.create(map, { offset: 4096, length: 4096, clients: 2 })
      rpc.serve((request) => request).catch(() => {}) // what is wrong with it its callers see
      return rpc
    },
    get rwlock() {
      map.write(Buffer.alloc(RwLock.byteLength), 512)
      return new RwLock(map, 512)
    },
    get semaphore() {
      map.write(Buffer.alloc(64), 64)
      return new Semaphore(map, 64, 3)
    },
    get laid() {
      return map.into(newMemory(), pageSize)
    },
    end() {
      for (const opened of this.opened) quietly(() => opened.close())
    },
  }
}

/** Makes the condition for which a call would otherwise wait as long as its options say. */
export function prepare(at, { owner, name }) {
  const clients = owner === 'Rpc' ? { clients: 2 } : {}
  if (name === 'openAsync') modules.sync[owner].create(at.map, { length: 4096, ...clients })
}

/** An object of each class. */
export const RECEIVER = {
  MemoryMap: (at) => at.map,
  Broadcast: (at) => at.broadcast,
  BroadcastReceiver: (at) => at.receiver,
  Channel: (at) => at.channel,
  Barrier: (at) => at.barrier,
  Condition: (at) => at.condition,
  Event: (at) => at.event,
  Latest: (at) => at.latest,
  Mutex: (at) => at.mutex,
  Queue: (at) => at.queue,
  QueueMessage: (at) => at.queue.receive(1),
  Rpc: (at) => at.rpc,
  RwLock: (at) => at.rwlock,
  Semaphore: (at) => at.semaphore,
  WasmMapping: (at) => at.laid,
  MemoryFaultError: (at) => new main.MemoryFaultError(faultOf(at)),
}

/** More than a mapping has. */
const newMemory = () => new WebAssembly.Memory({ initial: 8 })

const faultOf = (at) => ({ kind: 'io', offset: 0, length: pageSize, contained: true, map: at.map })

/** Correct arguments by the parameter's name, if its type does not say enough. */
const ARGUMENT = {
  file: () => path,
  name: () => `${NAME}-argument`,
  expected: () => 123,
  timeout: () => 1,
  most: () => 2,
  reserved: (at) => at.channel.reserve(16, 1),
  borrowed: (at) => at.channel.borrow(1),
  fault: faultOf,
  handle: (at) => at.map.handle,
  handler: () => (request) => request,
  mutex: (at) => at.mutex,
  parties: () => 2,
  predicate: () => () => true,
  create: () => true,
  mode: () => 0o600,
  messages: () => ['a', Buffer.from('b')],
  target: () => Buffer.alloc(4096),
  constructor: () => Int32Array,
  memory: newMemory,
  backing: () => 'array-buffer',
  keepOpen: () => true,
  guard: () => true,
}

/** Correct arguments by the parameter's type. */
const TYPED = {
  number: () => 8,
  bigint: () => 8n,
  string: () => 'abc',
  boolean: () => false,
  undefined: () => undefined,
  any: () => 1,
  Uint8Array: () => Uint8Array.of(97, 98),
  Buffer: () => Buffer.from('abc'),
  BufferEncoding: () => 'utf8',
  AbortSignal: () => new AbortController().signal,
  SharedArrayBuffer: () => new SharedArrayBuffer(64),
  MemoryMap: (at) => at.map,
  WasmMemory: newMemory,
  URL: () => new URL(`file://${path}`),
  TypedArrayConstructor: () => Int32Array,
  'NodeJS.ArrayBufferView': () => Uint8Array.of(97, 98),
}

export function right(at, { name, types }) {
  const make = Object.hasOwn(ARGUMENT, name) ? ARGUMENT[name] : undefined
  return make ? make(at) : ofType(at, types)
}

export function ofType(at, type) {
  if (type.is === 'literal') return type.value
  if (type.is === 'union') return ofType(at, type.of[0])
  if (type.is === 'object') return {}
  if (type.is === 'function') return () => {}
  if (type.is === 'array') return [ofType(at, type.of)]
  const make = TYPED[type.name]
  if (!make) throw new Error(`no argument of the type ${type.name} is known here: add one to TYPED`)
  return make(at)
}
