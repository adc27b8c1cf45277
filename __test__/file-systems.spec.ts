// Mappings on the usual file systems, each mounted for the test: stores reach the disk, files are removed and replaced under
// a mapping, and a closed mapping does not keep a file system from being unmounted.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statfsSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { mapPrivate, mapShared, type MemoryMap, pageSize } from 'memory-map'
import { Channel, Mutex } from 'memory-map/sync'

import { Reports } from './helpers/faults.ts'
import { type FileSystem, fileSystems, mountFileSystem, type Type } from './helpers/mounts.ts'
import { pattern } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const readWrite = { protection: 'read-write' } as const
const MiB = 2 ** 20

/** Declares a test with a file system of each of some types. */
function on(types: readonly Type[], title: string, run: (t: ExecutionContext, at: FileSystem, type: Type) => unknown) {
  for (const type of types) {
    test.serial(`${type}: ${title}`, async (t) => {
      const mounted = mountFileSystem(t, type)
      if (mounted !== undefined) await run(t, mounted, type)
    })
  }
}

const usual = fileSystems.filter((type) => type !== 'hugetlbfs')
const disks = usual.filter((type) => type !== 'tmpfs' && type !== 'overlay')

on(disks, 'what was synced is there when it is mounted again', async (t, { folder, unmount, mountAgain }) => {
  const path = join(folder, 'file')
  const bytes = pattern(MiB + 123)
  const map = mapShared(path, { ...readWrite, create: true, length: MiB, allocate: true })
  map.write(bytes.subarray(0, MiB))
  map.resize(bytes.length)
  const { buffer } = map
  bytes.copy(buffer, MiB, MiB)
  await map.sync()
  map.close()
  unmount()
  mountAgain()
  t.true(readFileSync(path).equals(bytes))
})

on(usual, 'a closed mapping whose views are held keeps nothing in use', (t, { folder, unmount, mountAgain }, type) => {
  const path = join(folder, 'file')
  writeFileSync(path, pattern(MiB))
  const views: unknown[] = []
  for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
    for (const make of [mapShared, mapPrivate]) {
      const map = make(path, { ...readWrite, backing, onFault() {} }) as MemoryMap
      map.buffer[5] = 1
      views.push(map.buffer, map.view(100, 100))
      map.close()
    }
  }
  unmount()
  t.false(existsSync(path))
  if (type !== 'tmpfs') {
    mountAgain()
    t.is(statSync(path).size, MiB)
  }
  t.is(views.length, 8)
})

on([...usual, 'ramfs'], 'a file that is open for appending is extended, and its bytes stay', (t, { folder }) => {
  const path = join(folder, 'file')
  writeFileSync(path, 'hello')
  const fd = openSync(path, 'a+')
  using map = mapShared(fd, { ...readWrite, create: true, length: MiB + 1 })
  closeSync(fd)
  t.is(statSync(path).size, MiB + 1)
  map.write(Buffer.from('end'), MiB - 2)
  map.resize(2 * MiB)
  map.check()
  const expected = Buffer.alloc(2 * MiB)
  expected.write('hello')
  expected.write('end', MiB - 2)
  t.true(readFileSync(path).equals(expected))
})

on(usual, 'a file that is removed stays mapped, and its blocks go back when that is closed', async (t, { folder }) => {
  const path = join(folder, 'file')
  const free = () => {
    execFileSync('sync', ['--file-system', folder]) // when btrfs counts
    const { bfree, bsize } = statfsSync(folder)
    return bfree * bsize
  }
  const bytes = pattern(8 * MiB)
  writeFileSync(path, bytes)
  const map = mapShared(path, readWrite)
  const view = map.buffer
  unlinkSync(path)
  t.true(map.read().equals(bytes))
  view.fill(3)
  await map.sync()
  map.resize(9 * MiB)
  t.true(map.read(0, 8 * MiB).every((byte) => byte === 3))
  t.is(map.length, 9 * MiB)
  t.false(existsSync(path))
  const before = free()
  map.close()
  await until(() => free() >= before + 7 * MiB)
  t.false(existsSync(path), 'it does not come back')
})

on(usual, 'a file that is replaced stays mapped as it was', (t, { folder }) => {
  const [path, next] = [join(folder, 'file'), join(folder, 'next')]
  writeFileSync(path, Buffer.alloc(3 * pageSize, 1))
  using old = mapShared(path, readWrite)
  writeFileSync(next, Buffer.alloc(2 * pageSize, 2))
  renameSync(next, path)
  using own = mapPrivate(path)
  using now = mapShared(path, readWrite)
  t.deepEqual([old.length, now.length, own.length], [3 * pageSize, 2 * pageSize, 2 * pageSize])
  old.buffer.fill(3)
  old.syncSync()
  t.true(now.read().every((byte) => byte === 2))
  t.true(own.read().every((byte) => byte === 2))
  now.buffer.fill(4)
  t.true(old.read().every((byte) => byte === 3))
  t.true(readFileSync(path).every((byte) => byte === 4))
  t.is(old.faults + now.faults, 0)
})

on(
  usual,
  'a load beyond the end of a file that became shorter is a fault, and stores reach it when it is longer again',
  async (t, { folder }) => {
    const path = join(folder, 'file')
    writeFileSync(path, Buffer.alloc(4 * pageSize, 7))
    const reports = new Reports()
    using map = mapShared(path, { ...readWrite, ...reports.options })
    const { buffer } = map
    t.is(buffer[3 * pageSize], 7)
    truncateSync(path, pageSize)
    t.is(buffer[3 * pageSize], 0)
    await reports.told(1)
    t.like(reports.faults, [{ kind: 'beyond-end', contained: true }])
    t.throws(() => map.syncSync(), { code: 'ERR_MMAP_FAULT' })
    truncateSync(path, 4 * pageSize)
    buffer[3 * pageSize] = 9
    map.syncSync()
    t.is(readFileSync(path)[3 * pageSize], 9)
  },
)

on(usual, 'locks and channels are shared by mappings of a file', (t, { folder }) => {
  const path = join(folder, 'file')
  writeFileSync(path, Buffer.alloc(64 * 1024))
  using one = mapShared(path, readWrite)
  using other = mapShared(path, readWrite)
  const [mine, yours] = [new Mutex(one, 0), new Mutex(other, 0)]
  t.is(mine.lock(), 'acquired')
  t.is(yours.tryLock(), false)
  mine.unlock()
  t.is(yours.lock(5000), 'acquired')
  other.close()
  t.is(mine.lock(5000), 'recovered')
  const inbox = Channel.create(one, { offset: 4096 })
  using third = mapShared(path, readWrite)
  t.true(Channel.open(third, { offset: 4096 }).send('message'))
  t.is(String(inbox.receive(0)), 'message')
})

on(usual, 'where nothing can be stored, mappings to store are refused', (t, { folder, makeReadOnly }) => {
  const [path, absent] = [join(folder, 'file'), join(folder, 'new')]
  writeFileSync(path, pattern(3 * pageSize))
  const map = mapShared(path, readWrite)
  map.buffer[0] = 99
  t.throws(makeReadOnly, { message: /busy/ }, 'a mapping to store keeps it writable')
  map.close()
  makeReadOnly()
  const before = statSync(path)
  for (const options of [readWrite, { ...readWrite, create: true, length: 4 * pageSize }] as const) {
    t.like(
      t.throws(() => mapShared(path, options), { code: 'EROFS' }),
      { syscall: 'open', path },
    )
  }
  t.throws(() => mapShared(absent, { ...readWrite, create: true, length: 1 }), { code: 'EROFS' })
  t.false(existsSync(absent))
  using shared = mapShared(path)
  t.is(shared.buffer[0], 99)
  t.throws(() => shared.protect('read-write'), { code: 'EACCES' })
  using own = mapPrivate(path)
  own.buffer[0] = 1
  t.is(own.buffer[0], 1)
  t.is(shared.buffer[0], 99)
  const fd = openSync(path, 'r')
  t.throws(() => mapShared(fd, readWrite), { code: 'EACCES' })
  closeSync(fd)
  const after = statSync(path)
  t.deepEqual([after.size, after.mtimeMs], [before.size, before.mtimeMs])
})
