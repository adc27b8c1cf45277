// What a user's program may write, and what it may not. Nothing runs this file: it is compiled (`npm run lint:types`,
// ../types.spec.ts), and every `@ts-expect-error` must be over an error.

import { open } from 'node:fs/promises'

import {
  type Advice,
  allocationGranularity,
  type AnonymousMapOptions,
  type FaultKind,
  type FileMapOptions,
  type FileSource,
  type Kind,
  mapAnonymous,
  listSharedMemory,
  mapPrivate,
  mapShared,
  MemoryFaultError,
  type MemoryFault,
  MemoryMap,
  type NamedMemory,
  openSharedMemory,
  pageSize,
  type Protection,
  type Range,
  type SharedMapOptions,
  unlinkSharedMemory,
} from 'memory-map'
import {
  Barrier,
  Channel,
  Condition,
  Event,
  Mutex,
  notify,
  Queue,
  QueueMessage,
  Rpc,
  Semaphore,
  wait,
  waitAsync,
} from 'memory-map/sync'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Does not compile where the two types are not exactly the same. */
function same<A, B>(_: Same<A, B>): void {}

// ---- What a mapping gives

export function views(): void {
  const map = mapShared('file')
  same<typeof map, MemoryMap<ArrayBuffer>>(true)
  same<typeof map.buffer, Buffer<ArrayBuffer>>(true)
  same<typeof map.arrayBuffer, ArrayBuffer>(true)
  const view = map.view(0, 10n)
  same<typeof view, Buffer<ArrayBuffer>>(true)
  const copy = map.read(0n, 10)
  same<typeof copy, Buffer<ArrayBuffer>>(true)
  const floats = map.typedArray(Float64Array, 8, 3)
  same<typeof floats, Float64Array<ArrayBuffer>>(true)
  const wide = map.typedArray(BigUint64Array)
  same<typeof wide, BigUint64Array<ArrayBuffer>>(true)
  const data = map.dataView(1)
  same<typeof data, DataView<ArrayBuffer>>(true)
  const written = map.write(new Uint8Array(2), 5n)
  same<typeof written, number>(true)
  // @ts-expect-error the check itself can fail
  same<typeof map.buffer, Buffer<SharedArrayBuffer>>(true)
  // @ts-expect-error not a constructor of views
  map.typedArray(Map)
  // @ts-expect-error a string is not bytes
  map.write('text')
}

class Pixels extends Uint8ClampedArray {
  readonly channels = 4
}

/** Code for both backings. */
export function generic<B extends ArrayBuffer | SharedArrayBuffer>(map: MemoryMap<B>): Float32Array<B> {
  return map.typedArray(Float32Array)
}

export function sharedViews(): void {
  const backing = 'shared-array-buffer'
  for (const map of [mapShared('file', { backing }), mapPrivate('file', { backing }), mapAnonymous(1, { backing })]) {
    same<typeof map, MemoryMap<SharedArrayBuffer>>(true)
    same<typeof map.buffer, Buffer<SharedArrayBuffer>>(true)
    same<typeof map.arrayBuffer, SharedArrayBuffer>(true)
    const words = map.typedArray(Int32Array)
    same<typeof words, Int32Array<SharedArrayBuffer>>(true)
    const pixels = map.typedArray(Pixels)
    same<typeof pixels, Pixels>(true)
    const copy = map.read()
    same<typeof copy, Buffer<ArrayBuffer>>(true)
  }
  const memory = openSharedMemory('/name', { create: true, length: 4096, exclusive: true, backing })
  same<typeof memory.buffer, Buffer<SharedArrayBuffer>>(true)
  const plain = openSharedMemory('/name')
  same<typeof plain.buffer, Buffer<ArrayBuffer>>(true)
  unlinkSharedMemory('/name')
  openSharedMemory('/name', { create: true, temporary: true, length: 4096n })
  const names = listSharedMemory()
  same<typeof names, NamedMemory[]>(true)
  // @ts-expect-error it is only told
  names[0]!.inUse = false
  const either = mapShared('file', { backing: Math.random() < 0.5 ? 'array-buffer' : backing })
  same<typeof either, MemoryMap<ArrayBuffer | SharedArrayBuffer>>(true)
}

export function properties(map: MemoryMap): void {
  same<typeof map.kind, Kind>(true)
  same<Kind, 'shared' | 'private' | 'anonymous'>(true)
  same<typeof map.length, number>(true)
  same<typeof map.offset, number>(true)
  same<typeof map.protection, Protection>(true)
  same<typeof map.path, string | undefined>(true)
  same<typeof map.fd, number | undefined>(true)
  same<typeof map.address, bigint>(true)
  same<typeof map.closed, boolean>(true)
  same<typeof map.faults, number>(true)
  same<typeof pageSize, number>(true)
  same<typeof allocationGranularity, number>(true)
  // @ts-expect-error read-only
  map.length = 5
  // @ts-expect-error read-only
  map.closed = true
  // @ts-expect-error made by functions only
  new MemoryMap()
}

// ---- What makes one

export async function sources(): Promise<void> {
  await using handle = await open('file')
  const files: FileSource[] = ['file', Buffer.from('file'), new URL('file:///file'), 5, handle]
  for (const file of files) mapShared(file)
  // @ts-expect-error no file
  mapShared()
  // @ts-expect-error no file
  mapShared(null)
  // @ts-expect-error a descriptor is a number
  mapPrivate(5n)
  // @ts-expect-error a length is a number
  mapAnonymous('4096')
  mapAnonymous(2n ** 40n)
}

export function options(): void {
  const shared: SharedMapOptions = {
    offset: 5n,
    length: 10,
    protection: 'read-write',
    create: true,
    mode: 0o600,
    allocate: true,
    populate: true,
    reserve: false,
    address: 0x10000n,
    advice: 'sequential',
    backing: 'array-buffer',
    guard: true,
    onFault: undefined,
  }
  mapShared('file', shared)
  mapShared('file', Object.freeze(shared))
  const file: FileMapOptions = { offset: 1, length: undefined }
  mapPrivate('file', file)
  const anonymous: AnonymousMapOptions = { shared: true, hugePages: 'transparent' }
  mapAnonymous(1, anonymous)

  // @ts-expect-error read-only
  shared.offset = 6
  // @ts-expect-error read-only
  file.length = 6
  // @ts-expect-error read-only
  anonymous.shared = false

  // @ts-expect-error misspelt
  mapShared('file', { ofset: 1 })
  // @ts-expect-error not a protection
  mapShared('file', { protection: 'write' })
  // @ts-expect-error an address is a bigint
  mapShared('file', { address: 4096 })
  // @ts-expect-error not a kind of memory
  mapShared('file', { backing: 'heap' })
  // @ts-expect-error not advice
  mapShared('file', { advice: 'soon' })
  // @ts-expect-error a private mapping creates nothing
  mapPrivate('file', { create: true })
  // @ts-expect-error memory has no offset
  mapAnonymous(1, { offset: 1 })
  // @ts-expect-error a file is shared by its name
  mapShared('file', { shared: true })
  // @ts-expect-error null is not undefined
  mapShared('file', { length: null })
}

// ---- Faults

export function faults(map: MemoryMap): void {
  mapShared('file', {
    onFault(fault) {
      same<typeof fault, MemoryFault>(true)
      same<typeof fault.kind, FaultKind>(true)
      same<FaultKind, 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'>(true)
      const { offset, length, contained } = fault
      same<[typeof offset, typeof length, typeof contained], [number, number, boolean]>(true)
      fault.map.close()
      // @ts-expect-error read-only
      fault.offset = 0
    },
  })
  // @ts-expect-error it is given a fault
  mapAnonymous(1, { onFault: (text: string) => text })
  try {
    map.check()
  } catch (error) {
    if (!(error instanceof MemoryFaultError)) throw error
    same<typeof error.code, 'ERR_MMAP_FAULT'>(true)
    same<typeof error.fault, MemoryFault>(true)
  }
}

// ---- Methods

export async function methods(map: MemoryMap, signal: AbortSignal): Promise<void> {
  const range: Range = { offset: 0, length: 4096n }
  same<Awaited<ReturnType<typeof map.sync>>, void>(true)
  await map.sync()
  await map.sync({ ...range, signal, invalidate: true })
  map.syncSync(range)
  // @ts-expect-error it cannot be aborted
  map.syncSync({ signal })
  map.protect('read', range)
  // @ts-expect-error not a protection
  map.protect('rw')
  const advice: Advice = 'willneed'
  map.advise(advice, range)
  same<ReturnType<typeof MemoryMap.supports>, boolean>(true)
  await map.prefetch({ signal })
  map.lock({ onFault: true })
  map.unlock()
  same<ReturnType<typeof map.residency>['bitmap'], Uint8Array>(true)
  map.resize(10n)
  same<ReturnType<typeof map.indexOf>, number>(true)
  for (const line of map.lines()) same<typeof line, Buffer<ArrayBuffer>>(true)
  // @ts-expect-error read-only
  range.offset = 5
  map.close()
}

export function disposal(): void {
  using map = mapAnonymous(4096)
  map.buffer.fill(1)
  same<(typeof map)[typeof Symbol.dispose], () => void>(true)
}

// ---- Between processes

export async function between(map: MemoryMap<SharedArrayBuffer>): Promise<void> {
  const woken = wait(map, 0, 5, 100)
  same<typeof woken, 'ok' | 'not-equal' | 'timed-out'>(true)
  same<Awaited<ReturnType<typeof waitAsync>>, 'ok' | 'not-equal' | 'timed-out'>(true)
  notify(map, 0)
  const mutex = new Mutex(map, 64)
  const locked = mutex.lock()
  same<typeof locked, 'acquired' | 'recovered'>(true)
  const timed = await mutex.lockAsync(5)
  same<typeof timed, 'acquired' | 'recovered' | 'timed-out'>(true)
  mutex.unlock()
  new Semaphore(map, 128, 3).release()
  const happened = await new Event(map, 192).waitAsync({ timeout: 5 })
  same<typeof happened, boolean>(true)
  const condition = new Condition(map, 200)
  const told = condition.wait(mutex)
  same<typeof told, 'ok' | 'recovered'>(true)
  const toldInTime = await condition.waitForAsync(mutex, () => true, { timeout: 5 })
  same<typeof toldInTime, 'ok' | 'recovered' | 'timed-out'>(true)
  const barrier = new Barrier(map, 256, 3)
  const index = await barrier.waitAsync()
  same<typeof index, number>(true)
  const met = barrier.wait(5)
  same<typeof met, number | 'timed-out'>(true)
  for await (const message of Channel.create(map)) same<typeof message, Buffer>(true)
  same<Awaited<ReturnType<typeof Channel.openAsync>>, Channel | undefined>(true)
  const opened = await Channel.openAsync(map, { signal: AbortSignal.timeout(5) })
  same<typeof opened, Channel>(true)
  const borrowed = await opened.borrowAsync(5)
  same<typeof borrowed, Buffer | undefined>(true)
  for await (const message of Queue.openOrCreate(map)) same<typeof message, QueueMessage>(true)
  same<Awaited<ReturnType<typeof Rpc.openAsync>>, Rpc | undefined>(true)
  const rpc = Rpc.openOrCreate(map, { clients: 4 })
  void rpc.serve((request) => request.toString(), { concurrency: 3 })
  void rpc.serve(async (request) => new Float64Array(request.length))
  // @ts-expect-error no reply
  void rpc.serve(() => 5)
  const reply = await rpc.call('request', { timeout: 5 })
  same<typeof reply, Buffer>(true)
  // @ts-expect-error no mapping
  new Mutex(new SharedArrayBuffer(8), 0)
}
