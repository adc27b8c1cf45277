// Files and lengths that are too large for the addresses of a 32-bit system.

import { closeSync, openSync, statSync, truncateSync } from 'node:fs'

import test from 'ava'
import { mapAnonymous, mapPrivate, mapShared } from 'memory-map'
import { Mutex } from 'memory-map/sync'

import { throwsCodedError } from './helpers/errors.ts'
import { is32Bit, onLinux, truncating, where } from './helpers/platform.ts'
import { readAt, scratchFile, sparseFile, writeAt } from './helpers/scratch.ts'

const GiB = 2 ** 30
const far = 5 * GiB + 123

const narrow = where(is32Bit, 'is about systems of 32 bits')

test('a part of a file is mapped at an offset of more than 32 bits', (t) => {
  const path = sparseFile(t, 6 * GiB)
  writeAt(path, far, 'far away')
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  for (const source of [path, fd]) {
    for (const map of [mapShared, mapPrivate]) {
      using part = map(source, { offset: far, length: 10_000 })
      t.is(part.read(0, 8).toString(), 'far away')
      t.is(part.offset, far)
    }
  }
})

test('stores reach the file at an offset of more than 32 bits', (t) => {
  const path = sparseFile(t, 6 * GiB)
  using part = mapShared(path, { offset: BigInt(far), length: 10_000, protection: 'read-write' })
  part.write(Buffer.from('over there'), 5000)
  part.syncSync()
  t.is(readAt(path, far + 5000, 10).toString(), 'over there')
})

test('create and resize extend a file beyond 4 GiB', (t) => {
  const path = scratchFile(t, '')
  using map = mapShared(path, { offset: far, length: 100, create: true, protection: 'read-write' })
  t.is(statSync(path).size, far + 100)
  map.resize(20_000)
  t.is(statSync(path).size, far + 20_000)
  map.write(Buffer.from('end'), 19_997)
  t.is(map.read(19_997).toString(), 'end')
})

onLinux('allocate reserves blocks beyond 4 GiB', (t) => {
  const path = sparseFile(t, 5 * GiB)
  const options = { offset: far, length: 100_000, create: true, allocate: true, protection: 'read-write' } as const
  using map = mapShared(path, options)
  const { size, blocks } = statSync(path)
  t.is(size, far + map.length)
  t.true(blocks * 512 >= map.length && blocks * 512 < GiB, `${blocks} blocks`)
})

truncating('a fault beyond 4 GiB is contained and reported like others', (t) => {
  const path = sparseFile(t, 6 * GiB)
  using map = mapShared(path, { offset: 5 * GiB, length: 2 ** 20, onFault: () => {} })
  t.is(map.buffer[2 ** 19], 0)
  truncateSync(path, 5 * GiB + 2 ** 16)
  t.is(map.buffer[2 ** 19], 0)
  const error = t.throws(() => map.read(2 ** 18, 1), { code: 'ERR_MMAP_FAULT' })
  t.regex(error?.message ?? '', /ends/)
})

onLinux('a mutex beyond 4 GiB in a file keeps others out until it is unlocked', (t) => {
  const path = sparseFile(t, 6 * GiB)
  const options = { offset: 5 * GiB, length: 4096, protection: 'read-write' } as const
  using one = mapShared(path, options)
  using other = mapShared(path, options)
  const mutex = new Mutex(one, 0)
  t.truthy(mutex.tryLock())
  t.falsy(new Mutex(other, 0).tryLock(), 'its owner lives')
  mutex.unlock()
  t.truthy(new Mutex(other, 0).tryLock())
})

narrow('a length that is too large for addresses has its own error, and changes no file', (t) => {
  const path = scratchFile(t, 'abc')
  const length = 3 * GiB
  const expected = { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE', says: [`${length}`, 'offset', 'length'] }
  throwsCodedError(t, () => mapAnonymous(length), expected)
  throwsCodedError(t, () => mapAnonymous(length, { shared: true }), expected)
  throwsCodedError(t, () => mapShared(path, { length, create: true, protection: 'read-write' }), expected)
  throwsCodedError(t, () => mapShared(sparseFile(t, length)), expected)
  using map = mapAnonymous(10)
  throwsCodedError(t, () => map.resize(length), expected)
  t.is(statSync(path).size, 3)
})

narrow('a longer mapping gives views of 256 MiB anywhere', (t) => {
  using map = mapAnonymous(1.25 * GiB, { reserve: false })
  for (const at of [0, 1, GiB / 4 - 1, GiB / 2 + 5, GiB]) {
    const view = map.view(at, GiB / 4)
    view[GiB / 4 - 1] = 7
    t.is(map.read(at + GiB / 4 - 1, 1)[0], 7)
  }
  throwsCodedError(t, () => map.buffer, { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE', says: [`${GiB / 4}`] })
})
