// (Long: each file system has its own way to be full.) On a disk that is full or fails, stores that get no block and pages
// that cannot be read are faults, and do not end the process. With `allocate`, the mapping of a full disk is refused.
//
// These tests mount small file systems of their own, for which they need to be root.

import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { mapPrivate, mapShared, MemoryFaultError, pageSize } from 'memory-map'

import { Reports, settle, survives } from './helpers/faults.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { scriptEnv } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFolder, scratchFolders } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const MiB = 2 ** 20

/** Too small for most of what is stored here. */
const small = { size: 4 * MiB }

/** Writes until nothing more fits. */
function fillUp(path: string): void {
  const fd = openSync(path, 'w')
  try {
    for (const size of [64 * 1024, pageSize, 1]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size, 0x77))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(fd)
  }
}

function sparseFile(path: string, size: number): string {
  writeFileSync(path, '')
  truncateSync(path, size)
  return path
}

for (const kind of ['tmpfs', 'ext4'] as const) {
  const onSmallDisk = (title: string, run: (t: ExecutionContext, folder: string) => unknown) => {
    test.serial(`${kind}: ${title}`, async (t) => {
      const folder = mountFileSystem(t, kind, small)?.folder
      if (folder !== undefined) await run(t, folder)
    })
  }

  onSmallDisk('stores that get no block are faults', async (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), 16 * MiB)
    const reports = new Reports()
    using map = mapShared(path, { protection: 'read-write', ...reports.options })
    let stored = 0
    while (map.faults === 0) {
      map.buffer[stored * pageSize] = 0x11
      stored++
      if (stored * pageSize === map.length) break
    }
    t.true(map.faults > 0, 'the disk is full at last')
    const [fault] = await reports.told(1)
    t.like(fault, { kind: 'no-space', length: pageSize, contained: true })
    t.is(fault!.offset, (stored - 1) * pageSize)

    const error = await t.throwsAsync(map.sync(), { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })
    t.is((error as MemoryFaultError).fault, fault!)
    t.regex(error!.message, /no space/)
    await map.sync()

    const file = readFileSync(path)
    t.is(file.length, 16 * MiB)
    for (let page = 0; page < stored - 1; page++) {
      if (file[page * pageSize] !== 0x11) t.fail(`page ${page} is lost`)
    }
    t.true(file.subarray((stored - 1) * pageSize).every((byte) => byte === 0))
  })

  onSmallDisk('when there is space again, stores reach the file again', async (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), MiB)
    fillUp(join(folder, 'filler'))
    const reports = new Reports()
    using map = mapShared(path, { protection: 'read-write', ...reports.options })
    map.buffer[5 * pageSize] = 0x11
    t.is(map.faults, 1)
    await reports.told(1)
    t.like(reports.faults, [{ kind: 'no-space', offset: 5 * pageSize }])
    t.throws(() => map.syncSync(), { code: 'ERR_MMAP_FAULT' })

    rmSync(join(folder, 'filler'))
    if (kind === 'ext4') execFileSync('sync', ['-f', folder])
    map.buffer[5 * pageSize] = 0x22
    t.is(map.faults, 1)
    map.syncSync()
    t.is(readFileSync(path)[5 * pageSize], 0x22)
  })

  onSmallDisk('write() throws if its bytes get no block', async (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), MiB)
    fillUp(join(folder, 'filler'))
    const reports = new Reports()
    using map = mapShared(path, { protection: 'read-write', ...reports.options })
    const error = t.throws(() => map.write(Buffer.alloc(100, 1), 3 * pageSize), { code: 'ERR_MMAP_FAULT' })
    t.like((error as unknown as MemoryFaultError).fault, { kind: 'no-space', offset: 3 * pageSize })
    map.check()
    await reports.told(1)
    t.true(readFileSync(path).every((byte) => byte === 0))
  })

  onSmallDisk('loading from holes of a file on a full disk does no harm', async (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), MiB)
    fillUp(join(folder, 'filler'))
    const reports = new Reports()
    using map = mapShared(path, reports.options)
    t.true(map.buffer.every((byte) => byte === 0))
    if (map.faults > 0) await reports.told(1)
    for (const fault of reports.faults) t.is(fault.kind, 'no-space')
    if (kind === 'tmpfs') return // which takes a block even for a load, such as that for a private copy
    using own = mapPrivate(path)
    own.buffer[0] = 1
    t.is(own.buffer[0], 1)
    t.is(own.faults, 0)
  })

  onSmallDisk('thousands of stores on a full disk are either kept or reported', async (t, folder) => {
    const size = 6 * MiB
    const pages = size / pageSize
    const path = join(folder, 'file')
    sparseFile(path, size)
    const fd = openSync(path, 'r+')
    for (let page = 0; page < pages; page += 2) writeSync(fd, Buffer.alloc(pageSize, 1), 0, pageSize, page * pageSize)
    closeSync(fd)
    fillUp(join(folder, 'filler'))
    const reports = new Reports()
    using map = mapShared(path, { protection: 'read-write', ...reports.options })
    for (let page = 1; page < pages; page += 2) map.buffer[page * pageSize] = 2
    t.true(map.faults > 0)
    for (let page = 0; page < pages; page += 2) map.buffer[page * pageSize] = 2
    settle(map)
    await reports.told(map.faults)
    const file = readFileSync(path)
    const untold: number[] = []
    for (let page = 0; page < pages; page++) {
      const at = page * pageSize
      const told = reports.faults.some(({ offset, length }) => offset <= at && at < offset + length)
      if (file[at] !== 2 && !told) untold.push(page)
    }
    t.is(untold.length, 0, `lost without a word: pages ${untold.slice(0, 20)}...`)
  })

  onSmallDisk('allocate on a full disk is ENOSPC, and leaves the file as it was', (t, folder) => {
    const content = Buffer.alloc(3 * pageSize, 0x33)
    const path = join(folder, 'file')
    writeFileSync(path, content)
    fillUp(join(folder, 'filler'))
    truncateSync(join(folder, 'filler'), statSync(join(folder, 'filler')).size - 64 * 1024)
    const before = statSync(path)
    const options = { protection: 'read-write', create: true, length: 2 * MiB, allocate: true } as const
    const error = t.throws(() => mapShared(path, options), { code: 'ENOSPC' })
    t.like(error, { code: 'ENOSPC', errno: -28, syscall: 'fallocate', path })
    const after = statSync(path)
    t.deepEqual([after.size, after.blocks], [before.size, before.blocks])
    t.deepEqual(readFileSync(path), content)
  })

  onSmallDisk('without allocate a file is made longer on a full disk, and stores to it are faults', (t, folder) => {
    const path = join(folder, 'file')
    fillUp(join(folder, 'filler'))
    truncateSync(join(folder, 'filler'), statSync(join(folder, 'filler')).size - 64 * 1024)
    const options = { protection: 'read-write', create: true, length: 2 * MiB } as const
    using map = mapShared(path, { ...options, ...new Reports().options })
    t.is(map.length, 2 * MiB)
    map.buffer.fill(0x44)
    t.true(map.faults > 0)
    t.true(settle(map).some(({ fault }) => fault.kind === 'no-space'))
  })

  onSmallDisk('allocate on a full disk does not fill up a sparse file of the right length', (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), 2 * MiB)
    fillUp(join(folder, 'filler'))
    truncateSync(join(folder, 'filler'), statSync(join(folder, 'filler')).size - 256 * 1024)
    t.throws(() => mapShared(path, { protection: 'read-write', allocate: true }), { code: 'ENOSPC' })
    t.is(statSync(path).size, 2 * MiB)
    t.true(readFileSync(path).every((byte) => byte === 0))
  })

  onSmallDisk('a call that fails for lack of space makes no file, and makes none longer', (t, folder) => {
    const [path, existing] = [join(folder, 'new'), sparseFile(join(folder, 'existing'), 100)]
    fillUp(join(folder, 'filler'))
    for (const options of [{ allocate: true }, { populate: true }, { allocate: true, populate: true }]) {
      const create = { protection: 'read-write', create: true, length: 8 * MiB, ...options } as const
      t.throws(() => mapShared(path, create), { code: 'ENOSPC' }, JSON.stringify(options))
      t.false(existsSync(path), 'what was not there before is not there')
      t.throws(() => mapShared(existing, create), { code: 'ENOSPC' })
      t.is(statSync(existing).size, 100)
      const fd = openSync(existing, 'r+')
      t.throws(() => mapShared(fd, { ...create, offset: 10 }), { code: 'ENOSPC' })
      closeSync(fd)
      t.is(statSync(existing).size, 100)
    }
    t.throws(() => mapShared(path, { protection: 'read-write', create: true, length: MiB, advice: 'populate-write' }), {
      code: 'ENOSPC',
    })
    t.false(existsSync(path))
  })

  onSmallDisk('populating pages that get no block is ENOSPC', (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), 16 * MiB)
    using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
    const error = t.throws(() => map.advise('populate-write'), { code: 'ENOSPC', message: /no room/ })
    t.like(error, { syscall: 'madvise', path })
    t.is(map.faults, 0)
    map.advise('populate-write', { length: pageSize })
  })

  onSmallDisk('populating pages beyond the end of the file is EFAULT', (t, folder) => {
    const path = sparseFile(join(folder, 'sparse'), 2 * pageSize)
    using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
    truncateSync(path, pageSize)
    t.throws(() => map.advise('populate-write', { offset: pageSize }), { code: 'EFAULT', message: /file ends/ })
  })

  if (kind === 'tmpfs') {
    onSmallDisk('a stream ends well that has made more room than the disk has', async (t, folder) => {
      const path = join(folder, 'file')
      using map = mapShared(path, { create: true, length: 0, protection: 'read-write' })
      const stream = map.createWriteStream({ flush: true })
      for (let i = 0; i < 3; i++) stream.write(Buffer.alloc(MiB, 0x11))
      stream.end(Buffer.alloc(1000, 0x11))
      await once(stream, 'finish')
      t.is(map.faults, 0)
      t.true(readFileSync(path).equals(Buffer.alloc(3 * MiB + 1000, 0x11)))
    })

    onSmallDisk('populate is ENOSPC even for loads, because a load from a hole takes memory', (t, folder) => {
      const path = sparseFile(join(folder, 'sparse'), 16 * MiB)
      t.throws(() => mapShared(path, { populate: true }), { code: 'ENOSPC' })
    })
  }

  onSmallDisk('stores to the range that allocate has reserved work on a full disk', async (t, folder) => {
    const path = join(folder, 'file')
    const reports = new Reports()
    using map = mapShared(path, {
      protection: 'read-write',
      create: true,
      length: MiB,
      allocate: true,
      ...reports.options,
    })
    fillUp(join(folder, 'filler'))
    map.buffer.fill(0x55)
    await map.sync()
    t.is(map.faults, 0)
    t.true(readFileSync(path).equals(Buffer.alloc(MiB, 0x55)))
  })

  for (const runtime of runtimes()) {
    onSmallDisk(`${runtime.name} ${runtime.version} lives through a full disk`, async (t, folder) => {
      await survives(
        t,
        runtime,
        `
        process.chdir(process.env.FOLDER)
        const path = makeFile(16 * 2 ** 20)
        const faults = []
        const map = mapShared(path, { protection: 'read-write', onFault: (fault) => faults.push(fault) })
        map.buffer.fill(0x11)
        assert.ok(map.faults > 0)
        await until(() => faults.length === map.faults)
        assert.ok(faults.every(({ kind, contained }) => kind === 'no-space' && contained))
        await assert.rejects(map.sync(), { code: 'ERR_MMAP_FAULT' })
        assert.throws(() => map.write(Buffer.alloc(1), map.length - 1), { code: 'ERR_MMAP_FAULT' })
        assert.throws(
          () => mapShared('new', { protection: 'read-write', create: true, allocate: true, length: 2 ** 20 }),
          { code: 'ENOSPC' },
        )
        map.close()
        fs.unlinkSync(path)
        fs.rmSync('new', { force: true })
        mapShared('new', { protection: 'read-write', create: true, allocate: true, length: 2 ** 20 }).close()
        process.chdir('/')
        console.log('end')`,
        { env: { FOLDER: folder } },
      )
    })
  }
}

// File systems that keep a reserve, or a quota: others than those above, and too large to be filled for each test.

/** Stores to every page of a new file of so many bytes; what is lost is told as a want of space. */
async function runsOutOfSpace(t: ExecutionContext, path: string, length: number): Promise<void> {
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', create: true, length, ...reports.options })
  const { buffer } = map
  for (let at = 0; at < length; at += pageSize) buffer[at] = 1
  t.true(map.faults > 0)
  await reports.told(map.faults)
  t.deepEqual([...new Set(reports.faults.map(({ kind }) => kind))], ['no-space'])
}

test.serial(
  'stores to a full XFS, which has less space for users than it says, are faults for lack of space',
  async (t) => {
    const folder = mountFileSystem(t, 'xfs')?.folder
    if (folder === undefined) return
    const { bavail, bsize } = statfsSync(folder)
    await runsOutOfSpace(t, join(folder, 'file'), bavail * bsize + 8 * MiB)
  },
)

test.serial('stores beyond a quota are faults for lack of space, on a disk that is not full', async (t) => {
  const folder = mountFileSystem(t, 'btrfs')?.folder
  if (folder === undefined) return
  const limited = join(folder, 'limited')
  try {
    execFileSync('btrfs', ['quota', 'enable', folder], { stdio: 'pipe' })
    execFileSync('btrfs', ['subvolume', 'create', limited], { stdio: 'pipe' })
    execFileSync('btrfs', ['qgroup', 'limit', '8M', limited], { stdio: 'pipe' })
  } catch (error) {
    t.log(`skipped: no quota here: ${(error as Error).message.split('\n')[0]}`)
    return t.pass()
  }
  const options = { protection: 'read-write', create: true, length: 32 * MiB } as const
  for (const more of [{ allocate: true }, { populate: true }]) {
    t.throws(() => mapShared(join(limited, 'new'), { ...options, ...more }), { code: 'EDQUOT' })
    t.false(existsSync(join(limited, 'new')))
  }
  await runsOutOfSpace(t, join(limited, 'file'), 32 * MiB)
})

// Memory that has a name lies in /dev/shm, of which a container has 64 MiB.

for (const runtime of runtimes()) {
  test.serial(
    `${runtime.name} ${runtime.version}: a full /dev/shm is an error, and no name is left behind`,
    async (t) => {
      if (mountFileSystem(t, 'tmpfs') === undefined) return
      const name = `mm-full-${process.pid}`
      const script = join(scratchFolder(t), 'full.mjs')
      writeFileSync(
        script,
        `
      import assert from 'node:assert'
      import { existsSync, statSync, writeFileSync } from 'node:fs'
      const { mapAnonymous, openSharedMemory, unlinkSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const options = { create: true, length: 128 * 2 ** 20, onFault() {} }
      const full = { code: 'ENOSPC' }
      for (const more of [{ allocate: true }, { populate: true }, { advice: 'populate-write' }]) {
        for (const exclusive of [true, false]) {
          assert.throws(() => openSharedMemory('${name}', { ...options, ...more, exclusive }), full)
          assert.ok(!existsSync('/dev/shm/${name}'))
        }
      }
      // What was there before is there afterwards, as long as it was.
      openSharedMemory('${name}', { create: true, length: 100 }).close()
      for (const more of [{ allocate: true }, { populate: true }]) {
        assert.throws(() => openSharedMemory('${name}', { ...options, ...more }), full)
        assert.strictEqual(statSync('/dev/shm/${name}').size, 100)
      }
      const map = openSharedMemory('${name}', options)
      assert.throws(() => map.advise('populate-write'), full)
      map.close()
      unlinkSharedMemory('${name}')
      const fits = openSharedMemory('${name}', { ...options, allocate: true, length: 2 ** 20 })
      fits.buffer.fill(1)
      assert.throws(() => fits.resize(options.length), full)
      assert.strictEqual(fits.length, 2 ** 20)
      assert.strictEqual(statSync('/dev/shm/${name}').size, 2 ** 20)
      assert.strictEqual(fits.faults, 0)
      mapAnonymous(2 ** 20, { shared: true, allocate: true }).close()
      console.log('end')`,
      )
      const command = [runtime.command, ...runtime.args, script].map((word) => `'${word}'`).join(' ')
      const line = `mount -t tmpfs -o size=64m memory-map-test /dev/shm && exec ${command}`
      const { stdout, stderr, status } = spawnSync('unshare', ['--mount', 'sh', '-c', line], {
        encoding: 'utf8',
        env: scriptEnv(),
      })
      t.deepEqual({ status, stdout: stdout.trim() }, { status: 0, stdout: 'end' }, stderr)
    },
  )
}

// A disk that fails: a loop device whose file is gone from under it.

function onFailingDisk(title: string, run: (t: ExecutionContext, disk: { device: string; fail(): void }) => unknown) {
  test.serial(`a disk that fails: ${title}`, async (t) => {
    if (mountFileSystem(t, 'ext4', small) === undefined) return
    const image = join(scratchFolder(t), 'image')
    writeFileSync(image, Buffer.alloc(4 * MiB, 7))
    const device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim()
    t.teardown(() => spawnSync('losetup', ['-d', device]))
    execFileSync('blockdev', ['--setra', '0', device])
    const fail = () => {
      truncateSync(image, 0)
      execFileSync('blockdev', ['--flushbufs', device])
    }
    await run(t, { device, fail })
  })
}

onFailingDisk('a page that cannot be read is a fault of kind "io"', async (t, { device, fail }) => {
  const reports = new Reports()
  using map = mapShared(device, reports.options)
  t.is(map.length, 4 * MiB)
  t.is(map.buffer[0], 7)
  fail()
  t.is(map.buffer[MiB], 0)
  t.is(map.faults, 1)
  await reports.told(1)
  t.like(reports.faults, [{ kind: 'io', offset: MiB, length: pageSize, contained: true }])
  const error = t.throws(() => map.read(2 * MiB, 10), { code: 'ERR_MMAP_FAULT' })
  t.like((error as unknown as MemoryFaultError).fault, { kind: 'io', offset: 2 * MiB })
  const fd = openSync(device, 'r')
  t.teardown(() => closeSync(fd))
  t.throws(() => readSync(fd, Buffer.alloc(1), 0, 1, 3 * MiB), { code: 'EIO' }, 'the disk does fail')
})

onFailingDisk('private pages that were stored to keep their bytes', async (t, { device, fail }) => {
  const reports = new Reports()
  using map = mapPrivate(device, reports.options)
  const pages = map.length / pageSize
  for (let page = 0; page < pages; page += 2) map.buffer[page * pageSize] = 0x55
  fail()
  for (let page = 1; page < pages; page += 2) t.is(map.buffer[page * pageSize], 0)
  t.true(map.faults > 0)
  settle(map)
  await reports.told(1)
  const lost: number[] = []
  for (let page = 0; page < pages; page += 2) if (map.buffer[page * pageSize] !== 0x55) lost.push(page)
  t.is(lost.length, 0, `lost: pages ${lost.slice(0, 20)}...`)
})

test.after.always('no mount and no loop device is left', async (t) => {
  const isLeft = (list: string) => scratchFolders.filter((folder) => list.includes(folder))
  t.deepEqual(existsSync('/proc/mounts') ? isLeft(readFileSync('/proc/mounts', 'utf8')) : [], [])
  if (existsSync('/sbin/losetup') || existsSync('/usr/sbin/losetup')) {
    const left = () => isLeft(spawnSync('losetup', ['-a'], { encoding: 'utf8' }).stdout ?? '')
    await until(() => left().length === 0) // another program that lists them has each open for a moment
    t.deepEqual(left(), [])
  }
})
