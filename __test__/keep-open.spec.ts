// Mappings with `keepOpen: false` keep no descriptor, of which a process may have few. Most works all the same, no access
// ends the process, and what needs the file says so.

import { readFileSync, writeFileSync } from 'node:fs'

import { type FileMapOptions, mapPrivate, mapShared, MemoryFaultError, type MemoryMap, pageSize } from 'memory-map'
import { Channel, Mutex, notify, wait } from 'memory-map/sync'

import { Reports, survives } from './helpers/faults.ts'
import { openDescriptors } from './helpers/memory.ts'
import { where } from './helpers/platform.ts'
import { runtimes, underLimit } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'

const test = where(process.platform !== 'win32', 'on Windows a mapping has no descriptor')
const onLinux = where(process.platform === 'linux', 'elsewhere msync(2) is not durable by itself')

const maps: Record<string, (path: string, options: FileMapOptions) => MemoryMap> = { mapShared, mapPrivate }

for (const runtime of runtimes()) {
  test(`a process with 128 descriptors has thousands of mappings, and their faults are contained: ${runtime.name}`, (t) =>
    survives(
      t,
      underLimit(runtime, '-n 128'),
      `
      const path = makeFile(Buffer.alloc(2 * pageSize, 7))
      const told = []
      const options = { keepOpen: false, onFault: (fault) => told.push(fault) }
      const maps = Array.from({ length: 2000 }, (_, i) => (i % 2 ? mapShared : mapPrivate)(path, options))
      const views = maps.map((map) => map.buffer)
      assert.ok(maps.every(({ fd }) => fd === undefined))
      assert.ok(views.every((view) => view[0] === 7 && view[pageSize] === 7))
      fs.truncateSync(path, pageSize)
      assert.ok(views.every((view) => view[0] === 7 && view[pageSize] === 0))
      assert.ok(maps.every(({ faults }) => faults === 1))
      await until(() => told.length === maps.length)
      assert.ok(told.every(({ kind, offset, contained }) => kind === 'io' && offset === pageSize && !contained))
      assert.ok(views.every((view) => view[0] === 7 && view[pageSize] === 0))
      assert.throws(() => maps[1].read(pageSize, 1), { code: 'ERR_MMAP_FAULT' })
      for (const map of maps) map.close()
      console.log('end')`,
    ))
}

for (const [name, make] of Object.entries(maps)) {
  test.serial(`${name} keeps no descriptor, be it given a path or a descriptor`, (t) => {
    const path = scratchFile(t, Buffer.alloc(100, 'a'))
    const before = openDescriptors()
    const map = make(path, { keepOpen: false })
    t.is(openDescriptors(), before)
    const again = make(path, { keepOpen: true })
    t.is(openDescriptors(), before + 1)
    const third = make(again.fd as unknown as string, { keepOpen: false })
    t.is(openDescriptors(), before + 1)
    t.is(map.fd, undefined)
    for (const each of [map, again, third]) {
      t.is(each.toString(), 'a'.repeat(100))
      t.is(each.count('a'), 100)
      t.deepEqual(each.residency().pages, 1)
      each.close()
    }
  })

  test(`${name}: calls that need the file say so`, (t) => {
    const path = scratchFile(t, Buffer.alloc(100, 'a'))
    for (const length of [100, 0]) {
      const map = make(path, { keepOpen: false, length, protection: 'read-write' })
      t.throws(() => map.resize(50), { code: 'ERR_MMAP_UNSUPPORTED', message: /keepOpen/ })
      t.is(map.length, length)
      map.close()
      t.throws(() => map.resize(50), { code: 'ERR_MMAP_CLOSED' })
    }
  })

  test(`${name}: a keepOpen that is not a boolean is refused`, (t) => {
    const path = scratchFile(t, 'text')
    t.throws(() => make(path, { keepOpen: 1 as unknown as boolean }), { code: 'ERR_INVALID_ARG_TYPE' })
    const options = { keepOpen: false, backing: 'shared-array-buffer' } as unknown as FileMapOptions
    t.throws(() => make(path, options), { code: 'ERR_INVALID_ARG_VALUE', message: /keepOpen.*'array-buffer'/ })
  })
}

onLinux('stores reach the file, and can be synced', async (t) => {
  const path = scratchFile(t, '')
  const map = mapShared(path, { keepOpen: false, protection: 'read-write', create: true, length: 8192 })
  t.teardown(() => map.close())
  map.write(Buffer.from('written'), 1)
  map.syncSync()
  await map.sync({ offset: 1, length: 7 })
  t.is(readFileSync(path).toString('latin1', 1, 8), 'written')
})

test('wait and notify work without the file; locks and channels need it', (t) => {
  const map = mapShared(scratchFile(t, Buffer.alloc(8192)), { keepOpen: false, protection: 'read-write' })
  t.teardown(() => map.close())
  t.is(wait(map, 0, 1), 'not-equal')
  t.is(notify(map, 0), 0)
  const refused = { code: 'ERR_MMAP_UNSUPPORTED', message: /keepOpen/ }
  t.throws(() => new Mutex(map, 0).lock(), refused)
  t.throws(() => Channel.create(map, { offset: 64 }).send('message'), refused)
})

for (const protection of ['read', 'none'] as const) {
  for (const first of ['read', 'read-write'] as const) {
    test(`a store to a '${protection}' page of a private mapping that was made '${first}' leaves no trace`, async (t) => {
      const path = scratchFile(t, Buffer.alloc(4 * pageSize, 7))
      const reports = new Reports()
      const map = mapPrivate(path, { keepOpen: false, protection: first, ...reports.options })
      t.teardown(() => map.close())
      map.protect(protection)
      const view = map.buffer
      view[pageSize] = 1
      const [fault] = await reports.told(1)
      t.like(fault, { kind: 'protection', offset: pageSize, contained: true })
      map.protect('read')
      t.deepEqual(map.read(), Buffer.alloc(4 * pageSize, 7))
    })
  }
}

test('after a store to a read-only page of a shared mapping that page cannot be read, and calls say so', async (t) => {
  const path = scratchFile(t, Buffer.alloc(4 * pageSize, 7))
  const reports = new Reports()
  const map = mapShared(path, { keepOpen: false, ...reports.options })
  t.teardown(() => map.close())
  const view = map.buffer
  view[pageSize] = 1
  const [fault] = await reports.told(1)
  t.like(fault, { kind: 'protection', offset: pageSize, length: pageSize, contained: false })
  t.deepEqual([view[0], view[pageSize - 1], view[2 * pageSize]], [7, 7, 7])
  t.throws(() => map.check(), { instanceOf: MemoryFaultError })
  t.throws(() => map.syncSync(), { instanceOf: MemoryFaultError })
  t.throws(() => map.read(pageSize, 1), { instanceOf: MemoryFaultError })
  t.is(map.read(0, 1)[0], 7)
  t.deepEqual(readFileSync(path), Buffer.alloc(4 * pageSize, 7))
})

test('a file that gets the number of the closed descriptor is never mapped', async (t) => {
  const path = scratchFile(t, Buffer.alloc(2 * pageSize, 7))
  const reports = new Reports()
  const map = mapShared(path, { keepOpen: false, ...reports.options })
  t.teardown(() => map.close())
  const other = mapShared(scratchFile(t, Buffer.alloc(2 * pageSize, 9)))
  t.teardown(() => other.close())
  const view = map.buffer
  view[0] = 1
  await reports.told(1)
  t.not(view[0], 9)
  writeFileSync(path, Buffer.alloc(2 * pageSize, 8))
  t.is(view[pageSize], 8)
})
