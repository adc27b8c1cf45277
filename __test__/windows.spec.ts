// What is different on Windows, as docs/platforms.md says.

import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'
import {
  allocationGranularity,
  mapAnonymous,
  mapPrivate,
  mapShared,
  MemoryMap,
  openSharedMemory,
  pageSize,
  unlinkSharedMemory,
} from 'memory-map'
import { Mutex, notify, wait, waitAsync } from 'memory-map/sync'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { Reports } from './helpers/faults.ts'
import { onWindows as test } from './helpers/platform.ts'
import { Peer } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { pattern, scratchFile, scratchFolder } from './helpers/scratch.ts'

const contents = pattern(40 * pageSize + 100)
const rw = { protection: 'read-write' } as const
const unsupported = { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' }
const host = runtimes()[0]!

let names = 0
const freshName = () => `mm-test-${process.pid}-${names++}`

// Files

test('mappings start at any byte, although views start at multiples of 64 KiB', (t) => {
  t.is(allocationGranularity, 65_536)
  const path = scratchFile(t, contents)
  for (const offset of [1, pageSize, 65_535, 65_536, 65_537, contents.length - 1]) {
    using map = mapShared(path, { ...rw, offset })
    t.deepEqual(map.buffer, contents.subarray(offset))
    t.is(Number(map.address % 65_536n), offset % 65_536)
    t.is(map.buffer.byteOffset, offset % 65_536)
  }
})

test('fs cannot truncate a mapped file', (t) => {
  const path = scratchFile(t, contents)
  const map = mapShared(path)
  t.throws(() => truncateSync(path, 10))
  t.throws(() => openSync(path, 'w'))
  t.is(statSync(path).size, contents.length)
  t.deepEqual(map.buffer, contents)
  map.close()
  truncateSync(path, 10)
  t.is(statSync(path).size, 10)
})

test('others may read, write, extend and rename a mapped file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, rw)
  t.deepEqual(readFileSync(path), contents)
  const fd = openSync(path, 'r+')
  writeSync(fd, 'from fs', 5000)
  writeSync(fd, 'behind the end', contents.length)
  closeSync(fd)
  t.is(map.buffer.toString('latin1', 5000, 5007), 'from fs')
  t.is(map.length, contents.length)
  renameSync(path, `${path}.moved`)
  map.buffer.write('from the map', 100)
  t.is(readFileSync(`${path}.moved`, 'latin1').slice(100, 112), 'from the map')
  t.false(existsSync(path))
})

test('create makes a file, and resize extends it while it is mapped', (t) => {
  const path = join(scratchFolder(t), 'made')
  using map = mapShared(path, { ...rw, create: true, length: 100 })
  map.buffer.write('first')
  for (const length of [200, pageSize, 70_000, 1_000_000, 300, 2_000_000]) {
    map.resize(length)
    t.is(map.length, length)
    map.buffer[length - 1] = 0xaa
    t.is(map.buffer.toString('latin1', 0, 5), 'first')
  }
  t.is(statSync(path).size, 2_000_000)
  t.is(readFileSync(path)[999_999], 0xaa)
  t.is(readFileSync(path)[1_999_999], 0xaa)
})

test('a mapping has no descriptor', (t) => {
  using map = mapShared(scratchFile(t, contents))
  t.is(map.fd, undefined)
})

test('shared anonymous memory is refused', (t) => {
  throwsCodedError(t, () => mapAnonymous(10, { shared: true }), { ...unsupported, says: ['shared memory by a name'] })
})

test('a descriptor is mapped for what it was opened for', (t) => {
  const path = scratchFile(t, contents)
  const reader = openSync(path, 'r')
  mapShared(reader)[Symbol.dispose]()
  throwsSystemError(t, () => mapShared(reader, rw), { code: 'EACCES', syscall: 'mmap' })
  closeSync(reader)
  const writer = openSync(path, constants.O_RDWR)
  using map = mapShared(writer, rw)
  closeSync(writer)
  map.buffer[0] = 99
  t.is(readFileSync(path)[0], 99)
})

// Pages

test('private stores stay private, also after every protection', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path)
  map.buffer.fill(7)
  for (const protection of ['read', 'none', 'read', 'read-write'] as const) map.protect(protection)
  t.true(map.buffer.every((byte) => byte === 7))
  t.deepEqual(readFileSync(path), contents)
})

test('files can be mapped for execution', (t) => {
  const path = scratchFile(t, contents)
  for (const map of [mapPrivate, mapShared]) {
    using executable = map(path, { protection: 'read-execute' })
    t.deepEqual(executable.buffer, contents)
  }
})

test('memory can be made executable later', (t) => {
  using memory = mapAnonymous(pageSize)
  memory.buffer.fill(1)
  memory.protect('read-execute')
  t.is(memory.buffer[5], 1)
})

test('a private copy of a file cannot be made executable later', (t) => {
  const path = scratchFile(t, contents)
  using copy = mapPrivate(path)
  copy.buffer[0] = 1
  throwsSystemError(t, () => copy.protect('read-execute'), { code: 'EACCES', syscall: 'mprotect', path })
  t.is(copy.buffer[0], 1)
})

test('the vectored handler contains stores to read-only pages and loads from forbidden ones', async (t) => {
  const path = scratchFile(t, contents)
  for (const make of [mapShared, mapPrivate]) {
    const reports = new Reports()
    using map = make(path, { protection: 'read', ...reports.options })
    map.buffer[3 * pageSize] = contents[3 * pageSize]! ^ 1
    t.is(map.faults, 1)
    await reports.told(1)
    t.like(reports.faults[0], { kind: 'protection', offset: 3 * pageSize, length: pageSize, contained: true })
    t.deepEqual(map.buffer, contents)
    map.protect('none')
    t.is(map.buffer[5], 0)
    await reports.told(2)
    t.throws(() => map.read(0, 1), { code: 'ERR_MMAP_FAULT' })
    map.protect('read')
    t.deepEqual(map.buffer, contents)
    t.deepEqual(readFileSync(path), contents)
  }
})

test('sync and syncSync write any range to the file, with any protection', async (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { ...rw, offset: 100 })
  map.buffer.fill(5)
  await map.sync()
  await map.sync({ offset: 7, length: pageSize })
  await map.sync({ length: 0 })
  map.syncSync({ invalidate: true })
  t.true(readFileSync(path).subarray(100).equals(Buffer.alloc(map.length, 5)))
  using reader = mapShared(path)
  await reader.sync()
  reader.syncSync()
})

test('pages can be prefetched, and not given up', async (t) => {
  using map = mapShared(scratchFile(t, contents), rw)
  t.true(MemoryMap.supports('willneed'))
  t.false(MemoryMap.supports('dontneed'))
  map.advise('willneed')
  await map.prefetch()
  throwsCodedError(t, () => map.advise('dontneed'), unsupported)
})

test('pages are locked in memory and unlocked', (t) => {
  using map = mapShared(scratchFile(t, contents), rw)
  map.lock({ length: pageSize })
  const { pages, resident } = map.residency()
  t.is(pages, 41)
  t.true(resident >= 1)
  map.unlock({ length: pageSize })
  t.notThrows(() => map.unlock(), 'pages that are not locked')
  throwsCodedError(t, () => map.lock({ onFault: true }), unsupported)
})

test('memory is committed when it is mapped: asking for more than the system has is ENOMEM', (t) => {
  for (const length of [2 ** 40, 2 ** 50]) {
    throwsSystemError(t, () => mapAnonymous(length), { code: 'ENOMEM', syscall: 'mmap' })
  }
})

// Named memory

const startPeer = (t: ExecutionContext) => Peer.start(t, host)

test('named memory is shared by processes, and freed with the last one that has it', async (t) => {
  const name = freshName()
  const peer = await startPeer(t)
  const gone = { code: 'ENOENT', syscall: 'shm_open', path: `/${name}` } as const
  throwsSystemError(t, () => openSharedMemory(name), gone)
  const map = openSharedMemory(name, { create: true, length: 100 })
  t.deepEqual([map.kind, map.length, map.path, map.fd], ['shared', 100, undefined, undefined])
  map.buffer.write('from here')
  t.is(await peer.run(`map = lib.openSharedMemory('${name}'); map.buffer.toString('latin1', 0, 9)`), 'from here')
  t.is(await peer.run('map.length'), pageSize, 'whole pages')
  await peer.run(`map.buffer.write('and there', 9)`)
  t.is(map.buffer.toString('latin1', 0, 18), 'from hereand there')

  map.close()
  const again = openSharedMemory(name)
  t.is(again.buffer.toString('latin1', 9, 18), 'and there')
  again.close()
  await peer.end()
  throwsSystemError(t, () => openSharedMemory(name), gone)
})

test('named memory: exclusive is EEXIST if any process has the name', async (t) => {
  const name = freshName()
  const peer = await startPeer(t)
  t.is(await peer.run(`map = lib.openSharedMemory('${name}', { create: true, exclusive: true, length: 5 }); 1`), 1)
  const options = { create: true, exclusive: true, length: 5 }
  throwsSystemError(t, () => openSharedMemory(name, options), {
    code: 'EEXIST',
    syscall: 'shm_open',
    path: `/${name}`,
  })
  using map = openSharedMemory(`/${name}`, { create: true, length: 5 })
  t.is(map.length, 5)
})

test('named memory: unlinkSharedMemory does nothing', (t) => {
  const name = freshName()
  t.is(unlinkSharedMemory(name), undefined)
  using map = openSharedMemory(name, { create: true, length: pageSize })
  map.buffer[0] = 5
  unlinkSharedMemory(name)
  t.is(openSharedMemory(name).buffer[0], 5)
})

test('named memory: the length never changes', (t) => {
  const name = freshName()
  using map = openSharedMemory(name, { create: true, length: 2 * pageSize })
  map.buffer[0] = 5
  throwsCodedError(t, () => map.resize(3 * pageSize), { ...unsupported, says: ['length'] })
  throwsCodedError(t, () => openSharedMemory(name, { create: true, length: 3 * pageSize }), unsupported)
  throwsCodedError(t, () => openSharedMemory(name, { length: 3 * pageSize }), {
    instanceOf: RangeError,
    code: 'ERR_MMAP_BEYOND_END',
  })
  t.deepEqual([map.length, map.buffer[0]], [2 * pageSize, 5])
})

test('named memory: a reader’s stores are contained, and it cannot become a writer', async (t) => {
  const name = freshName()
  using map = openSharedMemory(name, { create: true, length: pageSize })
  map.buffer[0] = 9
  const reports = new Reports()
  using reader = openSharedMemory(name, { protection: 'read', ...reports.options })
  reader.buffer[0] = 1
  t.deepEqual([reader.faults, map.buffer[0]], [1, 9])
  await reports.told(1)
  t.like(reports.faults[0], { kind: 'protection', contained: true })
  t.is(reader.buffer[0], 9)
  throwsSystemError(t, () => reader.protect('read-write'), { code: 'EACCES', syscall: 'mprotect' })
  await map.sync()
  map.syncSync()
})

test('named memory: wait and notify work, and the mutex of a process that died is recovered', async (t) => {
  const name = freshName()
  using map = openSharedMemory(name, { create: true, length: pageSize })
  const peer = await startPeer(t)
  await peer.run(`map = lib.openSharedMemory('${name}'); sync = 0`)
  await peer.run(`import(process.env.MEMORY_MAP_ROOT + 'sync.js').then((module) => { sync = module })`)
  const woken = waitAsync(map, 0, 0)
  await peer.run(`Atomics.store(map.typedArray(Int32Array, 0, 1), 0, 1); sync.notify(map, 0)`)
  t.true(['ok', 'not-equal'].includes(await woken))
  t.is(wait(map, 0, 0, 1), 'not-equal')
  t.is(wait(map, 0, 1, 5), 'timed-out')
  t.is(notify(map, 0), 0, 'nobody is known to wait here')

  const mutex = new Mutex(map, 64)
  t.is(await peer.run(`new sync.Mutex(map, 64).lock()`), 'acquired')
  t.false(mutex.tryLock() === 'acquired')
  await peer.kill()
  t.is(await mutex.lockAsync(10_000), 'recovered')
  mutex.unlock()
})
