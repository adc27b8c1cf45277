// A file that is truncated inside its last page: the page stays, so no access to it faults. Calls of the library that read,
// store, search or sync beyond the file's end throw all the same.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'

import type { ExecutionContext } from 'ava'
import {
  type FileMapOptions,
  mapAnonymous,
  mapPrivate,
  mapShared,
  MemoryFaultError,
  type MemoryMap,
  openSharedMemory,
  pageSize,
  unlinkSharedMemory,
} from 'memory-map'

import { Reports, survives } from './helpers/faults.ts'
import { onLinux, truncating } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'

/** Calls that look at the mapping's bytes from `start` to the end. */
const looks: Record<string, (map: MemoryMap, start: number) => unknown> = {
  read: (map, start) => map.read(start),
  indexOf: (map, start) => map.indexOf('zz', start),
  'indexOf of a byte': (map, start) => map.indexOf(0xee, start),
  includes: (map, start) => map.includes('zz', start),
  'lastIndexOf from the end': (map) => map.lastIndexOf('zz'),
  count: (map, start) => map.count('zz', { offset: start }),
  find: (map, start) => map.find('zz', { offset: start }),
  countAsync: (map, start) => map.countAsync('zz', { offset: start }),
  lines: (map, start) => [...map.lines({ offset: start })],
  createReadStream: (map, start) => map.createReadStream({ start }).toArray(),
}

const syncs: Record<string, (map: MemoryMap) => unknown> = {
  sync: (map) => map.sync(),
  syncSync: (map) => map.syncSync(),
  'sync of the end': (map) => map.sync({ offset: map.length - 1 }),
}

const maps: Record<string, (path: string, options: FileMapOptions) => MemoryMap> = { mapShared, mapPrivate }

/** `run` throws, now or later, the fault of the bytes that the file has lost, from `offset` on. */
async function meetsEnd(t: ExecutionContext, map: MemoryMap, offset: number, run: () => unknown): Promise<void> {
  const error = await t.throwsAsync(async () => void (await run()), {
    instanceOf: MemoryFaultError,
    code: 'ERR_MMAP_FAULT',
  })
  const { fault } = error as MemoryFaultError
  t.like(fault, { kind: 'beyond-end', offset, length: map.length - offset, contained: true })
  t.is(fault.map, map)
}

for (const [name, make] of Object.entries(maps)) {
  for (const offset of [0, 7, pageSize, 3 * pageSize + 1]) {
    truncating(`${name} from byte ${offset} on: calls that look beyond the file's end throw`, async (t) => {
      const path = scratchFile(t, Buffer.alloc(offset + 100, 'a'))
      const reports = new Reports()
      using map = make(path, { offset, protection: 'read-write', ...reports.options })
      truncateSync(path, offset + 10)
      for (const look of Object.values(looks)) await meetsEnd(t, map, 10, () => look(map, 5))
      await meetsEnd(t, map, 10, () => map.read(50, 4))
      await meetsEnd(t, map, 10, () => map.read(9, 2))
      await meetsEnd(t, map, 10, () => map.write(Buffer.from('LOST'), 50))
      await meetsEnd(t, map, 10, () => map.write(Buffer.from('LOST'), 8))

      const faults = Object.keys(looks).length + 4
      t.is(map.faults, faults)
      await reports.told(faults)
      t.true(reports.faults.every(({ kind }) => kind === 'beyond-end'))
      t.notThrows(() => map.check(), 'what they threw is not thrown again')
    })

    truncating(`${name} from byte ${offset} on: calls that look at what the file still has do not throw`, async (t) => {
      const path = scratchFile(t, Buffer.alloc(offset + 100, 'a'))
      using map = make(path, { offset, protection: 'read-write', ...new Reports().options })
      truncateSync(path, offset + 10)
      await meetsEnd(t, map, 10, () => map.write(Buffer.from('LOST'), 8))
      t.is(map.read(0, 10).toString('latin1'), 'aaaaaaaaaa')
      t.is(map.indexOf('a'), 0)
      t.is(map.count('a', { length: 10 }), 10)
      t.is(await map.find('a'), 0)
      t.is(map.write(Buffer.from('bb'), 8), 2)
      t.is(map.faults, 1)
      t.is(readFileSync(path).length, offset + 10)
    })
  }

  truncating(`${name}: the bytes of a file that is long enough again can be read`, (t) => {
    const path = scratchFile(t, 'a'.repeat(100))
    using map = make(path, { protection: 'read', ...new Reports().options })
    writeFileSync(path, 'b'.repeat(10))
    t.throws(() => map.read(), { code: 'ERR_MMAP_FAULT' })
    writeFileSync(path, 'c'.repeat(100))
    t.is(map.read().toString('latin1'), 'c'.repeat(100))
    t.is(map.lastIndexOf('c'), 99)
    truncateSync(path, 99)
    t.throws(() => map.read(), { code: 'ERR_MMAP_FAULT' })
    t.is(map.read(0, 99).length, 99)
  })
}

for (const [name, sync] of Object.entries(syncs)) {
  truncating(`${name} throws if the file has lost bytes of its range`, async (t) => {
    const path = scratchFile(t, 'a'.repeat(100))
    using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
    writeFileSync(path, 'b'.repeat(10))
    map.buffer.write('LOST', 50)
    await meetsEnd(t, map, 10, () => sync(map))
    await map.sync({ length: 10 })
    map.syncSync({ offset: 3, length: 7 })
    truncateSync(path, 100)
    await sync(map)
  })
}

truncating('calls throw for whole pages beyond the end too, whether or not one of them has faulted', async (t) => {
  const path = scratchFile(t, Buffer.alloc(5 * pageSize, 1))
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  truncateSync(path, pageSize + 10)
  await meetsEnd(t, map, pageSize + 10, () => map.sync())
  await meetsEnd(t, map, 3 * pageSize, () => map.write(Buffer.from('x'), 3 * pageSize + 5))
  await meetsEnd(t, map, pageSize + 10, () => map.write(Buffer.alloc(2 * pageSize), pageSize))
  t.true(map.read(pageSize, 10).equals(Buffer.alloc(10, 1)), 'nothing is stored by a write that throws')
})

truncating('calls on a mapping without the guard throw too', async (t) => {
  const path = scratchFile(t, 'a'.repeat(100))
  using map = mapShared(path, { protection: 'read-write', guard: false, ...new Reports().options })
  writeFileSync(path, 'b'.repeat(10))
  await meetsEnd(t, map, 10, () => map.read(50, 4))
  await meetsEnd(t, map, 10, () => map.write(Buffer.from('x'), 50))
  await meetsEnd(t, map, 10, () => map.sync())
})

onLinux('calls throw for shared memory that was truncated, with or without a name', async (t) => {
  const name = `mm-shrunk-${process.pid}`
  using memory = openSharedMemory(name, { create: true, length: 100, ...new Reports().options })
  t.teardown(() => unlinkSharedMemory(name))
  truncateSync(`/dev/shm/${name}`, 10)
  await meetsEnd(t, memory, 10, () => memory.read())
  using anonymous = mapAnonymous(100, { shared: true, ...new Reports().options })
  truncateSync(`/proc/self/fd/${anonymous.fd}`, 10)
  await meetsEnd(t, anonymous, 10, () => anonymous.write(Buffer.from('x'), 10))
})

for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
  for (const runtime of runtimes()) {
    truncating(
      `${runtime.name} ${runtime.version}, ${backing}: every call throws for bytes that the file has lost`,
      (t) =>
        survives(
          t,
          runtime,
          `
        const path = makeFile(Buffer.alloc(100, 'a'))
        const map = mapShared(path, { protection: 'read-write', backing: '${backing}', onFault() {} })
        fs.writeFileSync(path, 'b'.repeat(10))
        const lost = { name: 'MemoryFaultError', code: 'ERR_MMAP_FAULT' }
        assert.throws(() => map.read(50, 4), lost)
        assert.throws(() => map.write(Buffer.from('LOST'), 50), lost)
        assert.throws(() => map.indexOf('zz'), lost)
        assert.throws(() => map.lastIndexOf('zz'), lost)
        assert.throws(() => map.count('zz'), lost)
        assert.throws(() => [...map.lines()], lost)
        await assert.rejects(map.find('zz'), lost)
        await assert.rejects(map.countAsync('zz'), lost)
        await assert.rejects(map.createReadStream().toArray(), lost)
        await assert.rejects(map.sync(), lost)
        assert.throws(() => map.syncSync(), lost)
        assert.strictEqual(map.read(0, 10).toString(), 'b'.repeat(10))
        map.close()
        console.log('end')`,
        ),
    )
  }
}
