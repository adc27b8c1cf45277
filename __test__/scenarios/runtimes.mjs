// The core of the package on every runtime: what each must be able to do.

import assert from 'node:assert'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'
import util from 'node:util'

import { MemoryFaultError, mapAnonymous, mapPrivate, mapShared, pageSize } from '../../index.js'
import * as sync from '../../sync.js'
import { until } from '../helpers/scenario.mjs'

const isWindows = process.platform === 'win32'
const is32Bit = ['arm', 'ia32'].includes(process.arch)
const path = fs.realpathSync('.') + '/file'
const content = Buffer.from(Uint8Array.from({ length: 3 * pageSize + 5 }, (_, i) => (i * 7 + (i >> 8)) & 255))
fs.writeFileSync(path, content)
const rw = /** @type {const} */ ({ protection: 'read-write' })

// ---- import and require give the same package

const required = createRequire(import.meta.url)(fileURLToPath(new URL('../../index.js', import.meta.url)))
assert.strictEqual(required.mapShared, mapShared)
assert.strictEqual(typeof sync.Mutex, 'function')
assert.ok(pageSize >= 4096 && Number.isInteger(Math.log2(pageSize)))

// ---- Mapping files and memory

for (const file of [path, Buffer.from(path), pathToFileURL(path), fs.openSync(path, 'r')]) {
  for (const map of [mapShared(file), mapPrivate(file, { protection: 'read' })]) {
    assert.ok(map.buffer instanceof Buffer && map.buffer.equals(content))
    assert.strictEqual(map.length, content.length)
    assert.strictEqual(map.closed, false)
    assert.ok(map.address > 0n && (isWindows ? map.fd === undefined : map.fd > 2))
    map.close()
    assert.deepStrictEqual([map.closed, map.address, map.fd], [true, 0n, undefined])
  }
  if (typeof file === 'number') fs.closeSync(file)
}
const handle = await fs.promises.open(path)
const own = mapShared(handle)
await handle.close()
assert.ok(own.buffer.equals(content))
own.close()

const shared = mapShared(path, rw)
const copy = mapPrivate(path, { offset: pageSize + 3, length: 100n })
assert.deepStrictEqual([shared.kind, copy.kind, copy.offset, copy.length], ['shared', 'private', pageSize + 3, 100])
shared.buffer[10] = 99
copy.buffer.fill(1)
assert.strictEqual(fs.readFileSync(path)[10], 99)
assert.strictEqual(fs.readFileSync(path)[pageSize + 3], content[pageSize + 3])
content[10] = 99

const memory = mapAnonymous(2 ** 20)
// Windows has no anonymous files.
const passed = mapAnonymous(100, { shared: !isWindows })
assert.ok(memory.buffer.every((byte) => byte === 0))
passed.buffer.write('in memory')
// Deno's fs knows only the descriptors that Deno has opened.
if (!globalThis.Deno && !isWindows) {
  const bytes = Buffer.alloc(9)
  fs.readSync(passed.fd, bytes, 0, 9, 0)
  assert.strictEqual(bytes.toString(), 'in memory')
}

const fresh = mapShared('made', { ...rw, create: true, length: 5000, mode: 0o600 })
assert.deepStrictEqual([fresh.length, fs.statSync('made').size], [5000, 5000])
assert.strictEqual(fs.statSync('made').mode & 0o777, isWindows ? 0o666 : 0o600)
assert.strictEqual(mapShared('empty', { ...rw, create: true, length: 0 }).length, 0)
const length = isWindows || is32Bit ? 2 ** 26 : 2 ** 33 // files are not sparse there
const far = mapShared('sparse', { ...rw, create: true, length })
far.view(length - 1, 1)[0] = 7
assert.strictEqual(far.read(length - 2, 2)[1], 7)
far.close()

// ---- Views

assert.strictEqual(shared.buffer, shared.buffer)
assert.strictEqual(shared.arrayBuffer, shared.buffer.buffer)
assert.ok(shared.view(5, 50).equals(content.subarray(5, 55)))
const floats = memory.typedArray(Float64Array, 8, 10)
floats[9] = Math.PI
assert.strictEqual(memory.dataView(8 + 72, 8).getFloat64(0, os.endianness() === 'LE'), Math.PI)
const wide = memory.typedArray(BigInt64Array)
assert.strictEqual(Atomics.add(wide, 100, 5n), 0n)
assert.strictEqual(wide[100], 5n)
assert.throws(() => memory.typedArray(Float64Array, 4), RangeError)
const both = mapShared(path, { ...rw, backing: 'shared-array-buffer' })
assert.ok(both.arrayBuffer instanceof SharedArrayBuffer)
assert.ok(Buffer.from(both.buffer).equals(content))
both.close()

// ---- read, write, search, sync, protect

assert.ok(shared.read(1, 1000).equals(content.subarray(1, 1001)))
assert.strictEqual(shared.write(Buffer.from('written'), 20), 7)
assert.strictEqual(shared.indexOf('written'), 20)
await shared.sync()
await shared.sync({ offset: 0, length: 10 })
shared.syncSync()
assert.strictEqual(fs.readFileSync(path, 'latin1').slice(20, 27), 'written')
await assert.rejects(shared.sync({ signal: AbortSignal.abort() }), { name: 'AbortError' })
memory.protect('read', { length: pageSize })
assert.throws(() => memory.write(Buffer.of(1)), { code: 'ERR_MMAP_NOT_WRITABLE' })
memory.protect('read-write')
assert.strictEqual(memory.write(Buffer.of(1)), 1)
memory.resize(2 ** 21)
assert.deepStrictEqual([memory.length, memory.buffer[0], floats.length], [2 ** 21, 1, 0])

// ---- Errors

function fails(run, expected, message) {
  try {
    run()
  } catch (error) {
    const { code, errno, syscall, path } = error
    assert.deepStrictEqual(
      { name: error.name, code, errno, syscall, path },
      { errno: undefined, syscall: undefined, path: undefined, ...expected },
    )
    assert.match(error.message, message)
    assert.ok(error instanceof Error && error.stack.includes('runtimes.mjs'))
    return
  }
  assert.fail('nothing was thrown')
}
const errnoOf = (code) => [...util.getSystemErrorMap()].find(([, [name]]) => name === code)[0]
const system = (code, syscall, path) => ({ name: 'Error', code, errno: errnoOf(code), syscall, path })
fails(
  () => mapShared('missing'),
  system('ENOENT', 'open', 'missing'),
  /^ENOENT: no such file or directory, open 'missing'$/,
)
fails(() => mapPrivate('.'), system('EISDIR', 'open', '.'), /^EISDIR: .*directory.*, open '\.'/)
const nothing = isWindows ? 'NUL' : '/dev/null'
fails(() => mapShared(nothing), system('ENODEV', 'mmap', nothing), /^ENODEV: .*'(NUL|\/dev\/null)'/)
fails(() => mapShared(99_999), system('EBADF', 'fcntl', undefined), /^EBADF: bad file descriptor, fcntl$/)
fails(
  () => mapAnonymous(2 ** 50),
  is32Bit ? { name: 'RangeError', code: 'ERR_MMAP_TOO_LARGE' } : system('ENOMEM', 'mmap', undefined),
  /^ENOMEM: |addresses/,
)
fails(
  () => mapShared(path, { length: 2 ** 40 }),
  { name: 'RangeError', code: 'ERR_MMAP_BEYOND_END' },
  /of a file of \d+ bytes/,
)
fails(
  // @ts-expect-error: wrong on purpose
  () => mapShared(path, { protectoin: 'read' }),
  { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' },
  /protectoin.*protection/,
)
// @ts-expect-error: wrong on purpose
fails(() => mapShared(path, { offset: '5' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }, /options\.offset/)
fails(() => mapShared(path, { offset: -1 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }, /options\.offset/)
fails(() => copy.syncSync(), { name: 'Error', code: 'ERR_MMAP_NOT_SHARED' }, /not shared/)
fails(() => memory.view(2 ** 21 + 1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }, /offset/)

// ---- Faults

const told = []
// Windows does not let a mapped file be truncated.
const cut = mapShared('made', { ...(isWindows ? {} : rw), onFault: (fault) => told.push(fault) })
if (!isWindows) fs.truncateSync('made', 10)
cut.buffer[4999] = 1
assert.deepStrictEqual([cut.buffer[4998], cut.faults, told.length], [0, 1, 0])
await until(() => told.length === 1)
const [{ map, ...fault }] = told
const kind = isWindows ? 'protection' : 'beyond-end'
assert.deepStrictEqual({ ...fault }, { kind, offset: pageSize, length: 5000 - pageSize, contained: true })
assert.strictEqual(map, cut)
assert.throws(
  () => cut.check(),
  (error) => error instanceof MemoryFaultError && error.code === 'ERR_MMAP_FAULT' && error.fault === told[0],
)
cut.check()
if (isWindows) cut.protect('none')
assert.throws(() => cut.read(4500, 1), { code: 'ERR_MMAP_FAULT' })
if (isWindows) cut.protect('read')
else fs.truncateSync('made', 5000)
assert.strictEqual(cut.buffer[4999], 0)

// ---- The end

assert.match(util.inspect(cut), /^MemoryMap \{ kind: 'shared', length: 5000, .*closed: false, faults: 2 \}$/)
cut[Symbol.dispose]()
assert.match(util.inspect(cut), /closed: true/)
let disposed
try {
  disposed = new Function('mapAnonymous', 'let map; { using mapped = mapAnonymous(10); map = mapped } return map')
} catch {
  // Node 20 and 22 do not know the word.
}
if (disposed) assert.strictEqual(disposed(mapAnonymous).closed, true)
const view = shared.buffer
for (const map of [shared, copy, memory, passed, fresh]) map.close()
assert.deepStrictEqual([view.length, shared.closed], [0, true])
assert.throws(() => shared.read(), { code: 'ERR_MMAP_CLOSED' })
shared.close()
console.log('using', disposed !== undefined)
console.log('end')
