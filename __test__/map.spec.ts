// Making a mapping: what can be mapped, what each option does, and what a mapping says of itself. (Long: it tests each option.)

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

import test, { type ExecutionContext } from 'ava'
import {
  allocationGranularity,
  type FileMapOptions,
  type FileSource,
  type MapOptions,
  mapAnonymous,
  mapPrivate,
  mapShared,
  type MemoryMap,
  pageSize,
  type Protection,
} from 'memory-map'

import { areaAt, descriptorFlags, descriptors, figuresAt, residentPages } from './helpers/memory.ts'
import { isLinux, isWindows, kindsHere, onLinux, onPosix, truncating, withDescriptors } from './helpers/platform.ts'
import { scriptEnv } from './helpers/processes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { pattern, readAt, scratchFile, scratchFolder, sparseFile, writeAt } from './helpers/scratch.ts'

const host = runtimes()[0]!
const contents = pattern(3 * pageSize + 100)

/** Every way to map with a set of options that all of them take. */
const makers: [what: string, map: (path: string, options?: MapOptions) => MemoryMap][] = [
  ['a shared', (path, options) => mapShared(path, options)],
  ['a private', (path, options) => mapPrivate(path, options)],
  ['an anonymous', (_path, options) => mapAnonymous(contents.length, options)],
]

const fileMakers: [kind: string, map: (file: FileSource, options?: FileMapOptions) => MemoryMap][] = [
  ['shared', mapShared],
  ['private', mapPrivate],
]

// The three kinds

test('a shared mapping has the bytes of the file, and stores reach the file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { protection: 'read-write' })
  t.deepEqual(map.buffer, contents)
  map.buffer[5000] = 1
  map.buffer.write('at the end', contents.length - 10)
  const expected = Buffer.from(contents)
  expected[5000] = 1
  expected.write('at the end', contents.length - 10)
  t.deepEqual(readFileSync(path), expected)
})

test('a shared mapping shows what others write to the file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path)
  writeAt(path, 100, 'from the file')
  t.is(map.buffer.toString('latin1', 100, 113), 'from the file')
})

test('a private mapping has the bytes of the file, and stores do not reach the file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path)
  using other = mapPrivate(path)
  t.deepEqual(map.buffer, contents)
  map.buffer.fill(1)
  t.true(map.buffer.every((byte) => byte === 1))
  t.deepEqual(readFileSync(path), contents)
  t.deepEqual(other.buffer, contents)
})

test('an anonymous mapping is zeros of any length, and can be stored to', (t) => {
  for (const length of [1, 100, pageSize, pageSize + 1, 1_000_000]) {
    using map = mapAnonymous(length)
    t.is(map.length, length)
    t.true(map.buffer.equals(Buffer.alloc(length)))
    map.buffer.fill(0xff)
    t.true(map.buffer.equals(Buffer.alloc(length, 0xff)))
  }
})

test('two shared mappings of one file are the same memory', (t) => {
  const path = scratchFile(t, contents)
  using a = mapShared(path, { protection: 'read-write' })
  using b = mapShared(path, { offset: 1000 })
  a.buffer[1234] = 0xaa
  t.is(b.buffer[234], 0xaa)
  a.buffer[1234] = 0xbb
  t.is(b.buffer[234], 0xbb)
})

// offset and length

for (const [kind, map] of fileMakers) {
  test(`a ${kind} mapping starts at any byte of the file and ends at any other`, (t) => {
    const path = scratchFile(t, contents)
    const size = contents.length
    const edges = [0, 1, 7, 4095, 4096, 4097, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, size - 1, size]
    for (const offset of edges) {
      for (const end of [undefined, ...edges.filter((edge) => edge >= offset)]) {
        const at = `from ${offset} to ${end}`
        const part = contents.subarray(offset, end)
        using mapped = map(path, end === undefined ? { offset } : { offset, length: end - offset })
        t.is(mapped.offset, offset, at)
        t.is(mapped.length, part.length, at)
        t.true(mapped.read().equals(part), at)
        if (part.length > 0) t.true(mapped.buffer.equals(part), at)
      }
    }
  })

  test(`offset and length of a ${kind} mapping are numbers or bigints, and numbers when asked for`, (t) => {
    const path = scratchFile(t, contents)
    using a = map(path, { offset: 123n, length: 4567n })
    using b = map(path, { offset: 123, length: 4567n })
    using c = map(path, { offset: 123n, length: 4567 })
    for (const mapped of [a, b, c]) {
      t.is(mapped.offset, 123)
      t.is(mapped.length, 4567)
      t.deepEqual(mapped.buffer, contents.subarray(123, 123 + 4567))
    }
  })

  test(`the offset -0 of a ${kind} mapping is 0`, (t) => {
    using mapped = map(scratchFile(t, contents), { offset: -0 })
    t.is(mapped.offset, 0)
  })

  test(`the length of a ${kind} mapping is that of the file when it was mapped`, (t) => {
    const path = scratchFile(t, contents)
    using mapped = map(path)
    truncateSync(path, contents.length * 2)
    t.is(mapped.length, contents.length)
    t.is(mapped.buffer.length, contents.length)
  })

  test(`a ${kind} mapping can start past 4 GiB`, (t) => {
    const path = sparseFile(t, 2 ** 32 + 2 * pageSize)
    writeAt(path, 2 ** 32 + 17, 'far away')
    using mapped = map(path, { offset: 2n ** 32n + 17n })
    t.is(mapped.offset, 2 ** 32 + 17)
    t.is(mapped.buffer.toString('latin1', 0, 8), 'far away')
  })
}

test('the length of an anonymous mapping is a number or a bigint', (t) => {
  using map = mapAnonymous(5000n)
  t.is(map.length, 5000)
  t.is(map.buffer.length, 5000)
})

// protection

onLinux('by default a shared mapping is read-only, and others are writable', (t) => {
  const path = scratchFile(t, contents)
  for (const [what, map] of makers) {
    using mapped = map(path)
    t.is(mapped.protection, mapped.kind === 'shared' ? 'read' : 'read-write', what)
    t.is(areaAt(mapped.address)!.permissions.slice(0, 3), mapped.kind === 'shared' ? 'r--' : 'rw-', what)
  }
})

for (const [protection, bits] of [
  ['none', '---'],
  ['read', 'r--'],
  ['read-write', 'rw-'],
  ['read-execute', 'r-x'],
  ['read-write-execute', 'rwx'],
] as const) {
  onLinux(`the pages of every kind of mapping get protection '${protection}'`, (t) => {
    const path = scratchFile(t, contents)
    for (const [what, map] of makers) {
      using mapped = map(path, { protection })
      t.is(mapped.protection, protection, what)
      t.is(areaAt(mapped.address)!.permissions, bits + (mapped.kind === 'shared' ? 's' : 'p'), what)
    }
    using memory = mapAnonymous(pageSize, { protection, shared: true })
    t.is(areaAt(memory.address)!.permissions, `${bits}s`)
  })

  onLinux(`for '${protection}' the file is opened for no more than that`, (t) => {
    const path = scratchFile(t, contents)
    for (const [kind, map] of fileMakers) {
      using mapped = map(path, { protection })
      const access = descriptorFlags(mapped.fd!) & (constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR)
      const stores = kind === 'shared' && bits.includes('w')
      t.is(access, stores ? constants.O_RDWR : constants.O_RDONLY, kind)
    }
  })
}

// create, mode

test('create makes a missing file, with offset + length zeros', (t) => {
  const folder = scratchFolder(t)
  for (const [index, { offset, length }] of [
    { offset: 0, length: 10_000 },
    { offset: 0n, length: 1n },
    { offset: 5001, length: 77 },
    { offset: 2n ** 32n + 1n, length: 3 * pageSize },
  ].entries()) {
    const path = join(folder, `${index}`)
    using map = mapShared(path, { create: true, protection: 'read-write', offset, length })
    t.is(statSync(path).size, Number(offset) + Number(length))
    t.is(map.length, Number(length))
    t.is(map.offset, Number(offset))
    t.true(map.buffer.equals(Buffer.alloc(Number(length))))
    map.buffer[map.length - 1] = 7
    t.is(readAt(path, Number(offset) + Number(length) - 1, 1)[0], 7)
  }
})

test('create extends a shorter file and keeps its bytes', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { create: true, protection: 'read-write', offset: 50, length: 50_000 })
  t.is(statSync(path).size, 50_050)
  t.deepEqual(map.view(0, contents.length - 50), contents.subarray(50))
  t.true(map.view(contents.length - 50).equals(Buffer.alloc(50_050 - contents.length)))
})

test('create never shrinks a file', (t) => {
  const path = scratchFile(t, contents)
  for (const options of [{ length: 10 }, { length: 0 }, { offset: 5, length: 10 }, {}]) {
    using map = mapShared(path, { create: true, protection: 'read-write', ...options })
    t.is(map.length, options.length ?? contents.length)
    t.deepEqual(readFileSync(path), contents)
  }
})

test('create without a length maps a file as it is', (t) => {
  const path = scratchFile(t, contents)
  using all = mapShared(path, { create: true, protection: 'read-write' })
  t.deepEqual(all.buffer, contents)
  using rest = mapShared(path, { create: true, protection: 'read-write', offset: contents.length - 1 })
  t.is(rest.length, 1)
})

test('create without a length is refused where the file has no bytes to map, and changes nothing', (t) => {
  const path = scratchFile(t, contents)
  const create = { create: true, protection: 'read-write' } as const
  const needsLength = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', message: /"length" is needed/ }
  const missing = join(scratchFolder(t), 'missing')
  t.throws(() => mapShared(missing, create), needsLength)
  t.throws(() => mapShared(missing, { ...create, offset: 10 }), needsLength)
  t.false(existsSync(missing), 'nothing is made')
  for (const offset of [contents.length, contents.length + 1, 10 * contents.length]) {
    t.throws(() => mapShared(path, { ...create, offset }), needsLength)
  }
  t.is(statSync(path).size, contents.length)
  const empty = scratchFile(t, '')
  t.throws(() => mapShared(empty, create), needsLength)
  const fd = openSync(empty, 'r+')
  t.throws(() => mapShared(fd, create), needsLength)
  closeSync(fd)
  t.is(statSync(empty).size, 0)
})

test('create with length 0 makes an empty file and an empty mapping, which resize can extend', (t) => {
  const missing = join(scratchFolder(t), 'missing')
  using map = mapShared(missing, { create: true, protection: 'read-write', length: 0 })
  t.is(map.length, 0)
  t.is(statSync(missing).size, 0)
  map.resize(10)
  map.write(Buffer.from('by resize!'))
  t.is(readFileSync(missing, 'latin1'), 'by resize!')
})

test('create extends the file of a descriptor too', (t) => {
  const path = scratchFile(t, 'short')
  const fd = openSync(path, 'r+')
  t.teardown(() => closeSync(fd))
  using map = mapShared(fd, { create: true, protection: 'read-write', length: 9000 })
  t.is(statSync(path).size, 9000)
  t.is(map.buffer.toString('latin1', 0, 5), 'short')
})

test('create extends the file of a FileHandle too', async (t) => {
  const path = scratchFile(t, 'short')
  const handle = await open(path, 'r+')
  t.teardown(() => handle.close())
  using map = mapShared(handle, { create: true, protection: 'read-write', length: 19_000 })
  t.is(statSync(path).size, 19_000)
  t.is(map.length, 19_000)
})

test("create works with 'read-write-execute' as well", (t) => {
  const path = join(scratchFolder(t), 'new')
  using map = mapShared(path, { create: true, protection: 'read-write-execute', length: 10 })
  t.is(map.length, 10)
})

onPosix.serial('a file that create makes has the permissions of mode, less the umask', (t) => {
  const folder = scratchFolder(t)
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const modeOf = (name: string, options: { mode?: number | string }) => {
    const path = join(folder, name)
    mapShared(path, { create: true, protection: 'read-write', length: 1, ...options }).close()
    return statSync(path).mode & 0o7777
  }
  t.is(modeOf('default', {}), 0o666)
  t.is(modeOf('0', { mode: 0 }), 0)
  t.is(modeOf('600', { mode: 0o600 }), 0o600)
  t.is(modeOf('777', { mode: 0o777 }), 0o777)
  t.is(modeOf('0640, as text', { mode: '0640' }), 0o640)
  process.umask(0o027)
  t.is(modeOf('default, masked', {}), 0o640)
  t.is(modeOf('777, masked', { mode: 0o777 }), 0o750)
})

onPosix('mode does not change a file that exists', (t) => {
  const path = scratchFile(t, contents)
  chmodSync(path, 0o640)
  mapShared(path, { create: true, protection: 'read-write', length: 50_000, mode: 0o777 }).close()
  t.is(statSync(path).mode & 0o7777, 0o640)
})

test('without create no file is made, and none is changed', (t) => {
  const folder = scratchFolder(t)
  t.throws(() => mapShared(join(folder, 'missing'), { protection: 'read-write', length: 10 }), { code: 'ENOENT' })
  t.false(existsSync(join(folder, 'missing')))
  const path = scratchFile(t, contents)
  t.throws(() => mapShared(path, { protection: 'read-write', length: contents.length + 1 }))
  t.is(statSync(path).size, contents.length)
})

// allocate

const allocated = (path: string) => statSync(path).blocks * 512

onLinux('allocate reserves the blocks of the range; a new file has none without it', (t) => {
  const folder = scratchFolder(t)
  const length = 4 << 20
  const make = (name: string, allocate: boolean) => {
    const path = join(folder, name)
    mapShared(path, { create: true, protection: 'read-write', length, allocate }).close()
    t.is(statSync(path).size, length)
    return allocated(path)
  }
  t.true(make('allocated', true) >= length)
  t.true(make('sparse', false) < length / 4)
})

onLinux('allocate reserves no more than the range, and changes no bytes', (t) => {
  const path = sparseFile(t, 64 << 20)
  writeAt(path, 32 << 20, 'here')
  const offset = (32 << 20) - 5
  using map = mapShared(path, { protection: 'read-write', allocate: true, offset, length: 8 << 20 })
  t.is(map.buffer.toString('latin1', 5, 9), 'here')
  t.true(map.view(9).equals(Buffer.alloc(map.length - 9)))
  t.true(allocated(path) >= 8 << 20)
  t.true(allocated(path) < 16 << 20)
  t.is(statSync(path).size, 64 << 20)
})

// populate, reserve, address

for (const [what, map] of makers) {
  onLinux(`populate brings the pages of ${what} mapping in; without it they come when they are touched`, (t) => {
    const path = scratchFile(t, contents)
    const pages = Math.ceil(contents.length / pageSize)
    for (const address of [undefined, freeAddress()]) {
      using populated = map(path, { populate: true, address })
      t.is(residentPages(populated.address, contents.length), pages)
      using lazy = map(path, { address })
      t.is(residentPages(lazy.address, contents.length), 0)
      t.is(lazy.buffer[2 * pageSize], what === 'an anonymous' ? 0 : contents[2 * pageSize])
      t.true(residentPages(lazy.address, contents.length) > 0)
    }
  })

  onLinux(`${what} mapping is populated whatever its protection is`, (t) => {
    const path = scratchFile(t, contents)
    for (const protection of ['none', 'read'] as const) {
      using mapped = map(path, { populate: true, protection })
      t.is(mapped.length, contents.length, protection)
    }
  })

  onLinux(`reserve: false is MAP_NORESERVE for ${what} mapping`, (t) => {
    if (readFileSync('/proc/sys/vm/overcommit_memory', 'latin1').trim() === '2') {
      t.log('this system reserves always (vm.overcommit_memory is 2)')
      return t.pass()
    }
    const path = scratchFile(t, contents)
    const isReserved = (mapped: MemoryMap) => !figuresAt(mapped.address).flags.includes('nr')
    using byDefault = map(path)
    using reserved = map(path, { reserve: true })
    using unreserved = map(path, { reserve: false })
    t.deepEqual([byDefault, reserved, unreserved].map(isReserved), [true, true, false])
  })

  test.serial(`address is where ${what} mapping goes if that is free`, (t) => {
    const path = scratchFile(t, contents)
    const address = freeAddress()
    using mapped = map(path, { address })
    t.is(mapped.address, address)
    if (isLinux) t.is(areaAt(address)!.start, address)
  })

  test.serial(`if its address is taken, ${what} mapping goes elsewhere and leaves the memory there as it is`, (t) => {
    const path = scratchFile(t, contents)
    const address = freeAddress()
    using there = map(path, { address, protection: 'read-write' })
    there.buffer.fill(0x11)
    using elsewhere = map(path, { address })
    t.not(elsewhere.address, address)
    t.is(elsewhere.length, contents.length)
    elsewhere.protect('none')
    t.true(there.buffer.every((byte) => byte === 0x11))
  })
}

test.serial('a mapping that starts inside a page has that page at the address that was asked for', (t) => {
  const path = scratchFile(t, contents)
  const address = freeAddress()
  using map = mapPrivate(path, { address, offset: pageSize + 10 })
  t.is(map.address, address + BigInt((pageSize + 10) % allocationGranularity))
  t.deepEqual(map.buffer, contents.subarray(pageSize + 10))
})

/** An address deep inside a large gap: nothing is mapped there, and the system will not choose it soon. */
function freeAddress(): bigint {
  const size = isWindows ? 2 ** 30 : 2 ** 36 // which Windows does reserve
  const large = mapAnonymous(size, { reserve: false, protection: 'none' })
  const middle = large.address + BigInt(size / 2)
  large.close()
  return middle
}

onLinux('1 TiB of memory can be mapped with reserve: false', (t) => {
  using map = mapAnonymous(2 ** 40, { reserve: false })
  t.is(map.write(Buffer.from('the end'), 2 ** 40 - 7), 7)
  t.is(map.read(2n ** 40n - 7n).toString(), 'the end')
})

// shared

onLinux('a shared anonymous mapping has a descriptor, which reads and writes its memory', (t) => {
  using map = mapAnonymous(2 * pageSize, { shared: true })
  t.is(map.kind, 'anonymous')
  const fd = map.fd!
  t.is(fstatSync(fd).size, 2 * pageSize)
  t.regex(descriptors().get(fd)!, /^\/memfd:/)
  map.buffer.write('from the mapping', 5000)
  const bytes = Buffer.alloc(16)
  readSync(fd, bytes, 0, 16, 5000)
  t.is(bytes.toString(), 'from the mapping')
  writeSync(fd, 'from the file', 100)
  t.is(map.buffer.toString('latin1', 100, 113), 'from the file')
})

onLinux('the descriptor of a shared anonymous mapping can be mapped, and is the same memory', (t) => {
  using map = mapAnonymous(2 * pageSize, { shared: true })
  using again = mapShared(map.fd!)
  map.buffer.write('from the mapping', 5000)
  t.deepEqual(again.buffer, map.buffer)
})

// guard, onFault

const GUARD_SCRIPT = `
import fs from 'node:fs'
const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
fs.writeFileSync('file', Buffer.alloc(100_000, 1))
const told = []
const map = mapShared('file', { ...JSON.parse(process.argv[2]), onFault: (fault) => told.push(fault.kind) })
const { buffer } = map
fs.truncateSync('file', 0)
console.log('reads', buffer[50_000], 'faults', map.faults)
while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
console.log('told', ...told)
`

truncating('onFault is called for a fault, which ends no process', async (t) => {
  for (const options of [{}, { guard: true }]) {
    const guarded = await runScript(host, GUARD_SCRIPT, { args: [JSON.stringify(options)] })
    t.is(guarded.stdout, 'reads 0 faults 1\ntold beyond-end\n', guarded.stderr)
    t.deepEqual([guarded.code, guarded.signal], [0, null])
  }
})

truncating('a fault without the guard ends the process', async (t) => {
  const unguarded = await runScript(host, GUARD_SCRIPT, { args: [JSON.stringify({ guard: false })] })
  t.deepEqual([unguarded.code, unguarded.signal], [null, 'SIGBUS'], unguarded.stderr)
  t.is(unguarded.stdout, '')
})

// Ways to name a file

for (const [kind, map] of fileMakers) {
  test(`a ${kind} mapping is made of a path, absolute or relative`, (t) => {
    const path = scratchFile(t, contents, 'ä name 100% + é.bin')
    for (const given of [path, relative(process.cwd(), path)]) {
      using mapped = map(given)
      t.deepEqual(mapped.buffer, contents)
      t.is(mapped.path, given)
    }
  })

  onPosix(`a ${kind} mapping is made of a path in a Buffer, whatever bytes it has`, (t) => {
    const folder = scratchFolder(t)
    const plain = Buffer.from(join(folder, 'plain'))
    const notText = Buffer.concat([Buffer.from(join(folder, 'x')), Buffer.from([0xff, 0xfe, 0x80, 0xc3, 0x28])])
    for (const path of [plain, notText]) {
      writeFileSync(path, contents)
      using mapped = map(path)
      t.deepEqual(mapped.buffer, contents)
      t.is(mapped.path, path.toString())
    }
  })

  test(`a ${kind} mapping is made of a file URL`, (t) => {
    const path = scratchFile(t, contents, isWindows ? 'a b#cd%41.bin' : 'a b#c?d%41.bin')
    using mapped = map(pathToFileURL(path))
    t.deepEqual(mapped.buffer, contents)
    t.is(mapped.path, path)
    t.is(mapped.path, fileURLToPath(pathToFileURL(path)))
  })

  test(`a ${kind} mapping is made of a descriptor, which stays the caller's, at its position`, (t) => {
    const path = scratchFile(t, contents)
    const fd = openSync(path, 'r+')
    readSync(fd, Buffer.alloc(10), 0, 10, null)
    const mapped = map(fd, { protection: 'read-write' })
    t.is(mapped.path, undefined)
    t.not(mapped.fd, fd)
    if (!isWindows) t.is(fstatSync(mapped.fd!).ino, fstatSync(fd).ino)
    t.deepEqual(mapped.buffer, contents)
    const next = Buffer.alloc(10)
    readSync(fd, next, 0, 10, null)
    t.deepEqual(next, contents.subarray(10, 20))
    mapped.close()
    t.is(fstatSync(fd).size, contents.length)
    closeSync(fd)
  })

  test(`a ${kind} mapping works after the caller has closed the descriptor`, (t) => {
    const path = scratchFile(t, contents)
    const fd = openSync(path, 'r+')
    using mapped = map(fd, { protection: 'read-write' })
    closeSync(fd)
    t.deepEqual(mapped.buffer, contents)
    mapped.buffer[10] = 0
    t.is(mapped.read(10, 1)[0], 0)
    if (!isWindows) t.is(fstatSync(mapped.fd!).size, contents.length)
    if (kind === 'shared') mapped.syncSync()
  })

  test(`a ${kind} mapping is made of a FileHandle, which stays the caller's`, async (t) => {
    const path = scratchFile(t, contents)
    const handle = await open(path, 'r+')
    const mapped = map(handle, { protection: 'read-write' })
    t.is(mapped.path, undefined)
    t.not(mapped.fd, handle.fd)
    t.deepEqual(mapped.buffer, contents)
    mapped.close()
    t.is((await handle.stat()).size, contents.length)
    await handle.close()
  })

  test(`a ${kind} mapping works after the caller has closed the FileHandle`, async (t) => {
    const handle = await open(scratchFile(t, contents), 'r+')
    using mapped = map(handle)
    await handle.close()
    t.deepEqual(mapped.buffer, contents)
    if (!isWindows) t.is(fstatSync(mapped.fd!).size, contents.length)
  })

  onPosix(`a ${kind} mapping works after its file was removed`, (t) => {
    const path = scratchFile(t, contents)
    using mapped = map(path)
    renameSync(path, `${path}.new`)
    rmSync(`${path}.new`)
    t.deepEqual(mapped.buffer, contents)
    t.is(mapped.path, path)
  })

  onLinux(`the descriptor of a ${kind} mapping is not passed on to child processes`, (t) => {
    const path = scratchFile(t, contents)
    const fd = openSync(path, 'r')
    t.teardown(() => closeSync(fd))
    using byPath = map(path)
    using byFd = map(fd)
    for (const mapped of [byPath, byFd]) t.not(descriptorFlags(mapped.fd!) & O_CLOEXEC, 0)
    const listed = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' })
    t.regex(listed, / -> /)
    t.notRegex(listed, /memory-map-test-/)
  })
}

/** By asm-generic/fcntl.h; Node has no name for it. */
const O_CLOEXEC = 0o2000000

onLinux('the descriptor of a shared anonymous mapping is not passed on to child processes by itself', (t) => {
  using map = mapAnonymous(pageSize, { shared: true })
  t.not(descriptorFlags(map.fd!) & O_CLOEXEC, 0)
})

test('descriptor 0 is mapped like any other if it is a file', (t) => {
  const path = scratchFile(t, contents)
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  const script = `
    import { mapShared } from 'memory-map'
    process.stdout.write(mapShared(0).buffer)
  `
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const args = ['--input-type=module', '--eval', script]
  const child = spawnSync(process.execPath, args, { cwd, env: scriptEnv(), stdio: [fd, 'pipe', 'inherit'] })
  t.deepEqual([child.status, child.signal], [0, null])
  t.deepEqual(child.stdout, contents)
})

test('a mapping may do no more to its file than the descriptor was opened for', (t) => {
  const path = scratchFile(t, contents)
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  using copy = mapPrivate(fd, { protection: 'read-write' })
  copy.buffer[0] = 1
  t.deepEqual(readFileSync(path), contents)
  t.throws(() => mapShared(fd, { protection: 'read-write' }), { code: 'EACCES' })
})

// Properties

test('the properties of a shared mapping say what it is', (t) => {
  const path = scratchFile(t, contents)
  const offset = pageSize + 3
  using map = mapShared(path, { offset, protection: 'read-write' })
  const { kind, length, protection, closed, faults } = map
  t.deepEqual(
    { kind, length, offset: map.offset, protection, path: map.path, closed, faults },
    {
      kind: 'shared',
      length: contents.length - offset,
      offset,
      protection: 'read-write',
      path,
      closed: false,
      faults: 0,
    },
  )
  t.is(map.address % BigInt(pageSize), 3n)
  if (!isWindows) t.is(fstatSync(map.fd!).ino, statSync(path).ino)
  if (!isLinux) return
  t.is(map.address, areaAt(map.address)!.start + 3n)
  t.is(areaAt(map.address)!.name, path)
})

test('the properties of a private mapping say what it is', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path, { length: 5 })
  const { kind, length, offset, protection } = map
  t.deepEqual(
    { kind, length, offset, protection, path: map.path },
    { kind: 'private', length: 5, offset: 0, protection: 'read-write', path },
  )
  if (!isWindows) t.is(fstatSync(map.fd!).ino, statSync(path).ino)
  if (isLinux) t.is(map.address, areaAt(map.address)!.start)
})

test('the properties of an anonymous mapping say what it is', (t) => {
  using map = mapAnonymous(12_345)
  const { kind, length, offset, protection, path, fd } = map
  t.deepEqual(
    { kind, length, offset, protection, path, fd },
    { kind: 'anonymous', length: 12_345, offset: 0, protection: 'read-write', path: undefined, fd: undefined },
  )
  t.is(map.address % BigInt(pageSize), 0n)
  if (isLinux) t.is(areaAt(map.address)!.permissions, 'rw-p')
})

test('the properties of a mapping cannot be changed', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { offset: 10 })
  const names = ['kind', 'length', 'offset', 'protection', 'path', 'fd', 'address', 'closed', 'faults', 'buffer']
  const properties = () => names.map((name) => (map as unknown as Record<string, unknown>)[name])
  const before = properties()
  for (const name of names) t.throws(() => Object.assign(map, { [name]: 'other' }), { instanceOf: TypeError }, name)
  t.deepEqual(properties(), before)
})

onPosix('the page size and the allocation granularity are those of the system', (t) => {
  t.is(pageSize, Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })))
  t.is(allocationGranularity, pageSize)
})

// util.inspect

test('util.inspect prints all properties on one line', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { offset: 4100, length: 50 })
  const address = `0x${map.address.toString(16)}`
  const line =
    `MemoryMap { kind: 'shared', length: 50, offset: 4100, protection: 'read', path: ${inspect(path)}, ` +
    `fd: ${map.fd}, address: '${address}', closed: false, faults: 0 }`
  t.is(inspect(map), line)
  t.is(inspect(map, { breakLength: 20, compact: false, colors: false, depth: 0 }), line)
  t.true(inspect({ nested: [map] }, { depth: 5 }).includes(line))
})

onPosix('util.inspect prints one line for unusual paths too', (t) => {
  const isOneLine = (map: MemoryMap) => {
    const line = inspect(map, { breakLength: 40 })
    t.regex(line, /^MemoryMap \{ kind: .+ \}$/)
    return line
  }
  const long = join('a'.repeat(100), 'b'.repeat(100))
  const folder = scratchFolder(t)
  execFileSync('mkdir', ['-p', join(folder, long)])
  for (const name of ['two\nlines', join(long, 'x'.repeat(200)), 'quotes \' " `', '\u001b[31mred']) {
    const path = join(folder, name)
    writeFileSync(path, contents)
    using map = mapPrivate(path)
    t.true(isOneLine(map).includes(inspect(path, { breakLength: Infinity, compact: true })))
  }
  using memory = mapAnonymous(10)
  t.regex(isOneLine(memory), /kind: 'anonymous'.* path: undefined, fd: undefined/)
  memory.close()
  t.regex(isOneLine(memory), /closed: true/)
})

// Nothing to map

const emptyMakers: [what: string, make: (t: ExecutionContext) => MemoryMap][] = [
  ['a shared mapping of an empty file', (t) => mapShared(scratchFile(t, ''), { protection: 'read-write' })],
  ['a private mapping of an empty file', (t) => mapPrivate(scratchFile(t, ''))],
  ['a mapping of length 0', (t) => mapShared(scratchFile(t, contents), { length: 0, protection: 'read-write' })],
  ['a mapping of length 0 inside a page', (t) => mapPrivate(scratchFile(t, contents), { offset: 5, length: 0 })],
  [
    'a mapping that starts at the end of the file',
    (t) => mapPrivate(scratchFile(t, contents), { offset: contents.length }),
  ],
  ['an anonymous mapping of length 0', () => mapAnonymous(0)],
  ['a shared anonymous mapping of length 0', () => mapAnonymous(0n, { shared: true })],
  [
    'an empty mapping with every option',
    (t) =>
      mapPrivate(scratchFile(t, ''), { populate: true, reserve: false, address: 65_536n, guard: false, length: 0 }),
  ],
]

for (const [what, make] of kindsHere(emptyMakers)) {
  test(`${what} has no bytes to read, write or view`, (t) => {
    using map = make(t)
    t.is(map.length, 0)
    t.is(map.address, 0n)
    t.is(map.read().length, 0)
    t.is(map.write(new Uint8Array()), 0)
    t.throws(() => map.write(new Uint8Array(1)), { code: 'ERR_OUT_OF_RANGE' })
    t.throws(() => map.view(0, 1), { code: 'ERR_OUT_OF_RANGE' })
    t.throws(() => map.view(1), { code: 'ERR_OUT_OF_RANGE' })
    t.is(map.buffer.length, 0)
    t.true(Buffer.isBuffer(map.buffer))
    t.is(map.buffer, map.buffer)
    t.is(map.arrayBuffer, map.buffer.buffer)
    t.is(map.view().length, 0)
    t.is(map.view(0, 0).length, 0)
    t.is(map.typedArray(Float64Array).length, 0)
    t.is(map.dataView().byteLength, 0)
  })

  test(`${what} can be checked, protected, synced and closed like any other`, async (t) => {
    using map = make(t)
    map.check()
    map.protect('read')
    t.is(map.protection, 'read')
    if (map.kind !== 'private' && map.fd !== undefined) {
      map.syncSync()
      await map.sync()
    }
    t.regex(inspect(map), /^MemoryMap \{ .*length: 0.* faults: 0 \}$/)
    map.close()
    t.true(map.closed)
    t.is(map.fd, undefined)
    t.throws(() => map.read(), { code: 'ERR_MMAP_CLOSED' })
  })
}

withDescriptors('an empty file keeps its descriptor, and stays empty when the file grows', (t) => {
  const path = scratchFile(t, '')
  using map = mapShared(path)
  t.is(fstatSync(map.fd!).ino, statSync(path).ino)
  writeFileSync(path, contents)
  t.is(map.length, 0)
  t.is(map.buffer.length, 0)
})

// Option objects

test('an option that is undefined is as if it were not given', (t) => {
  const path = scratchFile(t, contents)
  using shared = mapShared(path, {
    offset: undefined,
    length: undefined,
    protection: undefined,
    create: undefined,
    mode: undefined,
    allocate: undefined,
    populate: undefined,
    reserve: undefined,
    address: undefined,
    backing: undefined,
    guard: undefined,
    onFault: undefined,
  })
  t.is(shared.protection, 'read')
  t.deepEqual(shared.buffer, contents)
  using copy = mapPrivate(path, undefined)
  t.is(copy.protection, 'read-write')
  using memory = mapAnonymous(10, { shared: undefined, protection: undefined })
  t.is(memory.fd, undefined)
})

test('options are not changed', (t) => {
  const path = scratchFile(t, contents)
  const protection: Protection = 'read'
  const options = Object.freeze({ offset: 1n, length: 2, protection, backing: 'array-buffer', guard: true } as const)
  using a = mapShared(path, options)
  using b = mapPrivate(path, options)
  t.is(a.length + b.length, 4)
  t.deepEqual(options, { offset: 1n, length: 2, protection, backing: 'array-buffer', guard: true })
})
