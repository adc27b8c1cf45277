// Views without a copy: buffer, view, typedArray and dataView, of a mapping of any size.

import { constants } from 'node:buffer'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { deflateSync, inflateSync } from 'node:zlib'

import test, { type ExecutionContext } from 'ava'
import { allocationGranularity, mapAnonymous, mapPrivate, mapShared, type MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { collectGarbage } from './helpers/memory.ts'
import { areasOfFile } from './helpers/observe.mjs'
import { onLinux, withAddresses, withDescriptors } from './helpers/platform.ts'
import { runScript, runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile, writeAt } from './helpers/scratch.ts'

const GiB = 2 ** 30
const contents = pattern(3 * pageSize + 100)

// buffer and arrayBuffer

test('buffer is the whole mapping, and the same object each time', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  t.true(Buffer.isBuffer(map.buffer))
  t.is(map.buffer, map.buffer)
  t.is(map.buffer.length, contents.length)
  t.deepEqual(map.buffer, contents)
  t.is(map.arrayBuffer, map.arrayBuffer)
  t.is(map.buffer.buffer, map.arrayBuffer)
  t.true(map.arrayBuffer instanceof ArrayBuffer)
})

test('arrayBuffer begins with the first page of the mapping', (t) => {
  const path = scratchFile(t, contents)
  for (const offset of [0, 1, 100, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize + 77]) {
    const lead = offset % allocationGranularity
    using map = mapShared(path, { offset })
    t.is(map.buffer.byteOffset, lead)
    t.is(map.arrayBuffer.byteLength, lead + map.length)
    t.deepEqual(map.buffer, contents.subarray(offset))
    t.deepEqual(Buffer.from(map.arrayBuffer), contents.subarray(offset - lead))
  }
})

test('nothing is copied: a store through one view is seen through all others and in the file', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { protection: 'read-write', offset: 100 })
  const view = map.view(28, 16)
  const floats = map.typedArray(Float64Array, 28, 2)
  const data = map.dataView(28, 16)
  floats[1] = Math.PI
  t.is(view.readDoubleLE(8), Math.PI)
  t.is(data.getFloat64(8, true), Math.PI)
  t.is(map.buffer.readDoubleLE(36), Math.PI)
  t.is(map.read(36, 8).readDoubleLE(), Math.PI)
  t.is(readFileSync(path).readDoubleLE(136), Math.PI)
  data.setUint8(0, 0x77)
  t.is(view[0], 0x77)
  view[15] = 0x99
  t.is(data.getUint8(15), 0x99)
})

// view

test('view gives any range, by numbers or bigints', (t) => {
  const path = scratchFile(t, contents)
  for (const start of [0, 5, pageSize]) {
    using map = mapPrivate(path, { offset: start })
    const whole = contents.subarray(start)
    t.deepEqual(map.view(), whole)
    t.deepEqual(map.view(undefined, 10), whole.subarray(0, 10))
    for (const offset of [0, 1, 8, pageSize - 1, pageSize, whole.length - 1, whole.length]) {
      t.deepEqual(map.view(offset), whole.subarray(offset))
      t.deepEqual(map.view(BigInt(offset)), whole.subarray(offset))
      for (const length of [0, 1, 99, whole.length - offset].filter((length) => offset + length <= whole.length)) {
        t.deepEqual(map.view(offset, length), whole.subarray(offset, offset + length))
        t.deepEqual(map.view(BigInt(offset), BigInt(length)), whole.subarray(offset, offset + length))
      }
    }
  }
})

test('view gives a new Buffer each time, of the same ArrayBuffer', (t) => {
  using map = mapPrivate(scratchFile(t, contents), { offset: 10 })
  const a = map.view(5, 10)
  const b = map.view(5, 10)
  t.not(a, b)
  t.true(Buffer.isBuffer(a))
  t.is(a.buffer, b.buffer)
  t.is(a.byteOffset, b.byteOffset)
})

test('all views share one ArrayBuffer, whichever is asked for first', (t) => {
  const path = scratchFile(t, contents)
  const firsts: ((map: MemoryMap) => ArrayBufferView)[] = [
    (map) => map.buffer,
    (map) => map.view(pageSize, 1),
    (map) => map.typedArray(Uint8Array, 2 * pageSize),
    (map) => map.dataView(7),
    (map) => map.view(0, 0),
  ]
  for (const first of firsts) {
    using map = mapPrivate(path, { offset: 3 })
    const { buffer } = first(map)
    t.is(buffer, map.arrayBuffer)
    for (const other of firsts) t.is(other(map).buffer, buffer)
  }
})

withDescriptors.serial(
  'a mapping has no ArrayBuffer before the first view, and one over everything only after `buffer` was used',
  async (t) => {
    const length = 256 << 20
    const few = 16 << 20
    // V8 counts the bytes of every ArrayBuffer over memory that is not its own.
    const external = async () => {
      await collectGarbage()
      return process.memoryUsage().external
    }
    const before = await external()
    using map = mapAnonymous(length, { shared: true, reserve: false })
    map.write(Buffer.from('written'), 12_345)
    t.is(map.read(12_345, 7).toString(), 'written')
    map.protect('read')
    map.syncSync()
    await map.sync()
    map.check()
    const withoutViews = (await external()) - before
    t.true(withoutViews < few, `${withoutViews}`)

    const kept: unknown[] = [map.view(17, 1)]
    const withOneView = (await external()) - before
    t.true(withOneView > 0 && withOneView < few, `${withOneView}`)

    for (let i = 0; i < 1000; i++) {
      kept.push(map.view(i * 1000, 1 << 20), map.typedArray(Int32Array, i * 4096), map.dataView(i), map.buffer)
    }
    const withBuffer = (await external()) - before
    t.true(withBuffer >= length && withBuffer < length + few, `${withBuffer}`)
    t.is(kept.length, 4001)
  },
)

onLinux('a view keeps the memory when nothing else refers to the mapping', async (t) => {
  const path = scratchFile(t, contents)
  let view: Buffer | undefined = mapShared(path).view(pageSize, 50)
  await collectGarbage()
  t.is(areasOfFile(path), 1)
  t.deepEqual(view, contents.subarray(pageSize, pageSize + 50))
  view = undefined
  for (let tries = 0; tries < 1000 && areasOfFile(path) > 0; tries++) await collectGarbage()
  t.is(areasOfFile(path), 0)
})

// typedArray

/** The typed arrays that this runtime has: Float16Array is newer than Node 20. */
const constructors = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  ...('Float16Array' in globalThis
    ? [(globalThis as unknown as { Float16Array: typeof Float32Array }).Float16Array]
    : []),
]

/** An ArrayBuffer of V8's own with the same bytes. */
const heap = contents.buffer.slice(contents.byteOffset, contents.byteOffset + contents.length)

type AnyConstructor = typeof Uint8Array

for (const given of constructors) {
  const Constructor = given as unknown as AnyConstructor
  const size = Constructor.BYTES_PER_ELEMENT

  test(`typedArray makes the ${given.name} that its constructor would make`, (t) => {
    const length = Math.floor(contents.length / 8) * 8
    using map = mapPrivate(scratchFile(t, contents), { length })
    const whole = map.typedArray(Constructor)
    t.true(whole instanceof Constructor)
    t.is(whole.constructor, Constructor)
    t.is(whole.length, length / size)
    t.deepEqual(whole, new Constructor(heap, 0, length / size))
    for (const byteOffset of [0, 8, pageSize, length - 8, length]) {
      const count = (length - byteOffset) / size
      t.deepEqual(map.typedArray(Constructor, byteOffset), new Constructor(heap, byteOffset, count))
      for (const elements of [0, 1, count].filter((elements) => elements <= count)) {
        const expected = new Constructor(heap, byteOffset, elements)
        t.deepEqual(map.typedArray(Constructor, byteOffset, elements), expected)
        t.deepEqual(map.typedArray(Constructor, BigInt(byteOffset), BigInt(elements)), expected)
      }
    }
  })

  test(`readTyped copies a ${given.name} from any offset`, (t) => {
    using map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
    for (let byteOffset = 0; byteOffset < size; byteOffset++) {
      const expected = new Constructor(heap.slice(byteOffset, byteOffset + 10 * size))
      const copied = map.readTyped(Constructor, byteOffset, 10)
      t.is(copied.constructor, Constructor)
      t.deepEqual(copied, expected)
      map.write(Buffer.alloc(size), byteOffset)
      t.deepEqual(copied, expected, 'it is a copy')
      map.write(Buffer.from(heap, byteOffset, size), byteOffset)
    }
    const rest = contents.length % size
    t.is(map.readTyped(Constructor, rest).length, (contents.length - rest) / size)
    const expected = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
    throwsCodedError(t, () => map.readTyped(Constructor, contents.length - size + 1, 1), expected)
    if (size > 1) throwsCodedError(t, () => map.readTyped(Constructor, rest + 1), expected)
  })

  if (size > 1) {
    test(`a ${given.name} that is not aligned in memory is a RangeError that names the byte`, (t) => {
      using map = mapPrivate(scratchFile(t, contents))
      t.throws(() => new Constructor(heap, 1, 1), { instanceOf: RangeError })
      const expected = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
      for (let byteOffset = 1; byteOffset < size; byteOffset++) {
        const error = throwsCodedError(t, () => map.typedArray(Constructor, byteOffset, 1), expected)
        t.true(error.message.includes(`a multiple of ${size} bytes`))
        t.true(error.message.includes(`byte ${byteOffset} of the file`))
      }
    })

    test(`a ${given.name} is aligned in memory, wherever the mapping begins in it`, (t) => {
      const begin = pageSize + size / 2
      using map = mapPrivate(scratchFile(t, contents), { offset: begin })
      const expected = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE', says: [`byte ${begin} of the file`] }
      throwsCodedError(t, () => map.typedArray(Constructor, 0, 1), expected)
      throwsCodedError(t, () => map.typedArray(Constructor, size, 1), { ...expected, says: [] })
      t.deepEqual(map.typedArray(Constructor, size / 2, 5), new Constructor(heap, pageSize + size, 5))
    })

    test(`a ${given.name} to the end of a mapping without a whole number of elements is a RangeError`, (t) => {
      const path = scratchFile(t, contents)
      using map = mapPrivate(path, { length: size * 10 + 1 })
      t.throws(() => new Constructor(heap.slice(0, size * 10 + 1)), { instanceOf: RangeError })
      t.throws(() => map.typedArray(Constructor), { instanceOf: RangeError })
      t.throws(() => map.typedArray(Constructor, size), { instanceOf: RangeError })
      t.is(map.typedArray(Constructor, 0, 10).length, 10)
    })
  }
}

test('the length for typedArray is in elements', (t) => {
  using map = mapAnonymous(80)
  t.is(map.typedArray(Float64Array, 0, 10).byteLength, 80)
  t.throws(() => map.typedArray(Float64Array, 0, 11), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => map.typedArray(Float64Array, 8, 10), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => map.typedArray(Float64Array, 0, 2 ** 52), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => map.typedArray(Float64Array, 0, 2n ** 62n), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
})

test('typedArray stores reach the file, Atomics included', (t) => {
  const path = scratchFile(t, Buffer.alloc(64))
  using map = mapShared(path, { protection: 'read-write' })
  const counters = map.typedArray(BigUint64Array, 8, 2)
  Atomics.add(counters, 1, 41n)
  Atomics.add(counters, 1, 1n)
  t.is(readFileSync(path).readBigUInt64LE(16), 42n)
})

// dataView

test('dataView is a DataView of any bytes, aligned or not', (t) => {
  const path = scratchFile(t, contents)
  for (const start of [0, 3]) {
    using map = mapPrivate(path, { offset: start })
    const expected = new DataView(heap, start)
    const data = map.dataView()
    t.true(data instanceof DataView)
    t.is(data.byteLength, contents.length - start)
    for (const at of [0, 1, 7, pageSize - 3, data.byteLength - 8]) {
      t.is(data.getFloat64(at), expected.getFloat64(at))
      t.is(data.getBigUint64(at, true), expected.getBigUint64(at, true))
      t.is(map.dataView(at).getUint32(0), expected.getUint32(at))
      t.is(map.dataView(BigInt(at), 4n).getUint32(0, true), expected.getUint32(at, true))
    }
    t.is(map.dataView(5, 3).byteLength, 3)
    t.throws(() => map.dataView(5, 3).getUint32(0), { instanceOf: RangeError })
    t.is(map.dataView(data.byteLength).byteLength, 0)
  }
})

// Views elsewhere

test("Node's APIs take a view like any other Buffer", async (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { offset: 10 })
  const view = map.view(90, 2 * pageSize)
  const own = Buffer.from(contents.subarray(100, 100 + 2 * pageSize))
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  t.is(sha256(view), sha256(own))
  t.deepEqual(inflateSync(deflateSync(view)), own)
  t.is(new TextDecoder('latin1').decode(view), new TextDecoder('latin1').decode(own))
  t.is(view.toString('base64'), own.toString('base64'))
  t.is(view.indexOf(own.subarray(777, 800)), own.indexOf(own.subarray(777, 800)))
  t.deepEqual(Buffer.concat([view, view]), Buffer.concat([own, own]))
  t.deepEqual(Buffer.from(structuredClone(view)), own)
  t.is(Buffer.compare(view, own), 0)
  t.deepEqual(Buffer.from(await crypto.subtle.digest('SHA-1', view)), createHash('sha1').update(own).digest())
  t.deepEqual(Buffer.from(await new Blob([view]).arrayBuffer()), own)

  const copy = scratchFile(t, '')
  const fd = openSync(copy, 'r+')
  t.teardown(() => closeSync(fd))
  writeSync(fd, view)
  t.deepEqual(readFileSync(copy), own)
  using target = mapAnonymous(own.length)
  readSync(fd, target.buffer, 0, own.length, 0)
  t.deepEqual(target.buffer, own)
})

// Larger than a Buffer

/** Bytes of the runtime's largest Buffer. */
const huge = constants.MAX_LENGTH
/** Whether a mapping can be larger than a Buffer here. */
const canExceedBuffers = huge < 2 ** 34

/** A sparse file with a mark of 16 bytes, its own offset in decimals, at each of `offsets`. */
function markedFile(t: ExecutionContext, length: number, offsets: number[]): string {
  const path = sparseFile(t, length)
  for (const offset of offsets) writeAt(path, offset, String(offset).padEnd(16))
  return path
}

const bigLength = 6 * GiB + 12_345
const marks = [0, GiB - 16, GiB, 2 * GiB - 8, 3 * GiB - 1, 4 * GiB - 16, 4 * GiB, 5 * GiB + 7, bigLength - 16]

for (const start of [0, 4095]) {
  withAddresses(`a file larger than 4 GiB can be viewed, read and written anywhere, mapped from byte ${start}`, (t) => {
    const path = markedFile(t, bigLength, marks.slice(1))
    using map = mapShared(path, { protection: 'read-write', offset: start })
    t.is(map.length, bigLength - start)
    for (const mark of marks.slice(1)) {
      const text = String(mark).padEnd(16)
      const at = mark - start
      t.is(map.view(at, 16).toString(), text)
      t.is(map.view(BigInt(at), 16n).toString(), text)
      t.is(map.read(at, 16).toString(), text)
      t.is(map.read(BigInt(at), 16n).toString(), text)
      t.is(Buffer.from(map.typedArray(Uint8Array, BigInt(at), 16)).toString(), text)
      t.is(map.dataView(BigInt(at), 16).getUint8(0), text.charCodeAt(0))
      const aligned = Math.floor(mark / 8) * 8 - start
      t.is(map.typedArray(Float64Array, aligned, 1)[0], map.view(aligned, 8).readDoubleLE())

      t.is(map.write(Buffer.from('W'), BigInt(at)), 1)
      t.is(map.view(at, 1).toString(), 'W')
      map.view(at + 1, 1).write('V')
      t.is(map.read(at, 2).toString(), 'WV')
    }
    t.is(
      map.view(map.length - 16).toString(),
      `WV${String(bigLength - 16)
        .padEnd(16)
        .slice(2)}`,
    )

    const fd = openSync(path, 'r')
    const bytes = Buffer.alloc(2)
    readSync(fd, bytes, 0, 2, 5 * GiB + 7)
    closeSync(fd)
    t.is(bytes.toString(), 'WV')
  })

  // What other tests have under way on this thread would keep views after `close()`.
  withAddresses.serial(
    `views of a file larger than 4 GiB have up to 1 GiB wherever they start, mapped from byte ${start}`,
    (t) => {
      const path = markedFile(t, bigLength, marks)
      using map = mapShared(path, { protection: 'read-write', offset: start })
      const near = [0, 1, GiB / 2, GiB - 4096, GiB - 4095, GiB - 1, GiB, GiB + 1, 2 * GiB - 1, 3 * GiB + 1]
      for (const offset of [...near, 4 * GiB - 1, 4 * GiB, 5 * GiB - 4095, map.length - GiB]) {
        const view = map.view(offset, GiB)
        t.is(view.length, GiB)
        view[0] = 0xa1
        view[GiB - 1] = 0xa2
        t.deepEqual([map.read(offset, 1)[0], map.read(offset + GiB - 1, 1)[0]], [0xa1, 0xa2])

        // Views that lie in other ArrayBuffers are the same memory.
        t.is(map.view(offset + GiB - 1, 1)[0], 0xa2)
        const bytes = map.typedArray(Uint8Array, offset, GiB)
        bytes[GiB - 1] = 0xa3
        t.is(view[GiB - 1], 0xa3)
        t.is(map.dataView(offset, GiB).getUint8(GiB - 1), 0xa3)
      }
      map.syncSync({ offset: 5n * BigInt(GiB), length: 100 })
      const views = [map.view(0, 1), map.view(3 * GiB, GiB), map.typedArray(Int8Array, 5n * BigInt(GiB), 8)]
      map.close()
      for (const view of views) t.is(view.length, 0)
    },
  )
}

withAddresses("a view larger than the runtime's largest Buffer is ERR_MMAP_TOO_LARGE", (t) => {
  if (!canExceedBuffers) {
    t.log(`the largest Buffer here has ${huge} bytes`)
    return t.pass()
  }
  using map = mapAnonymous(huge + pageSize, { reserve: false })
  const expected = {
    instanceOf: RangeError,
    code: 'ERR_MMAP_TOO_LARGE',
    says: [`${huge}`, `${huge + pageSize}`, 'view'],
  }
  throwsCodedError(t, () => map.buffer, expected)
  throwsCodedError(t, () => map.arrayBuffer, expected)
  throwsCodedError(t, () => map.read(), expected)
  const says = [`${GiB}`]
  throwsCodedError(t, () => map.view(), { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE', says })
  throwsCodedError(t, () => map.view(1, 3 * GiB), { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE', says })
  throwsCodedError(t, () => map.typedArray(Float64Array), { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE' })
  throwsCodedError(t, () => map.dataView(), { instanceOf: RangeError, code: 'ERR_MMAP_TOO_LARGE' })
  t.is(map.view(huge, pageSize).length, pageSize)
})

withAddresses("a mapping as large as the runtime's largest Buffer has a buffer", (t) => {
  if (!canExceedBuffers) {
    t.log(`the largest Buffer here has ${huge} bytes`)
    return t.pass()
  }
  using map = mapAnonymous(huge, { reserve: false })
  t.is(map.buffer.length, huge)
  map.buffer[huge - 1] = 9
  t.is(map.read(huge - 1)[0], 9)
})

withAddresses.serial(
  'a mapping of more than 4 GiB has no ArrayBuffer before the first view, and few after it',
  async (t) => {
    if (!canExceedBuffers) return t.pass()
    await collectGarbage()
    const before = process.memoryUsage().external
    using map = mapAnonymous(6 * GiB, { reserve: false })
    t.is(map.write(Buffer.from([1]), 5 * GiB), 1)
    await collectGarbage()
    t.true(process.memoryUsage().external - before < 16 << 20)
    const buffers = new Set<ArrayBuffer>()
    for (let i = 0; i < 6000; i++) {
      const offset = Math.floor((i * map.length) / 6000)
      buffers.add(map.view(offset, Math.min(GiB, map.length - offset)).buffer)
    }
    t.true(buffers.size <= 6, `${buffers.size}`)
  },
)

for (const runtime of runtimes().slice(1)) {
  withAddresses(`a file larger than 4 GiB works on ${runtime.name} ${runtime.version}`, async (t) => {
    const path = markedFile(t, bigLength, marks.slice(0, -1))
    const result = await runScript(runtime, scenario('views-large'), {
      args: [path, String(bigLength), ...marks.slice(0, -1).map(String)],
    })
    t.is(result.stdout, 'all as it should be\n', result.stderr)
    t.deepEqual([result.code, result.signal], [0, null], result.stderr)
  })
}
