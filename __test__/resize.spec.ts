// resize(): changing the length of a mapping.

import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'

import test from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { kindsHere, onLinux, truncating, withAddon } from './helpers/platform.ts'
import { runScript, runtimes, underLimit } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const contents = pattern(40 * pageSize)
const length = 3 * pageSize + 100
const host = runtimes()[0]!

const makers: [what: string, make: (path: string) => MemoryMap][] = [
  ['a shared', (path) => mapShared(path, { protection: 'read-write', length })],
  ['a shared (from inside a page)', (path) => mapShared(path, { protection: 'read-write', offset: 777, length })],
  ['a private', (path) => mapPrivate(path, { length })],
  ['an anonymous', () => mapAnonymous(length)],
  ['a shared anonymous', () => mapAnonymous(length, { shared: true })],
]

for (const [what, make] of kindsHere(makers)) {
  test(`${what} mapping grows and shrinks, and keeps its bytes`, (t) => {
    using map = make(scratchFile(t, contents))
    const bytes = pattern(40 * pageSize).map((byte) => byte ^ 0x55)
    map.write(bytes.subarray(0, length))
    let kept = length
    for (const next of [20 * pageSize, 5, 30 * pageSize, 30 * pageSize + 1, pageSize, 38 * pageSize, length]) {
      t.is(map.resize(next), undefined)
      t.is(map.length, next)
      kept = Math.min(kept, next)
      t.is(map.buffer.length, next)
      t.is(Buffer.compare(map.buffer.subarray(0, kept), bytes.subarray(0, kept)), 0, `${next} keeps ${kept}`)
      map.write(bytes.subarray(0, next))
      t.is(Buffer.compare(map.read(), bytes.subarray(0, next)), 0)
      kept = next
    }
  })

  test(`old views of ${what} mapping are empty after resize, and new ones have its new length`, (t) => {
    using map = make(scratchFile(t, contents))
    for (const next of [length + 1, 2 * length, 10]) {
      const views = [map.buffer, map.view(0, 5), map.typedArray(Uint8Array), new Uint8Array(map.arrayBuffer)]
      map.resize(next)
      t.deepEqual(
        views.map((view) => view.length),
        [0, 0, 0, 0],
      )
      t.is(map.view(0).length, next)
      t.not(map.buffer, views[0])
    }
  })

  test(`resize of ${what} mapping to its own length changes nothing`, (t) => {
    using map = make(scratchFile(t, contents))
    const { buffer, address } = map
    map.resize(BigInt(length))
    t.is(map.buffer, buffer)
    t.is(map.address, address)
  })

  test(`an impossible length leaves ${what} mapping and its views as they were`, (t) => {
    using map = make(scratchFile(t, contents))
    const { buffer, address } = map
    const before = Buffer.from(buffer)
    for (const impossible of [Number.MAX_SAFE_INTEGER, 2n ** 52n]) t.throws(() => map.resize(impossible))
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 60, -1n]) {
      throwsCodedError(t, () => map.resize(wrong), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
    }
    throwsCodedError(t, () => map.resize('5' as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
    t.deepEqual([map.length, map.address, map.buffer], [length, address, buffer])
    t.is(Buffer.compare(buffer, before), 0)
  })

  test(`${what} mapping can become empty and grow again`, (t) => {
    using map = make(scratchFile(t, contents))
    map.resize(0)
    t.deepEqual([map.length, map.address, map.buffer.length], [0, 0n, 0])
    map.resize(pageSize)
    t.is(map.buffer.length, pageSize)
    map.buffer[5] = 9
    t.is(map.read(5, 1)[0], 9)
  })
}

test('a shared mapping extends its file, and never shrinks it', (t) => {
  const path = scratchFile(t, 'hello')
  using map = mapShared(path, { protection: 'read-write' })
  map.resize(2 * pageSize)
  t.is(statSync(path).size, 2 * pageSize)
  map.buffer.write('world', 2 * pageSize - 5)
  map.resize(3)
  t.is(statSync(path).size, 2 * pageSize)
  t.is(readFileSync(path, 'latin1').slice(-5), 'world')
  t.is(map.buffer.toString(), 'hel')
})

for (const protection of ['read', 'read-write'] as const) {
  truncating(`resizing to less does not extend a file that others have truncated: ${protection}`, (t) => {
    const path = scratchFile(t, pattern(5 * pageSize))
    using map = mapShared(path, { protection, onFault() {} })
    void map.buffer
    truncateSync(path, 10)
    for (const length of [4 * pageSize, 4 * pageSize - 1, 2 * pageSize, 100]) {
      map.resize(length)
      t.is(map.length, length)
      t.is(statSync(path).size, 10)
      t.throws(() => map.read(), { code: 'ERR_MMAP_FAULT' })
      t.is(map.buffer[length - 1], 0)
      t.deepEqual(map.read(0, 10), pattern(10))
    }
    t.is(map.faults, 4 + 3, 'the last load was from the page in which the file ends')
  })
}

truncating('growth of a writable mapping extends a file that others have truncated', (t) => {
  const path = scratchFile(t, pattern(5 * pageSize))
  using map = mapShared(path, { protection: 'read-write', length: 100 })
  truncateSync(path, 10)
  map.resize(101)
  t.is(statSync(path).size, 101)
  t.deepEqual(map.read(), Buffer.concat([pattern(10), Buffer.alloc(91)]))
})

truncating('a read-only mapping of a file that others have truncated cannot grow', (t) => {
  const path = scratchFile(t, pattern(5 * pageSize))
  using map = mapShared(path, { length: 100 })
  truncateSync(path, 10)
  t.throws(() => map.resize(101), { code: 'ERR_MMAP_BEYOND_END' })
})

test('the error of a mapping that cannot extend its file says so', (t) => {
  const path = scratchFile(t, contents)
  for (const map of [mapShared(path), mapPrivate(path), mapShared(path, { offset: 5, length: 10 })]) {
    const { buffer } = map
    throwsCodedError(t, () => map.resize(contents.length + 1), {
      instanceOf: RangeError,
      code: 'ERR_MMAP_BEYOND_END',
      says: [String(contents.length)],
    })
    t.is(map.buffer, buffer)
    map.resize(pageSize)
    map.close()
  }
  t.is(statSync(path).size, contents.length)
})

test('another process sees the bytes by which a shared mapping has grown', (t) => {
  const path = scratchFile(t, '')
  using map = mapShared(path, { protection: 'read-write' })
  map.resize(5 * pageSize)
  map.buffer.write('from one process to another', 4 * pageSize)
  const script = `process.stdout.write(require('fs').readFileSync(process.argv[1]).subarray(${4 * pageSize}, ${4 * pageSize + 27}))`
  t.is(execFileSync(process.execPath, ['-e', script, path]).toString(), 'from one process to another')
})

test('a private mapping keeps its own stores and shows the file where it grows', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path, { length: pageSize })
  map.buffer.fill(1)
  map.resize(10 * pageSize)
  t.true(map.buffer.subarray(0, pageSize).every((byte) => byte === 1))
  t.is(Buffer.compare(map.buffer.subarray(pageSize), contents.subarray(pageSize, 10 * pageSize)), 0)
  t.is(Buffer.compare(readFileSync(path), contents), 0)
})

test('anonymous memory grows by zeros, even where it had bytes before it shrank', (t) => {
  using map = mapAnonymous(4 * pageSize)
  map.buffer.fill(255)
  map.resize(pageSize + 7)
  map.resize(20 * pageSize)
  t.true(map.buffer.subarray(0, pageSize + 7).every((byte) => byte === 255))
  t.true(map.buffer.subarray(pageSize + 7).every((byte) => byte === 0))
})

onLinux('growth with reserved blocks on a full disk is ENOSPC, and the mapping is as it was', (t) => {
  const folder = mountFileSystem(t, 'tmpfs')?.folder
  if (folder === undefined) return
  const path = `${folder}/file`
  using map = mapShared(path, { protection: 'read-write', create: true, length: 2 ** 20, allocate: true })
  map.buffer.fill(7)
  const { buffer } = map
  throwsSystemError(t, () => map.resize(2 ** 30), { code: 'ENOSPC', syscall: 'fallocate', path })
  t.is(map.buffer, buffer)
  t.true(buffer.every((byte) => byte === 7))
  map.resize(2 ** 21)
  t.is(statSync(path).size, 2 ** 21)
})

onLinux('a file that was replaced under its descriptor is not mapped in its place', (t) => {
  const path = scratchFile(t, contents)
  const map = mapShared(path, { length: pageSize })
  const fd = map.fd!
  closeSync(fd)
  t.is(openSync(scratchFile(t, 'another'), 'r'), fd)
  throwsSystemError(t, () => map.resize(2 * pageSize), { code: 'EBADF', syscall: 'fstat', path })
  t.is(map.read(0, 1)[0], contents[0])
  map.close()
})

onLinux('growth beyond the limit of addresses is ENOMEM, and the mapping is as it was', async (t) => {
  const script = `
    const { mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    const map = mapAnonymous(2 ** 20)
    const { buffer } = map
    buffer.fill(7)
    let code
    try { map.resize(2 ** 40) } catch (error) { code = error.code + ' ' + error.syscall }
    console.log(code, map.length, buffer === map.buffer, buffer.every((byte) => byte === 7))
    map.resize(2 ** 21)
    console.log(map.length)`
  const { code, stdout, stderr } = await runScript(underLimit(host, '-v 40000000'), script)
  t.is(stdout, `ENOMEM mmap ${2 ** 20} true true\n${2 ** 21}\n`, stderr)
  t.is(code, 0)
})

onLinux('a resize that fails for lack of memory areas leaves the bytes of read-only pages too', async (t) => {
  const limit = Number(readFileSync('/proc/sys/vm/max_map_count', 'latin1'))
  if (limit > 100_000) {
    t.pass('this system has too many memory areas to use them up')
    return
  }
  const { code, signal, stdout, stderr } = await runScript(
    host,
    `
    const { mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    const { areaCount } = await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/scenario.mjs')
    const split = (map, protection) => {
      for (let at = 0; at < map.length; at += 2 * pageSize) map.protect(protection, { offset: at, length: pageSize })
    }
    const map = mapAnonymous(2000 * pageSize)
    const { buffer } = map
    for (let at = 0; at < buffer.length; at++) buffer[at] = (at % 251) + 1
    const before = map.read()
    split(map, 'read')
    const others = mapAnonymous((${limit} - areaCount() - 1000) * pageSize, { protection: 'none' })
    split(others, 'read')
    let code
    try { map.resize(map.length + 1) } catch (error) { code = error.code }
    console.log(code, map.buffer.equals(before))
    others.close()
    map.resize(2 * map.length)
    console.log(map.buffer.subarray(0, before.length).equals(before), map.faults)
    map.buffer[2 * pageSize] = 0
    console.log(map.faults)`,
  )
  const expected = 'ENOMEM true\ntrue 0\n1\n'
  t.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: expected }, stderr)
})

onLinux('a mapping of a terabyte grows', (t) => {
  const path = sparseFile(t, 2 ** 41)
  using map = mapShared(path, { protection: 'read-write', length: 2 ** 40, onFault: (fault) => t.fail(fault.kind) })
  map.view(5, 5).write('hello')
  map.resize(2 ** 41)
  map.view(2 ** 41 - 5).write('world')
  t.is(map.view(5, 5).toString() + map.view(2 ** 41 - 5).toString(), 'helloworld')
})

truncating('faults are contained and reported after a mapping has moved', async (t) => {
  const path = scratchFile(t, contents)
  const fd = openSync(path, 'r+')
  t.teardown(() => closeSync(fd))
  const told: string[] = []
  using map = mapShared(path, { length: pageSize, onFault: ({ kind, offset }) => told.push(`${kind} ${offset}`) })
  map.buffer[0] = 1
  map.resize(10 * pageSize)
  map.resize(20 * pageSize)
  t.is(map.faults, 1)
  map.buffer[2 * pageSize] = 1
  t.is(map.faults, 2)
  await until(() => told.length >= 2)
  ftruncateSync(fd, pageSize)
  t.is(map.buffer[15 * pageSize], 0)
  await until(() => told.length >= 3)
  t.deepEqual(told, ['protection 0', `protection ${2 * pageSize}`, `beyond-end ${15 * pageSize}`])
  for (let i = 0; i < 3; i++) t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  t.notThrows(() => map.check())
})

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`

  withAddon(`native code that still uses an old view goes on, ${where}`, async (t) => {
    await endsWell(
      t,
      runtime,
      `
const path = join(folder(), 'file')
fs.writeFileSync(path, Buffer.alloc(1 << 20, 7))
const make = [
  () => mapShared(path, { protection: 'read-write', length: 1 << 20, onFault() {} }),
  () => mapPrivate(path, { length: 1 << 20, onFault() {} }),
  () => mapAnonymous(1 << 20, { onFault() {} }),
]
const { startReader, startWriter } = fixture()
for (const map of make.map((one) => one())) {
  const work = []
  for (let i = 0; i < 40; i++) {
    if (i % 4 === 0) work.push((i % 8 ? startReader : startWriter)(map.buffer, 100))
    const length = i % 3 ? (i + 1) << 16 : 4096
    if (map.kind === 'private' && length > 1 << 20) continue
    map.resize(length)
    check(map.buffer.length === length, 'new views are whole')
    await turn()
  }
  for (const passes of await Promise.all(work)) check(passes >= 1, 'the thread went on')
  map.close()
}`,
    )
  })

  withAddon(`many small steps move the mapping only a few times, ${where}`, async (t) => {
    const steps = runtime.name === 'node' ? 100_000 : 20_000
    const { code, signal, stdout, stderr } = await runScript(
      runtime,
      `
      const { mapAnonymous, mapShared, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const { areaCount } = await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/scenario.mjs')
      const linux = process.platform === 'linux'
      const before = linux && areaCount()
      const addresses = new Set()
      const grow = (map) => {
        for (let pages = 2; pages <= ${steps}; pages++) {
          map.resize(pages * pageSize)
          addresses.add(map.address)
        }
        map.view(map.length - 1)[0] = 1
        return map
      }
      const file = process.cwd() + '/file'
      const maps = [
        grow(mapAnonymous(pageSize)),
        grow(mapAnonymous(pageSize, { shared: true })),
        grow(mapShared(file, { protection: 'read-write', create: true, length: pageSize })),
      ]
      console.log(addresses.size < 70, linux ? areaCount() - before < 200 : true)
      for (const map of maps) map.close()`,
    )
    t.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'true true\n' }, stderr)
  })
}
