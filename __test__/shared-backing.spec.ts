// Views on shared memory of the engine: `backing: 'shared-array-buffer'`.

import { readFileSync } from 'node:fs'

import test from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryFault, type MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { byScript } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { turns, until } from './helpers/until.ts'

const backing = 'shared-array-buffer'
const contents = pattern(3 * pageSize + 100)

/** Lets the loop turn until `done`, and some times more. */
async function eventually(done: () => boolean): Promise<void> {
  await until(done)
  await turns()
}

type Shared = MemoryMap<SharedArrayBuffer>

const makers: [what: string, make: (path: string, onFault?: (fault: MemoryFault) => void) => Shared][] = [
  ['a shared', (path, onFault) => mapShared(path, { backing, protection: 'read-write', onFault })],
  [
    'a shared (from inside a page)',
    (path, onFault) => mapShared(path, { backing, protection: 'read-write', offset: 77, onFault }),
  ],
  ['a private', (path, onFault) => mapPrivate(path, { backing, onFault })],
  ['an anonymous', (_path, onFault) => mapAnonymous(contents.length, { backing, onFault })],
]

for (const [what, make] of makers) {
  test(`all views of ${what} mapping are on one SharedArrayBuffer`, (t) => {
    using map = make(scratchFile(t, contents))
    const { buffer, arrayBuffer } = map
    t.true(arrayBuffer instanceof SharedArrayBuffer)
    const views = [buffer, map.view(5, 5), map.typedArray(Uint8Array), map.dataView()]
    for (const view of views) t.is(view.buffer, arrayBuffer)
    t.is(buffer.length, map.length)
    t.is(map.buffer, buffer)
    if (map.kind !== 'anonymous') t.is(Buffer.compare(buffer, contents.subarray(map.offset)), 0)
    buffer[7] = 200
    t.is(map.read(7, 1)[0], 200)
    map.write(Buffer.of(9), 8)
    t.is(buffer[8], 9)
  })

  test(`after close the views of ${what} mapping read zeros, and their first use is one fault`, async (t) => {
    const told: MemoryFault[] = []
    const map = make(scratchFile(t, contents), (fault) => told.push(fault))
    map.buffer.fill(7)
    const { buffer } = map
    const view = map.view(pageSize + 10, 10)
    map.close()
    await turns()
    t.is(map.faults, 0, 'nobody has used them yet')
    t.is(view[3], 0)
    t.is(map.faults, 1)
    t.true(buffer.every((byte) => byte === 0))
    view.fill(1)
    await eventually(() => told.length > 0)
    t.is(map.faults, 1)
    t.deepEqual(
      told.map(({ kind, contained, map: of }) => [kind, contained, of === map]),
      [['closed', true, true]],
    )
    t.true(told[0]!.offset <= pageSize + 13)
    t.throws(() => map.buffer, { code: 'ERR_MMAP_CLOSED' })
    t.notThrows(() => map.close())
  })

  test(`views of ${what} mapping that are not used after close are no fault`, async (t) => {
    const map = make(scratchFile(t, contents), () => t.fail())
    const { buffer } = map
    map.close()
    await turns()
    t.is(map.faults, 0)
    t.is(buffer.length, contents.length - map.offset)
  })

  test(`${what} mapping can be resized; what was there before reads zeros`, (t) => {
    const path = scratchFile(t, contents)
    using map = make(path, () => {})
    map.buffer.fill(7)
    const { buffer } = map
    for (const length of [pageSize, contents.length - 100, 10]) {
      map.resize(length)
      t.is(map.buffer.length, length)
      t.true(map.buffer.subarray(0, 10).every((byte) => byte === 7))
    }
    t.true(buffer.every((byte) => byte === 0))
    t.true(map.buffer.every((byte) => byte === 7))
  })

  test(`a store to a read-only page of ${what} mapping is contained`, async (t) => {
    const told: string[] = []
    using map = make(scratchFile(t, contents), ({ kind }) => told.push(kind))
    map.buffer.fill(7)
    map.protect('read')
    map.buffer[5] = 1
    t.is(map.faults, 1)
    await eventually(() => told.length > 0)
    t.deepEqual(told, ['protection'])
    t.is(map.buffer[5], 7)
    t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  })
}

test('stores reach the file, or not, as with the other backing', async (t) => {
  const path = scratchFile(t, contents)
  using shared = mapShared(path, { backing, protection: 'read-write' })
  using own = mapPrivate(path, { backing })
  own.buffer[0] = 1
  shared.buffer[1] = 2
  await shared.sync()
  t.deepEqual([...readFileSync(path).subarray(0, 2)], [contents[0], 2])
})

test('an empty mapping has an empty buffer', (t) => {
  using map = mapShared(scratchFile(t, ''), { backing })
  t.true(map.arrayBuffer instanceof SharedArrayBuffer)
  t.is(map.buffer.length, 0)
})

test('the type of a view says what it is on', (t) => {
  const path = scratchFile(t, contents)
  using shared = mapShared(path, { backing: 'shared-array-buffer' })
  using plain = mapShared(path)
  const one: Buffer<SharedArrayBuffer> = shared.buffer
  const two: Buffer<ArrayBuffer> = plain.buffer
  // @ts-expect-error the types differ
  const three: Buffer<ArrayBuffer> = shared.buffer
  t.deepEqual([one.length, two.length], [three.length, three.length])
})

test('another backing is refused, with the name of the nearest', (t) => {
  throwsCodedError(t, () => mapAnonymous(1, { backing: 'shared-arraybuffer' as never }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    says: ["'shared-array-buffer'"],
  })
})

if (process.version.startsWith('v20.')) {
  test('what Node 20 cannot make in one piece is refused, with what to do', (t) => {
    const path = sparseFile(t, 2 ** 32 + pageSize)
    throwsCodedError(t, () => mapShared(path, { backing }), {
      instanceOf: RangeError,
      code: 'ERR_MMAP_TOO_LARGE',
      says: ["'array-buffer'"],
    })
  })
}

const start = `
const path = workerData?.path ?? join(folder(), 'file')
const length = 1 << 20
const backing = 'shared-array-buffer'
const options = { backing, protection: 'read-write', onFault: ({ kind }) => told.push(kind) }
const told = []
if (isMainThread) fs.writeFileSync(path, Buffer.alloc(length, 65))
const post = (data) => {
  const worker = new Worker(new URL(import.meta.url), { workerData: { path, ...data } })
  worker.on('error', (error) => check(false, 'a worker: ' + (error?.stack ?? error?.message ?? error)))
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  return { worker, exit, message: new Promise((resolve) => worker.once('message', resolve)) }
}
`

const sharing = `
if (isMainThread) {
  const maps = [] // of one that was collected nothing is told
  for (const make of [() => mapShared(path, options), () => mapPrivate(path, options), () => mapAnonymous(length, options)]) {
    fs.writeFileSync(path, Buffer.alloc(length, 65))
    const map = make()
    const { buffer } = map
    const cell = map.typedArray(Int32Array, 8192, 2)
    const { worker, exit, message } = post({ buffer })
    check(Atomics.wait(cell, 0, cell[0], 10_000) !== 'timed-out', 'the worker wakes the main thread')
    check(buffer[100] === 7, 'what the worker stores is here')
    buffer[101] = 8
    Atomics.store(cell, 1, 5)
    Atomics.notify(cell, 1)
    check((await message) === 8, 'what is stored here is in the worker')
    await exit
    if (map.kind === 'shared') check(fs.readFileSync(path)[100] === 7, 'and in the file')
    if (map.kind === 'private') check(fs.readFileSync(path)[200] === 65, 'and not in the file')
    map.close()
    check(areasOf(path) === 0 && descriptorsOf(path) === 0, 'close lets go of the file')
    check(buffer[100] === 0, 'and leaves zeros')
    maps.push(map)
  }
  await until(() => told.length > 2)
  check(told.join() === 'closed,closed,closed', told)
  check(maps.every(({ faults }) => faults === 1), 'and each has had one')
} else {
  const { buffer } = workerData
  check(buffer.buffer instanceof SharedArrayBuffer, 'the memory is shared')
  const cell = new Int32Array(buffer.buffer, buffer.byteOffset + 8192, 2)
  buffer[100] = 7
  buffer[200] = 66
  const last = cell[1]
  Atomics.add(cell, 0, 1)
  while (Atomics.notify(cell, 0) === 0) await turn(5)
  Atomics.wait(cell, 1, last, 10_000)
  parentPort.postMessage(buffer[101])
}
`

/** The memory outlives the worker that mapped it. */
const outliving = `
if (isMainThread) {
  for (const how of ['naturally', 'exit', 'terminate', 'busy']) {
    for (const closes of [false, true]) {
      const { worker, exit, message } = post({ how, closes })
      const buffer = await message
      if (how === 'terminate' || how === 'busy') await worker.terminate()
      await exit
      for (let i = 0; i < 4; i++) {
        collect()
        await turn(5)
        for (let at = 0; at < length; at += 4096) check(buffer[at] === (closes ? 0 : 65), how + ' ' + closes + ' ' + buffer[at])
      }
      if (!closes) {
        buffer[5] = 70
        check(fs.readFileSync(path)[5] === 70, how + ': stores still reach the file')
        buffer[5] = 65
      }
    }
  }
  for (let i = 0; i < 5; i++) {
    collect()
    await turn(5)
  }
  check(await until(() => areasOf(path) === 0), 'the memory goes when no thread can reach it: ' + areasOf(path))
} else {
  const { how, closes } = workerData
  const map = mapShared(path, options)
  globalThis.kept = map
  const { buffer } = map
  check(buffer[9] === 65, 'the mapping has its bytes')
  if (closes) map.close()
  parentPort.postMessage(buffer)
  await turn(5)
  if (how === 'exit') process.exit()
  if (how === 'terminate') setInterval(() => {}, 1000)
  if (how === 'busy') stayBusy()
}
`

/** Nobody closes; other threads use the memory after the mapping was collected here. */
const collected = `
if (isMainThread) {
  const { worker, message } = (() => {
    const map = mapShared(path, options)
    return post({ buffer: map.buffer })
  })()
  for (let i = 0; i < 10; i++) {
    collect()
    await turn(5)
  }
  check(areasOf(path) > 0, 'the worker holds it')
  worker.postMessage('go')
  check((await message) === 65 * 256, 'the worker reads it')
  await worker.terminate()
  check(await until(() => areasOf(path) === 0), 'nobody holds it')
} else {
  const { buffer } = workerData
  await new Promise((resolve) => parentPort.once('message', resolve))
  let sum = 0
  for (let at = 0; at < length; at += 4096) sum += buffer[at]
  buffer[3] = 66
  check(fs.readFileSync(path)[3] === 66, 'and stores to it')
  parentPort.postMessage(sum)
}
`

/** Workers read while the file is truncated. */
const truncated = `
if (isMainThread) {
  const map = mapShared(path, options)
  const { buffer } = map
  const workers = [post({ buffer }), post({ buffer })]
  fs.truncateSync(path, 4096)
  for (const { message } of workers) check((await message) === 'read', 'the worker lives')
  check(buffer[0] === 65 && buffer[length - 1] === 0 && map.faults >= 1, 'loads give zeros')
  await until(() => told.length > 0)
  check(told.length >= 1 && told.every((kind) => kind === 'beyond-end'), told)
} else {
  const { buffer } = workerData
  for (let i = 0; i < 300; i++) {
    for (let at = 0; at < length; at += 4096) check(buffer[at] === 65 || buffer[at] === 0, 'a byte or zero')
    if (i % 30 === 0) await turn()
  }
  parentPort.postMessage('read')
}
`

/** WebAssembly puts its guard pages where mappings were; its traps must stay traps. */
const trapping = `
const bytes = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 8, 1, 4, 108, 111, 97, 100, 0, 0,
  10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11,
])
for (let round = 0; round < 20; round++) {
  ;(() => {
    const maps = Array.from({ length: 20 }, () => mapShared(path, options))
    for (const map of maps) check(map.buffer[0] === 65, 'a mapping')
    for (const map of maps.slice(0, 10)) map.close()
  })()
  for (let i = 0; i < 4; i++) {
    collect()
    await turn(1)
  }
  const { load } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
  check(load(0) === 0, 'WebAssembly loads')
  for (const address of [65536, 1 << 20, 0x7fffffff, -1]) {
    let trap
    try {
      load(address)
    } catch (error) {
      trap = error
    }
    check(trap instanceof WebAssembly.RuntimeError, 'an address out of bounds is a trap: ' + address)
  }
}
`

const cycling = `
const before = areas().length
let most = 0
const cycles = isBun || isDeno ? 20_000 : 100_000
fs.truncateSync(path, 4096)
for (let i = 0; i < cycles; i++) {
  const map = mapShared(path, options)
  if (map.view(5, 5)[0] !== 65) check(false, 'a byte')
  map.close()
  if (i % 1000 === 0) most = Math.max(most, areas().length)
}
check(most < before + 5000, most + ' areas, after ' + before)
check(descriptorsOf(path) === 0, 'no descriptor is left')
const ours = () => areas().filter(({ access, name }) => access.startsWith('---') && name === '').length
check(await until(() => areasOf(path) === 0 && ours() < 100), ours() + ' areas are left')
`

const wrongPlace = `
if (isMainThread) {
  check((await post({}).message) === 'ERR_MMAP_UNSUPPORTED', 'a worker says what it cannot')
  check(mapAnonymous(4096, options).buffer.length === 4096, 'the main thread can')
} else {
  let code
  try {
    mapAnonymous(4096, options)
  } catch (error) {
    code = error.code
  }
  parentPort.postMessage(code)
}
`

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  const scripts: [title: string, script: string][] = [
    ['worker threads have the same memory, with Atomics', sharing],
    ['memory that was collected here serves on in other threads', collected],
    ['workers live when the file is truncated', truncated],
    ['WebAssembly still traps where mappings were', trapping],
    ['many cycles of opening and closing leave nothing', cycling],
    runtime.name === 'deno'
      ? ['a worker cannot map so, and says it', wrongPlace]
      : ['memory outlives the worker that mapped it', outliving],
  ]
  for (const [title, script] of scripts) {
    byScript(script).serial(`${title}, ${where}`, async (t) => {
      await endsWell(t, runtime, start + script)
    })
  }
}
