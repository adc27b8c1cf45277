// The five uses of mmap: shared memory, a private copy, one copy of a file for all processes, pages that are loaded when
// they are touched, and memory without a file. Where a use is about processes, there is a second one.

import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, pageSize } from 'memory-map'

import { figuresAt } from './helpers/memory.ts'
import { isWindows, onLinux, onPosix, where } from './helpers/platform.ts'
import { Peer, run } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { scratchFile, scratchFolder } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const host = runtimes()[0]!
const MiB = 2 ** 20
const readWrite = { protection: 'read-write' } as const
const label = ({ name, version }: Runtime) => `${name} ${version}`

const hasPython = !isWindows && (await run('python3', ['--version']).catch(() => undefined))?.code === 0
const withPython = where(hasPython, 'needs Python')

/** A file of `size` random bytes, and these bytes. */
function randomFile(t: ExecutionContext, size: number): { path: string; bytes: Buffer } {
  const bytes = randomBytes(size)
  return { path: scratchFile(t, bytes), bytes }
}

// Shared memory.

for (const runtime of runtimes()) {
  test(`a shared store is in the file, and seen at once by another process (${label(runtime)}), both ways`, async (t) => {
    const { path, bytes } = randomFile(t, 3 * pageSize + 10)
    const map = mapShared(path, readWrite)
    const peer = await Peer.start(t, runtime)
    await peer.run(`map = lib.mapShared(${JSON.stringify(path)}, { protection: 'read-write' })`)
    t.is(await peer.run('map.buffer.toString("hex")'), bytes.toString('hex'))

    for (let turn = 0; turn < 20; turn++) {
      const offset = (turn * 641) % (map.length - 8)
      map.buffer.writeUInt32LE(turn, offset)
      t.is(await peer.run(`map.buffer.readUInt32LE(${offset})`), turn)
      await peer.run(`map.buffer.writeUInt32LE(${turn * 7}, ${offset + 4}); 0`)
      t.is(map.buffer.readUInt32LE(offset + 4), turn * 7)
      bytes.writeUInt32LE(turn, offset)
      bytes.writeUInt32LE(turn * 7, offset + 4)
      t.true(readFileSync(path).equals(bytes), 'a reader of the file sees something else')
    }
    map.close()
  })
}

test('a shared store is in the file even if the process is killed right after it', async (t) => {
  const { path, bytes } = randomFile(t, pageSize)
  const peer = await Peer.start(t, host)
  await peer.run(`map = lib.mapShared(${JSON.stringify(path)}, { protection: 'read-write' }); 0`)
  await peer.run('map.buffer.write("last words", 100)')
  const { signal } = await peer.kill()

  t.is(signal, 'SIGKILL')
  bytes.write('last words', 100)
  t.deepEqual(readFileSync(path), bytes)
})

onLinux('a shared store is on the disk when sync() has resolved', async (t) => {
  const { path } = randomFile(t, 4 * pageSize)
  const map = mapShared(path, readWrite)
  for (const sync of [() => map.sync(), () => map.syncSync()]) {
    // The system writes by itself, too, at times.
    await until(() => {
      map.buffer[pageSize]! ^= 1
      map.buffer[3 * pageSize]! ^= 1
      return figuresAt(map.address).dirty >= 2 * pageSize
    })
    await sync()
    t.is(figuresAt(map.address).dirty, 0)
  }
  map.close()
})

// A private copy.

test('a private store is seen by no other process and never reaches the file', async (t) => {
  const { path, bytes } = randomFile(t, 5 * pageSize + 10)
  const ours = mapPrivate(path)
  const shared = mapShared(path)
  const another = mapPrivate(path)
  const peer = await Peer.start(t, host)
  await peer.run(`[shared, ours] = [lib.mapShared, lib.mapPrivate].map((map) => map(${JSON.stringify(path)})); 0`)

  ours.buffer.fill('mine', pageSize + 1, 3 * pageSize)
  ours.write(Buffer.from('mine too'), 5 * pageSize)

  const nobodySees = async () => {
    t.true(shared.buffer.equals(bytes), 'a shared mapping of this process')
    t.true(another.buffer.equals(bytes), 'another private mapping of this process')
    t.is(await peer.run('shared.buffer.toString("hex")'), bytes.toString('hex'), 'a shared mapping elsewhere')
    t.is(await peer.run('ours.buffer.toString("hex")'), bytes.toString('hex'), 'a private mapping elsewhere')
    t.true(readFileSync(path).equals(bytes), 'the file')
  }
  await nobodySees()
  t.is(ours.read(5 * pageSize, 8).toString(), 'mine too')
  t.is(ours.view(pageSize, 9).subarray(1).toString(), 'minemine')
  t.is(ours.view(0, pageSize).compare(bytes.subarray(0, pageSize)), 0, 'the page before has changed')

  t.throws(() => ours.syncSync(), { code: 'ERR_MMAP_NOT_SHARED' })
  await t.throwsAsync(ours.sync(), { code: 'ERR_MMAP_NOT_SHARED' })
  ours.close()
  await nobodySees()
  shared.close()
  another.close()
})

onPosix('a private mapping of a read-only file can be stored to', (t) => {
  const { path, bytes } = randomFile(t, pageSize)
  const fd = openSync(path, 'r')
  const map = mapPrivate(fd)
  t.throws(() => mapShared(fd, readWrite), { code: 'EACCES' })
  closeSync(fd)

  map.buffer.fill(0)

  t.deepEqual(map.read(), Buffer.alloc(pageSize))
  t.deepEqual(readFileSync(path), bytes)
  map.close()
})

onLinux('a private mapping has memory of its own only for the pages that were stored to', (t) => {
  const { path } = randomFile(t, 8 * MiB)
  const map = mapPrivate(path)
  sumOfPages(map.buffer)
  t.is(figuresAt(map.address).rss, 8 * MiB)
  t.is(figuresAt(map.address).own, 0)

  for (const page of [0, 7, 100]) map.buffer[page * pageSize] = 1
  t.is(figuresAt(map.address).own, 3 * pageSize)
  map.close()
})

// One copy in memory for all.

/** Touches each page. */
function sumOfPages(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += pageSize) sum += bytes[at]!
  return sum
}

onLinux('two processes that have read a file through mappings share its pages in memory', async (t) => {
  const size = 48 * MiB
  const { path, bytes } = randomFile(t, size)
  const map = mapShared(path)
  const peer = await Peer.start(t, host)
  await peer.run(`map = lib.mapShared(${JSON.stringify(path)}); 0`)
  const address = BigInt((await peer.run('String(map.address)')) as string)

  t.is(sumOfPages(map.buffer), sumOfPages(bytes))
  const alone = figuresAt(map.address)
  t.is(alone.rss, size)
  t.true(alone.pss > 0.95 * size, `${alone.pss} bytes before the other process has read`)
  t.is(figuresAt(address, peer.pid).rss, 0)

  const sum = await peer.run(`sum = 0; for (let at = 0; at < map.length; at += ${pageSize}) sum += map.buffer[at]; sum`)
  t.is(sum, sumOfPages(bytes))
  for (const figures of [figuresAt(map.address), figuresAt(address, peer.pid)]) {
    t.is(figures.rss, size)
    t.true(figures.pss > 0.45 * size && figures.pss < 0.55 * size, `${figures.pss} bytes`)
    t.is(figures.own, 0)
  }

  await peer.run('map.close()')
  t.true(figuresAt(map.address).pss > 0.95 * size, 'after the other process has closed')
  map.close()
})

// Pages that load when they are touched.

/** A file of 1 TiB without a block on disk; undefined where the file system cannot have one. */
function terabyteFile(t: ExecutionContext): string | undefined {
  const path = join(scratchFolder(t), 'sparse')
  const fd = openSync(path, 'w')
  try {
    ftruncateSync(fd, 2 ** 40)
  } catch (error) {
    t.log(`skipped: no file of 1 TiB here (${(error as NodeJS.ErrnoException).code})`)
    t.pass()
    return undefined
  } finally {
    closeSync(fd)
  }
  return path
}

onLinux('only the pages of a file of 1 TiB that are touched come into memory', (t) => {
  const path = terabyteFile(t)
  if (path === undefined) return
  const before = process.memoryUsage.rss()
  const map = mapShared(path)
  t.is(map.length, 2 ** 40)
  t.is(figuresAt(map.address).size, 2 ** 40)
  t.is(figuresAt(map.address).rss, 0, 'pages are there before the first touch')

  t.is(map.view(2 ** 39, 1)[0], 0)
  const touched = figuresAt(map.address).rss
  // The kernel brings the neighbours along that it has at hand: 64 KiB, or one large page.
  t.true(touched >= pageSize && touched <= 2 * MiB, `${touched} bytes`)

  t.is(map.view(2 ** 40 - 1, 1)[0], 0)
  t.is(map.read(12_345_678_901, 10).length, 10)
  const again = figuresAt(map.address).rss
  t.true(again > touched && again <= 6 * MiB, `${again} bytes`)
  t.true(process.memoryUsage.rss() - before < 100 * MiB)
  t.is(statSync(path).blocks, 0, 'reading has taken space on disk')
  map.close()
})

onLinux('a store to a file of 1 TiB takes the blocks of its page and no more', async (t) => {
  const path = terabyteFile(t)
  if (path === undefined) return
  const map = mapShared(path, readWrite)
  map.view(2 ** 39, 5).write('there')
  map.write(Buffer.from('too'), 2 ** 40 - 3)
  await map.sync({ offset: 2 ** 39, length: 5 })
  await map.sync({ offset: 2 ** 40 - 3 })
  map.close()

  const { size, blocks } = statSync(path)
  t.is(size, 2 ** 40)
  t.true(blocks > 0 && blocks * 512 <= MiB, `${blocks * 512} bytes on disk`)
  const again = mapShared(path, { offset: 2 ** 39, length: 5 })
  t.is(again.buffer.toString(), 'there')
  again.close()
})

onLinux('anonymous memory takes memory page by page', (t) => {
  const length = 16_000 * pageSize
  const map = mapAnonymous(length)
  const before = figuresAt(map.address)
  t.true(before.size >= length)
  for (let page = 0; page < 1000; page++) map.buffer[page * 16 * pageSize] = 1
  const grown = figuresAt(map.address).rss - before.rss
  t.true(grown >= 1000 * pageSize && grown < (hugePagesByDefault() ? Infinity : 1100 * pageSize), `${grown} bytes`)
  map.close()
})

onLinux('anonymous memory takes all its memory at once with `populate`', (t) => {
  const length = 16_000 * pageSize
  const map = mapAnonymous(length, { populate: true })
  t.true(figuresAt(map.address).rss >= length)
  map.close()
})

function hugePagesByDefault(): boolean {
  const setting = '/sys/kernel/mm/transparent_hugepage/enabled'
  return existsSync(setting) && readFileSync(setting, 'utf8').includes('[always]')
}

// Memory without a file.

test('anonymous memory is zeroed, even at addresses that were just in use', (t) => {
  for (let time = 0; time < 20; time++) {
    const map = mapAnonymous(MiB + 5)
    t.true(map.buffer.equals(Buffer.alloc(MiB + 5)))
    map.buffer.fill(0xff)
    map.close()
  }
})

test('two anonymous mappings share nothing', (t) => {
  const [one, other] = [mapAnonymous(pageSize), mapAnonymous(pageSize)]
  one.buffer.fill(1)
  t.deepEqual(other.read(), Buffer.alloc(pageSize))
  one.close()
  other.close()
})

onLinux('shared anonymous memory is zeroed and has a descriptor', (t) => {
  const map = mapAnonymous(MiB + 5, { shared: true })
  t.is(typeof map.fd, 'number')
  t.is(map.kind, 'anonymous')
  t.true(map.buffer.equals(Buffer.alloc(MiB + 5)))
  map.close()
})

for (const runtime of runtimes()) {
  onLinux(`anonymous memory is shared with a child (${label(runtime)}) through stdio, both ways`, async (t) => {
    const map = mapAnonymous(MiB + 5, { shared: true })
    map.buffer.write('from the parent, before')
    const peer = await Peer.start(t, runtime, [map.fd!])

    t.is(await peer.run('map = lib.mapShared(3, { protection: "read-write" }); map.length'), MiB + 5)
    t.is(await peer.run('map.buffer.toString("latin1", 0, 23)'), 'from the parent, before')
    await peer.run('map.buffer.write("from the child", lib.pageSize)')
    t.is(map.buffer.toString('latin1', pageSize, pageSize + 14), 'from the child')
    map.buffer.write('the end', MiB - 2)
    t.is(await peer.run(`map.view(${MiB - 2}).toString()`), 'the end')

    map.close()
    t.is(await peer.run('map.buffer.toString("latin1", 0, 23)'), 'from the parent, before', 'it is there for the child')
    t.like(await peer.end(), { code: 0, signal: null })
  })
}

withPython('anonymous memory is shared with a Python child through stdio, both ways', async (t) => {
  const length = 3 * pageSize
  const map = mapAnonymous(length, { shared: true })
  map.buffer.write('from Node')
  const peer = await Peer.startPython(t, [map.fd!])

  await peer.run(`m = mmap.mmap(3, ${length})`)
  t.is(await peer.run('m[0:9].decode()'), 'from Node')
  await peer.run(`m[${length - 11}:${length}] = b"from Python"`)
  t.is(map.view(length - 11).toString(), 'from Python')
  map.buffer.write('once more', pageSize)
  t.is(await peer.run(`m[${pageSize}:${pageSize + 9}].decode()`), 'once more')

  map.close()
  t.is(await peer.run('m[0:9].decode()'), 'from Node')
  t.like(await peer.end(), { code: 0, signal: null })
})

withPython('a file is shared with a Python process that maps it, both ways', async (t) => {
  const { path, bytes } = randomFile(t, pageSize)
  const map = mapShared(path, readWrite)
  const peer = await Peer.startPython(t)
  await peer.run(`m = mmap.mmap(os.open(${JSON.stringify(path)}, os.O_RDWR), 0)`)
  t.is(await peer.run('m[:].hex()'), bytes.toString('hex'))

  map.buffer[10] = 111
  t.is(await peer.run('m[10]'), 111)
  await peer.run('m[11] = 222')
  t.is(map.buffer[11], 222)
  map.close()
})

onLinux('a child gets the descriptor of a mapping only through stdio', async (t) => {
  const map = mapAnonymous(pageSize, { shared: true })
  const { path } = randomFile(t, pageSize)
  const shared = mapShared(path)
  const children = [await Peer.start(t, host), await Peer.start(t, host, [map.fd!])]
  const itsFiles =
    'fs.readdirSync("/proc/self/fd").map((fd) => { try { return fs.readlinkSync("/proc/self/fd/" + fd) } catch { return "" } })'

  const [without, withIt] = (await Promise.all(children.map((child) => child.run(itsFiles)))) as [string[], string[]]

  const isOurs = (target: string) => target.startsWith('/memfd:') || target === path
  t.deepEqual(without.filter(isOurs), [])
  t.is(withIt.filter(isOurs).length, 1)
  map.close()
  shared.close()
})
