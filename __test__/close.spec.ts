// close(): what it frees, and what a closed mapping still says.

import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'

import test from 'ava'
import { mapAnonymous, mapPrivate, mapShared, MemoryMap, pageSize, type WasmMemory } from 'memory-map'

import { isCodedError, throwsCodedError } from './helpers/errors.ts'
import { areaAt, descriptors } from './helpers/memory.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { areasOfFile } from './helpers/observe.mjs'
import { kindsHere, onLinux } from './helpers/platform.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'

const contents = pattern(3 * pageSize + 100)
const closed = { instanceOf: Error, code: 'ERR_MMAP_CLOSED', says: ['closed'] }

const makers: [what: string, make: (path: string) => MemoryMap][] = [
  ['a shared mapping', (path) => mapShared(path, { protection: 'read-write' })],
  [
    'a shared mapping from inside a page',
    (path) => mapShared(path, { protection: 'read-write', offset: pageSize + 9 }),
  ],
  ['a private mapping', (path) => mapPrivate(path)],
  ['an anonymous mapping', () => mapAnonymous(contents.length)],
  ['a shared anonymous mapping', () => mapAnonymous(contents.length, { shared: true })],
]

/** Every member that needs the memory, and how it is used. */
const uses: Record<string, ((map: MemoryMap) => unknown)[]> = {
  advise: [(map) => map.advise('normal'), (map) => map.advise('dontneed', { length: 0 })],
  arrayBuffer: [(map) => map.arrayBuffer],
  buffer: [(map) => map.buffer],
  check: [(map) => map.check()],
  count: [(map) => map.count('a'), (map) => map.count('a', { length: 0 })],
  countAsync: [(map) => map.countAsync('a'), (map) => map.countAsync('a', { length: 0 })],
  createReadStream: [(map) => map.createReadStream()],
  createWriteStream: [(map) => map.createWriteStream()],
  dataView: [(map) => map.dataView()],
  find: [(map) => map.find('a'), (map) => map.find('a', { length: 0 })],
  handle: [(map) => map.handle],
  includes: [(map) => map.includes('a')],
  indexOf: [(map) => map.indexOf('a'), (map) => map.indexOf('')],
  into: [(map) => map.into({} as WasmMemory, 0)],
  lastIndexOf: [(map) => map.lastIndexOf('a')],
  lines: [(map) => [...map.lines()]],
  lock: [(map) => map.lock(), (map) => map.lock({ length: 0 })],
  prefetch: [(map) => map.prefetch(), (map) => map.prefetch({ signal: AbortSignal.abort() })],
  protect: [(map) => map.protect('read'), (map) => map.protect('read', { length: 0 })],
  read: [(map) => map.read(), (map) => map.read(0, 0)],
  readTyped: [(map) => map.readTyped(Uint8Array)],
  residency: [(map) => map.residency(), (map) => map.residency({ length: 0 })],
  resize: [(map) => map.resize(0), (map) => map.resize(map.length)],
  sync: [(map) => map.sync(), (map) => map.sync({ length: 0 }), (map) => map.sync({ signal: AbortSignal.abort() })],
  syncSync: [(map) => map.syncSync(), (map) => map.syncSync({ length: 0 })],
  toString: [(map: MemoryMap) => map.toString(), (map: MemoryMap) => map.toString('latin1', 0, 0)],
  typedArray: [(map) => map.typedArray(Uint8Array), (map) => map.typedArray(Float64Array, 0, 0)],
  unlock: [(map) => map.unlock(), (map) => map.unlock({ length: 0 })],
  view: [(map) => map.view(), (map) => map.view(0, 0)],
  write: [(map) => map.write(Buffer.of(1)), (map) => map.write(new Uint8Array())],
}

/** The members that work after close. */
const harmless = [
  'address',
  'close',
  'closeAsync',
  'closed',
  'constructor',
  'faults',
  'fd',
  'kind',
  'length',
  'offset',
  'path',
  'protection',
  'toJSON',
]

test('these tests know every member of MemoryMap', (t) => {
  const members = Object.getOwnPropertyNames(MemoryMap.prototype)
  t.deepEqual(
    members.filter((name) => !harmless.includes(name)).sort(),
    Object.keys(uses),
    'a new member must say ERR_MMAP_CLOSED after close: add it to `uses`',
  )
})

for (const [what, make] of kindsHere(makers)) {
  test(`after close every use of ${what} is ERR_MMAP_CLOSED`, async (t) => {
    for (const before of [() => {}, (map: MemoryMap) => map.buffer]) {
      const map = make(scratchFile(t, contents))
      before(map)
      t.false(map.closed)
      t.is(map.close(), undefined)
      t.true(map.closed)
      for (const use of Object.values(uses).flat()) {
        if (/\.(sync|prefetch|find|countAsync)\(/.test(String(use)))
          isCodedError(t, await t.throwsAsync(use(map) as Promise<void>), closed)
        else
          isCodedError(
            t,
            t.throws(() => use(map), undefined, String(use)),
            closed,
          )
      }
    }
  })

  test(`after close ${what} still says what it was`, (t) => {
    const path = scratchFile(t, contents)
    const map = make(path)
    const { kind, offset, protection } = map
    const givenPath = map.path
    map.close()
    t.deepEqual(
      { ...describe(map) },
      { kind, offset, protection, path: givenPath, fd: undefined, address: 0n, faults: 0 },
    )
    t.regex(inspect(map), /^MemoryMap \{ kind: '\w+',.* fd: undefined,.* closed: true, faults: 0 \}$/)
  })

  test(`after close every view of ${what} is empty`, (t) => {
    const map = make(scratchFile(t, contents))
    const views = [
      map.buffer,
      map.view(),
      map.view(5, 10),
      map.buffer.subarray(7),
      map.typedArray(Uint8Array, 3),
      new Uint8Array(map.arrayBuffer),
    ]
    const data = map.dataView(1, 8)
    const { arrayBuffer } = map
    for (const view of views) t.true(view.length > 0)
    map.close()
    for (const view of views) {
      t.is(view.length, 0)
      view[0] = 1
      t.is(Reflect.get(view, '0'), undefined)
    }
    t.is(arrayBuffer.byteLength, 0)
    t.throws(() => data.getUint8(0), { instanceOf: TypeError })
    t.throws(() => new Uint8Array(arrayBuffer), { instanceOf: TypeError })
  })

  onLinux(`close of ${what} gives the file and the descriptor back at once`, (t) => {
    for (const before of [() => {}, (map: MemoryMap) => map.view(1, 1)]) {
      const path = scratchFile(t, contents)
      const map = make(path)
      const view = before(map)
      const fd = map.fd
      if (fd !== undefined) t.true(descriptors().has(fd))
      const { address } = map
      t.truthy(areaAt(address)!.permissions)
      const isFile = map.kind !== 'anonymous'
      t.is(areasOfFile(path), isFile ? 1 : 0)
      map.close()
      t.is(areasOfFile(path), 0)
      t.false([...descriptors().values()].includes(path))
      if (fd !== undefined) t.false(descriptors().get(fd)?.startsWith('/memfd:') ?? false)

      // Where no view was made not even the addresses are kept.
      if (view === undefined && isFile) t.not(areaAt(address)?.name, path)
    }
  })

  test(`${what} can be closed twice`, (t) => {
    const map = make(scratchFile(t, contents))
    const view = map.view()
    map.close()
    map.close()
    map[Symbol.dispose]()
    t.true(map.closed)
    t.is(view.length, 0)
  })

  test(`\`using\` closes ${what} at the end of its block`, (t) => {
    let leaked: MemoryMap
    let view: Buffer
    {
      using map = make(scratchFile(t, contents))
      leaked = map
      view = map.view(0, 50)
      t.is(view.length, 50)
      t.false(map.closed)
    }
    t.true(leaked.closed)
    t.is(view.length, 0)
  })
}

function describe({ kind, offset, protection, path, fd, address, faults }: MemoryMap) {
  return { kind, offset, protection, path, fd, address, faults }
}

test('`using` closes a mapping when an error leaves its block', (t) => {
  let map: MemoryMap | undefined
  t.throws(
    () => {
      using mapped = mapAnonymous(10)
      map = mapped
      throw new Error('out of the block')
    },
    { message: 'out of the block' },
  )
  t.true(map!.closed)
})

test('closing a mapping larger than a Buffer empties all its views', (t) => {
  const map = mapShared(sparseFile(t, 6 * 2 ** 30))
  const views = [0, 1, 2, 3, 4, 5].map((place) => map.view(place * 2 ** 30 + 5, 1000))
  t.true(views.every(({ length }) => length === 1000))
  map.close()
  t.true(views.every(({ length }) => length === 0))
})

onLinux('closing a mapping does not affect others of the same file', (t) => {
  const path = scratchFile(t, contents)
  const a = mapShared(path, { protection: 'read-write' })
  using b = mapShared(path)
  const { buffer } = b
  a.buffer[3] = 99
  a.close()
  t.is(buffer[3], 99)
  t.is(areasOfFile(path), 1)
})

test('stores made before close are in the file, without a sync', (t) => {
  const path = scratchFile(t, contents)
  const map = mapShared(path, { protection: 'read-write' })
  map.buffer.fill(0x3c)
  map.close()
  using again = mapShared(path)
  t.true(again.buffer.every((byte) => byte === 0x3c))
})

test('close frees memory, and the blocks of a file that was removed', (t) => {
  const folder = mountFileSystem(t, 'tmpfs')?.folder
  if (folder === undefined) return
  const free = () => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  }
  const length = 16 << 20
  const before = free()
  for (const [what, make] of [
    ['shared', (path: string) => mapShared(path, { protection: 'read-write' })],
    ['private', (path: string) => mapPrivate(path)],
  ] as const) {
    const path = join(folder, what)
    const fd = openSync(path, 'w')
    writeSync(fd, Buffer.alloc(length, 1))
    closeSync(fd)
    const map = make(path)
    // Views keep addresses, and nothing else.
    const views = [map.buffer, map.view(pageSize), map.typedArray(Float64Array)]
    t.is(views[1]![0], 1)
    rmSync(path)
    t.true(free() <= before - length, what)
    map.close()
    t.true(free() > before - (length >> 4), what)
    t.is(views[0]!.length, 0)
  }
})

// sync and close

test('a sync settles if the mapping is closed meanwhile', async (t) => {
  for (let i = 0; i < 100; i++) {
    const map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
    map.buffer.fill(i)
    const syncs = Array.from({ length: 8 }, (_, page) => map.sync({ offset: (page % 4) * pageSize, length: 50 }))
    const aborted = map.sync({ signal: AbortSignal.timeout(0) }).then(
      () => 'done',
      (error: Error) => error.name,
    )
    if (i % 2 === 0) await syncs[0]
    map.close()
    t.deepEqual(new Set(await Promise.all(syncs)), new Set([undefined]))
    t.true(['done', 'AbortError'].includes(await aborted))
    isCodedError(t, await t.throwsAsync(map.sync()), closed)
  }
})

const CLOSE_SCRIPT = `
import fs from 'node:fs'
const { mapShared, mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
fs.writeFileSync('file', Buffer.alloc(8_000_000))
const syncs = []
for (let i = 0; i < 50; i++) {
  const map = mapShared('file', { protection: 'read-write' })
  const { buffer } = map
  buffer.fill(i + 1, i * 1000)
  syncs.push(map.sync(), map.sync({ offset: i * 1000, length: 4096 }))
  if (i % 3 === 0) await syncs[0]
  map.close()
  if (buffer.length !== 0) throw new Error('not empty')
  try {
    map.view()
    throw new Error('still open')
  } catch (error) {
    if (error.code !== 'ERR_MMAP_CLOSED') throw error
  }
}
const ends = await Promise.allSettled(syncs)
console.log(ends.filter(({ status }) => status === 'fulfilled').length, 'of', ends.length)
console.log(fs.readFileSync('file')[7_999_999])
`

for (const runtime of runtimes()) {
  test(`close during sync does no harm (${runtime.name} ${runtime.version})`, async (t) => {
    const { code, signal, stdout, stderr } = await runScript(runtime, CLOSE_SCRIPT)
    t.is(stdout, '100 of 100\n50\n', stderr)
    t.deepEqual([code, signal], [0, null])
  })
}

test('close() called by the constructor of a typed array does no harm', (t) => {
  const map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
  class Closing extends Uint8Array {
    constructor(...args: [ArrayBuffer, number, number]) {
      map.close()
      super(...args)
    }
  }
  t.throws(() => map.typedArray(Closing), { instanceOf: TypeError })
  t.true(map.closed)
})

test('close() called by a getter of an option does no harm', (t) => {
  const map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
  const range = {
    get offset() {
      map.close()
      return 0
    },
  }
  throwsCodedError(t, () => map.protect('none', range), closed)
  t.true(map.closed)
})
