// read() and write(): copies out of and into a mapping.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import {
  mapAnonymous,
  mapPrivate,
  mapShared,
  type MemoryFault,
  MemoryFaultError,
  type MemoryMap,
  pageSize,
  type Protection,
} from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { truncating } from './helpers/platform.ts'
import { pattern, scratchFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const contents = pattern(3 * pageSize + 100)
const outOfRange = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }

// read

test('read copies any range, given by numbers or bigints', (t) => {
  const path = scratchFile(t, contents)
  for (const start of [0, 5, pageSize]) {
    const whole = contents.subarray(start)
    using shared = mapShared(path, { offset: start })
    using copy = mapPrivate(path, { offset: start })
    for (const map of [shared, copy]) {
      t.deepEqual(map.read(), whole)
      t.deepEqual(map.read(undefined, 10), whole.subarray(0, 10))
      for (const offset of [0, 1, pageSize - 1, pageSize, whole.length - 1, whole.length]) {
        t.deepEqual(map.read(offset), whole.subarray(offset))
        t.deepEqual(map.read(BigInt(offset)), whole.subarray(offset))
        for (const length of [0, 1, 99, whole.length - offset].filter((length) => offset + length <= whole.length)) {
          t.deepEqual(map.read(offset, length), whole.subarray(offset, offset + length))
          t.deepEqual(map.read(BigInt(offset), BigInt(length)), whole.subarray(offset, offset + length))
        }
      }
    }
  }
})

test('read returns a Buffer of its own', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  const a = map.read(10, 20)
  const b = map.read(10, 20)
  t.true(Buffer.isBuffer(a))
  a.fill(0)
  t.deepEqual(b, contents.subarray(10, 30))
  t.deepEqual(map.view(10, 20), contents.subarray(10, 30))
  map.buffer.fill(1)
  t.deepEqual(b, contents.subarray(10, 30))
  map.close()
  t.deepEqual(b, contents.subarray(10, 30))
})

test('read copies many megabytes', (t) => {
  const large = pattern((5 << 20) + 13)
  using map = mapShared(scratchFile(t, large))
  t.true(map.read().equals(large))
  t.true(map.read(7, (3 << 20) + 1).equals(large.subarray(7, 7 + (3 << 20) + 1)))
})

test('read returns the bytes of the mapping, even if an overlayfs has copied the file meanwhile', (t) => {
  const { folder, lower: below } = mountFileSystem(t, 'overlay') ?? {}
  if (folder === undefined || below === undefined) return
  for (const make of [mapShared, mapPrivate]) {
    const [lower, merged] = [join(below, make.name), join(folder, make.name)]
    writeFileSync(lower, 'before')
    using map = make(merged, { protection: 'read' })
    writeFileSync(merged, 'after!')
    for (let i = 0; i < 20; i++) t.is(map.read().toString(), map.buffer.toString())
  }
})

test('read outside of the mapping is a RangeError', (t) => {
  using map = mapAnonymous(100)
  throwsCodedError(t, () => map.read(101), outOfRange)
  throwsCodedError(t, () => map.read(0, 101), outOfRange)
  throwsCodedError(t, () => map.read(100, 1), outOfRange)
  throwsCodedError(t, () => map.read(1n, 100n), outOfRange)
  throwsCodedError(t, () => map.read(-1), outOfRange)
  throwsCodedError(t, () => map.read(Number.MAX_SAFE_INTEGER, 1), outOfRange)
  throwsCodedError(t, () => map.read(1, Number.MAX_SAFE_INTEGER), outOfRange)
  t.is(map.read(100).length, 0)
})

// write

test('write copies bytes and returns how many', (t) => {
  const path = scratchFile(t, contents)
  for (const start of [0, 5]) {
    writeFileSync(path, contents)
    using map = mapShared(path, { protection: 'read-write', offset: start })
    const expected = Buffer.from(contents)
    const write = (text: string, offset: number | bigint) => {
      expected.write(text, start + Number(offset))
      t.is(map.write(Buffer.from(text), offset), text.length)
    }
    write('at an offset', 100)
    write('over two pages', pageSize - 5 - start)
    write('with a bigint', 2n * BigInt(pageSize) + 1n)
    write('at the end', map.length - 10)
    t.is(map.write(Buffer.from('at the start')), 12)
    expected.write('at the start', start)
    t.deepEqual(map.read(), expected.subarray(start))
    t.deepEqual(readFileSync(path), expected)
  }
})

test('write into a private mapping does not reach the file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path)
  t.is(map.write(Buffer.from('private'), 5), 7)
  t.is(map.read(5, 7).toString(), 'private')
  t.deepEqual(readFileSync(path), contents)
})

test('write takes every kind of Uint8Array', (t) => {
  using map = mapAnonymous(1000)
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const shared = new Uint8Array(new SharedArrayBuffer(8))
  shared.set(bytes)
  class Subclass extends Uint8Array {}
  for (const data of [bytes, Buffer.from(bytes), shared, Subclass.from(bytes), bytes.subarray(0)]) {
    map.buffer.fill(0)
    t.is(map.write(data, 3), 8)
    t.deepEqual(map.read(2, 10), Buffer.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 0))
  }
  t.is(map.write(bytes.subarray(2, 5)), 3)
  t.deepEqual(map.read(0, 4), Buffer.of(3, 4, 5, 1))
  t.is(map.write(new Uint8Array(), 1000), 0)
})

test('write takes every kind of view, and counts bytes', (t) => {
  using map = mapAnonymous(100)
  const memory = Uint8Array.from({ length: 24 }, (_, i) => i + 1).buffer
  for (const view of [new Float64Array(memory, 8, 1), new DataView(memory, 8, 8), new BigInt64Array(memory, 8, 1)]) {
    map.buffer.fill(0)
    t.is(map.write(view, 3), 8)
    t.deepEqual(map.read(2, 10), Buffer.of(0, 9, 10, 11, 12, 13, 14, 15, 16, 0))
  }
})

test('write copies many megabytes', (t) => {
  const large = pattern((5 << 20) + 13)
  using map = mapAnonymous(large.length + 3)
  t.is(map.write(large, 3), large.length)
  t.true(map.read(3).equals(large))
})

test('write from a view of the same mapping copies the bytes, overlapping or not', (t) => {
  for (const length of [100, (2 << 20) + 5]) {
    const bytes = pattern(length)
    for (const [from, to] of [
      [0, 7],
      [7, 0],
      [0, length >> 1],
      [length >> 1, 0],
    ] as const) {
      using map = mapAnonymous(length)
      map.buffer.set(bytes)
      const count = length - Math.max(from, to)
      const expected = Buffer.from(bytes)
      expected.copyWithin(to, from, from + count)
      t.is(map.write(map.view(from, count), to), count)
      t.true(map.buffer.equals(expected), `${length} ${from} ${to}`)
    }
  }
})

test('write outside of the mapping is a RangeError, and nothing is written', (t) => {
  using map = mapAnonymous(100)
  const bytes = Buffer.alloc(10, 1)
  throwsCodedError(t, () => map.write(bytes, 91), outOfRange)
  throwsCodedError(t, () => map.write(bytes, 101n), outOfRange)
  throwsCodedError(t, () => map.write(Buffer.alloc(101, 1)), outOfRange)
  throwsCodedError(t, () => map.write(bytes, -1), outOfRange)
  throwsCodedError(t, () => map.write(bytes, Number.MAX_SAFE_INTEGER), outOfRange)
  t.true(map.buffer.equals(Buffer.alloc(100)))
})

for (const protection of ['none', 'read', 'read-execute'] as const satisfies Protection[]) {
  test(`write to a mapping of protection '${protection}' is ERR_MMAP_NOT_WRITABLE`, (t) => {
    const path = scratchFile(t, contents)
    using shared = mapShared(path, { protection })
    using copy = mapPrivate(path, { protection })
    using memory = mapAnonymous(1000, { protection })
    for (const map of [shared, copy, memory]) {
      throwsCodedError(t, () => map.write(Buffer.of(1), 5), { instanceOf: Error, code: 'ERR_MMAP_NOT_WRITABLE' })
      t.is(map.faults, 0)
    }
    t.deepEqual(readFileSync(path), contents)
  })
}

test("write to a mapping of protection 'read-write-execute' works", (t) => {
  using map = mapAnonymous(10, { protection: 'read-write-execute' })
  t.is(map.write(Buffer.of(7), 5), 1)
  t.is(map.read(5, 1)[0], 7)
})

test('write depends on the protection of the pages that it writes to', (t) => {
  using map = mapAnonymous(3 * pageSize)
  map.protect('read', { offset: pageSize, length: pageSize })
  t.is(map.write(Buffer.alloc(pageSize, 1), 0), pageSize)
  t.is(map.write(Buffer.alloc(pageSize, 2), 2 * pageSize), pageSize)
  const notWritable = { instanceOf: Error, code: 'ERR_MMAP_NOT_WRITABLE' }
  throwsCodedError(t, () => map.write(Buffer.alloc(1, 3), pageSize), notWritable)
  throwsCodedError(t, () => map.write(Buffer.alloc(pageSize + 1, 3), 0), notWritable)
  throwsCodedError(t, () => map.write(Buffer.alloc(2, 3), 2 * pageSize - 1), notWritable)
  t.true(map.view(0, pageSize).equals(Buffer.alloc(pageSize, 1)))
  t.true(map.view(pageSize, pageSize).equals(Buffer.alloc(pageSize, 0)))
  t.true(map.view(2 * pageSize).equals(Buffer.alloc(pageSize, 2)))
})

// Bytes that the file has lost

for (const guard of [true, false]) {
  const how = guard ? 'guarded' : 'not guarded'

  /** A mapping whose file has become shorter, to end in its second page; and the faults that are reported. */
  function shrunk(t: ExecutionContext): { path: string; map: MemoryMap; told: MemoryFault[] } {
    const path = scratchFile(t, contents)
    const told: MemoryFault[] = []
    const map = mapShared(path, { protection: 'read-write', guard, onFault: (fault) => told.push(fault) })
    t.teardown(() => map.close())
    t.deepEqual(map.read(2 * pageSize, 50), contents.subarray(2 * pageSize, 2 * pageSize + 50))
    truncateSync(path, pageSize + 50)
    return { path, map, told }
  }

  truncating(`read and write beyond the end of a file that has shrunk throw at once, ${how}`, (t) => {
    const { path, map } = shrunk(t)
    for (const access of [() => map.read(2 * pageSize, 50), () => map.write(Buffer.alloc(50, 1), 2 * pageSize)]) {
      const error = t.throws(access, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })!
      t.is(error.fault.kind, 'beyond-end')
      t.is(error.fault.map, map)
      t.is(error.fault.offset, 2 * pageSize)
      t.true(error.message.includes(path))
      t.true(error instanceof Error)
      t.is(error.name, 'MemoryFaultError')
    }
    t.is(map.faults, 2)
    t.throws(() => map.read(), { instanceOf: MemoryFaultError })
    t.throws(() => map.read(0, 2 * pageSize + 1), { instanceOf: MemoryFaultError })
    t.is(map.faults, 4)
  })

  truncating(`a fault that read or write has thrown is reported, and not thrown again, ${how}`, async (t) => {
    const { map, told } = shrunk(t)
    t.throws(() => map.read(), { instanceOf: MemoryFaultError })
    t.throws(() => map.write(Buffer.of(1), 2 * pageSize), { instanceOf: MemoryFaultError })
    map.check()
    await until(() => told.length >= 2)
    t.deepEqual(
      told.map(({ kind }) => kind),
      ['beyond-end', 'beyond-end'],
    )
  })

  truncating(`what a file that has shrunk still has is read and written, ${how}`, (t) => {
    const { path, map } = shrunk(t)
    t.throws(() => map.read(), { instanceOf: MemoryFaultError })
    t.deepEqual(map.read(0, pageSize + 50), contents.subarray(0, pageSize + 50))
    t.is(map.write(Buffer.from('still there'), 100), 11)
    t.is(map.faults, 1)
    t.is(readFileSync(path).toString('latin1', 100, 111), 'still there')
  })

  truncating(`a file that has grown again is read again, ${how}`, (t) => {
    const { path, map } = shrunk(t)
    t.throws(() => map.read(), { instanceOf: MemoryFaultError })
    writeFileSync(path, contents)
    t.deepEqual(map.read(), contents)
    map.check()
  })
}

test("read from pages of protection 'none' throws at once", (t) => {
  using map = mapAnonymous(3 * pageSize, { onFault: () => {} })
  map.buffer.fill(0x55)
  map.protect('none', { offset: pageSize, length: pageSize })
  for (const read of [() => map.read(pageSize, 1), () => map.read(), () => map.read(pageSize - 1, 2)]) {
    const error = t.throws(read, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })!
    t.is(error.fault.kind, 'protection')
    t.is(error.fault.offset, pageSize)
    t.is(error.fault.map, map)
  }
  t.is(map.faults, 3)
  map.check()
  t.true(map.read(0, pageSize).equals(Buffer.alloc(pageSize, 0x55)))
  t.true(map.read(2 * pageSize).equals(Buffer.alloc(pageSize, 0x55)))
  map.protect('read')
  t.true(map.read().equals(Buffer.alloc(3 * pageSize, 0x55)))
})
