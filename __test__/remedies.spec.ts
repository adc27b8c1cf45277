// The errors for the commonest mistakes say what to do instead.

import { once } from 'node:events'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'

import test from 'ava'
import * as library from 'memory-map'
import { mapAnonymous, mapShared, openSharedMemory, pageSize } from 'memory-map'

import { mountFileSystem } from './helpers/mounts.ts'
import { onLinux, onPosix } from './helpers/platform.ts'
import { run as runProcess } from './helpers/processes.ts'
import { pattern, scratchFile, scratchFolder } from './helpers/scratch.ts'

/** The functions as JavaScript sees them: with arguments of any type. */
const any = library as unknown as Record<'mapShared' | 'mapAnonymous', (...args: unknown[]) => AnyMap>
type AnyMap = Record<'view' | 'indexOf' | 'lastIndexOf' | 'includes', (...args: unknown[]) => unknown>

for (const [given, meant] of [
  [{ writable: true }, "`protection: 'read-write'`"],
  [{ prot: 3 }, "'protection'"],
  [{ size: 10 }, "'length'"],
  [{ start: 10 }, "'offset'"],
  [{ protection: 'rw' }, "'read-write'"],
  [{ protection: 'r' }, "'read'"],
  [{ protection: 'rwx' }, "'read-write-execute'"],
] as const) {
  test(`the error for ${JSON.stringify(given)} suggests ${meant}`, (t) => {
    const path = scratchFile(t, 'x')
    const { message } = t.throws(() => any.mapShared(path, given), { code: 'ERR_INVALID_ARG_VALUE' })
    t.true(message.includes(`did you mean ${meant}?`), message)
  })
}

test('the error for hugePages: true lists the values', (t) => {
  const says = { code: 'ERR_INVALID_ARG_TYPE', message: /'transparent' or the size .*2 \*\* 21.*boolean true/ }
  t.throws(() => any.mapAnonymous(4096, { hugePages: true }), says)
})

test("the error for an offset outside of the mapping has the mapping's length", (t) => {
  using map = mapAnonymous(1234)
  for (const [method, args] of [
    ['view', [-100]],
    ['view', [1235]],
    ['read', [-1]],
    ['dataView', [-8]],
    ['write', [Buffer.of(1), -1]],
    ['view', [1000, -1]],
    ['view', [1000, 235]],
  ] as const) {
    const call = () => (map as unknown as Record<string, (...args: unknown[]) => unknown>)[method]!(...args)
    t.regex(t.throws(call, { code: 'ERR_OUT_OF_RANGE' }).message, /1234/, method)
  }
})

test('the error for a range that is given to indexOf names the methods that take one', (t) => {
  using map = mapAnonymous(100)
  const says = { code: 'ERR_INVALID_ARG_TYPE', message: /`find` and `count` take a range/ }
  for (const method of ['indexOf', 'lastIndexOf', 'includes'] as const) {
    t.throws(() => (map as unknown as AnyMap)[method]('A', { offset: 5 }), says)
  }
})

test('the error for a misaligned typed array has the byte, the size and the next byte that would do', (t) => {
  const path = scratchFile(t, pattern(pageSize))
  using file = mapShared(path, { offset: 3 })
  const inFile = t.throws(() => file.typedArray(Float64Array, 6, 1), { code: 'ERR_OUT_OF_RANGE' }).message
  t.regex(inFile, /8 bytes.*byte 9 of the file.*13.*Received number 6/)
  t.is(file.typedArray(Float64Array, 13, 1).length, 1)

  using memory = mapAnonymous(100)
  const inMemory = t.throws(() => memory.typedArray(Int32Array, 6, 1), { code: 'ERR_OUT_OF_RANGE' }).message
  t.regex(inMemory, /4 bytes.* 8.*Received number 6/)
})

test('the error for a range of protect that is not whole pages has the value and the page size', (t) => {
  using map = mapAnonymous(4 * pageSize)
  for (const [range, offender] of [
    [{ offset: 5 }, 5],
    [{ offset: pageSize, length: 10 }, pageSize + 10],
  ] as const) {
    const { message } = t.throws(() => map.protect('read', range), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
    t.true(message.includes(String(pageSize)) && message.includes(`byte ${offender}`), message)
  }
})

test('the error for a resize that would extend the file of a read-only mapping names its protection', (t) => {
  using map = mapShared(scratchFile(t, pattern(10)))
  const { message } = t.throws(() => map.resize(20), { code: 'ERR_MMAP_BEYOND_END' })
  t.regex(message, /protection 'read'.*protection: 'read-write'/)
})

test('the warning about a store to a read-only mapping names the protection that allows it', async (t) => {
  const map = mapShared(scratchFile(t, 'abc'))
  const warned = once(process, 'warning')
  map.buffer[0] = 1
  const [{ name, message }] = (await warned) as [Error]
  t.is(name, 'MemoryFaultWarning')
  t.true(message.includes("`protection: 'read-write'`"), message)
  map.close()
})

test("the error for an access to a 'none' page names protect", (t) => {
  const map = mapAnonymous(pageSize, { protection: 'none', onFault() {} })
  t.is(map.buffer[0], 0)
  t.regex(t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' }).message, /protection is 'none'.*`protect`/)
  map.close()
})

onPosix('the error for a name without memory names the option create', (t) => {
  const name = `remedies-${process.pid}`
  t.regex(t.throws(() => openSharedMemory(name), { code: 'ENOENT' }).message, /`create: true`.*`length`/)
})

onLinux('the error for more memory than the system has names the option reserve', (t) => {
  const { message } = t.throws(() => mapAnonymous(2 ** 46), { code: 'ENOMEM' })
  t.regex(message, /`reserve: false`/)
  t.notRegex(
    t.throws(() => mapAnonymous(2 ** 46 * 4, { reserve: false }), { code: 'ENOMEM' }).message,
    /`reserve: false`/,
  )
})

onPosix('the error for a process without descriptors says that each mapping holds one', async (t) => {
  const folder = scratchFolder(t)
  const file = join(folder, 'program.mjs')
  writeFileSync(join(folder, 'data'), 'x')
  writeFileSync(
    file,
    `const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    const maps = []
    try {
      for (;;) maps.push(mapShared('data'))
    } catch ({ code, message }) {
      console.log(code, message)
    }`,
  )
  const line = `ulimit -n 64; exec "${process.execPath}" program.mjs`
  const { code, stdout } = await runProcess('sh', ['-c', line], { cwd: folder })
  t.is(code, 0)
  t.regex(stdout, /^EMFILE .*each mapping of a file keeps a descriptor.*`close\(\)`.*`keepOpen: false`/)
})

onLinux('the error for executable pages on a file system that forbids them gives the reason', (t) => {
  const folder = mountFileSystem(t, 'tmpfs', { options: 'noexec' })?.folder
  if (folder === undefined) return
  writeFileSync(join(folder, 'code'), pattern(pageSize))
  const map = () => mapShared(join(folder, 'code'), { protection: 'read-execute' })
  t.regex(t.throws(map, { code: 'EPERM' }).message, /noexec/)
})
