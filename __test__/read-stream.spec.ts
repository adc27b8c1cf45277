// createReadStream: the bytes of fs.createReadStream, in chunks that are the mapping's own memory. Streams into files, gzip
// and HTTP responses, and streams whose mapping is closed, resized or truncated.

import { once } from 'node:events'
import { createReadStream, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import {
  mapAnonymous,
  mapPrivate,
  mapShared,
  MemoryFaultError,
  type MemoryMap,
  pageSize,
  type ReadStreamOptions,
} from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { settle } from './helpers/faults.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { areasOfFile } from './helpers/observe.mjs'
import { byProgram, keeping, onLinux, truncating } from './helpers/platform.ts'
import { random } from './helpers/random.mjs'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile } from './helpers/scratch.ts'
import { turns, until } from './helpers/until.ts'

const KiB = 2 ** 10
const MiB = 2 ** 20

/** More than the stream reads ahead at once, and not a whole number of pages. */
const contents = pattern(2 * MiB + 300 * KiB + 123)

async function chunksOf(stream: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

/** Compares chunk by chunk, because AVA takes long to print long Buffers. */
function sameChunks(t: ExecutionContext, actual: Buffer[], expected: Buffer[], message?: string): void {
  t.deepEqual(
    actual.map(({ length }) => length),
    expected.map(({ length }) => length),
    message,
  )
  t.true(
    actual.every((chunk, i) => chunk.equals(expected[i]!)),
    message,
  )
}

function sameBytes(t: ExecutionContext, chunks: Buffer[], expected: Buffer): void {
  t.true(Buffer.concat(chunks).equals(expected))
}

/** A destination that takes each chunk when `next` is called. */
class Slow extends Writable {
  taken: Buffer[] = []
  next: (() => void) | undefined

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk)
    this.next = done
  }
}

// Which bytes

test('the chunks are those of fs.createReadStream, for any start, end and highWaterMark', async (t) => {
  const path = scratchFile(t, contents)
  const below = random(20)
  const { length } = contents
  const edges = [
    0,
    1,
    pageSize - 1,
    pageSize,
    64 * KiB,
    MiB - 1,
    MiB,
    MiB + 1,
    length - 1,
    length,
    length + 1,
    2 * length,
  ]
  const position = () => (below(2) ? edges[below(edges.length)]! : below(length))
  const sizes = [1000, 4096, 65_536, 65_537, 100_000, MiB - 1, MiB, MiB + 1, 4 * MiB]
  using map = mapShared(path)
  using shifted = mapShared(path, { offset: 4095 })
  for (let i = 0; i < 150; i++) {
    const options: { start?: number; end?: number; highWaterMark?: number } = {}
    if (below(4)) options.start = position()
    if (below(4)) options.end = Math.max(options.start ?? 0, position())
    if (below(4)) options.highWaterMark = sizes[below(sizes.length)]!
    const expected = await chunksOf(createReadStream(path, options))
    sameChunks(t, await chunksOf(map.createReadStream(options)), expected, JSON.stringify(options))
    const { start = 0, end = Infinity } = options
    if (start < 4095) continue
    const same = shifted.createReadStream({ ...options, start: start - 4095, end: end - 4095 })
    sameChunks(t, await chunksOf(same), expected, JSON.stringify(options))
  }
})

test('start and end may be bigints, and end may be Infinity', async (t) => {
  using map = mapShared(scratchFile(t, contents))
  sameBytes(t, await chunksOf(map.createReadStream({ start: 5n, end: 9n })), contents.subarray(5, 10))
  t.deepEqual(await chunksOf(map.createReadStream({ start: 0n, end: 0 })), [contents.subarray(0, 1)])
  const rest = await chunksOf(map.createReadStream({ start: BigInt(contents.length) - 3n, end: Infinity }))
  t.deepEqual(rest, [contents.subarray(-3)])
})

test('a tiny highWaterMark gives tiny chunks', async (t) => {
  using map = mapShared(scratchFile(t, contents))
  const chunks = await chunksOf(map.createReadStream({ start: MiB - 500, end: MiB + 500, highWaterMark: 1 }))
  t.true(chunks.every(({ length }) => length === 1))
  sameBytes(t, chunks, contents.subarray(MiB - 500, MiB + 501))
})

test('an empty mapping, and a range beyond the end, give no chunk', async (t) => {
  const path = scratchFile(t, '')
  for (const map of [mapShared(path), mapPrivate(path), mapAnonymous(0)]) {
    t.deepEqual(await chunksOf(map.createReadStream()), [])
    t.deepEqual(await chunksOf(map.createReadStream({ start: 7, end: 9 })), [])
    map.close()
  }
  using map = mapAnonymous(100)
  t.deepEqual(await chunksOf(map.createReadStream({ start: 100 })), [])
})

test('every kind of mapping can be streamed', async (t) => {
  const path = scratchFile(t, contents)
  const anonymous = mapAnonymous(contents.length)
  anonymous.write(contents)
  const shares = mapShared(path, { backing: 'shared-array-buffer' })
  for (const map of [mapPrivate(path), anonymous, shares, mapShared(path, { guard: false })]) {
    sameBytes(t, await chunksOf(map.createReadStream()), contents)
    map.close()
  }
})

/** Options that are wrong, and the code that fs.createReadStream has for them where it minds. */
const wrong: [options: Record<string, unknown>, code: string, fsAgrees?: false][] = [
  [{ start: 10, end: 9 }, 'ERR_OUT_OF_RANGE'],
  [{ start: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ start: 1.5 }, 'ERR_OUT_OF_RANGE'],
  [{ start: NaN }, 'ERR_OUT_OF_RANGE'],
  [{ start: Infinity }, 'ERR_OUT_OF_RANGE'],
  [{ end: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ end: 2 ** 53 }, 'ERR_OUT_OF_RANGE'],
  [{ end: -Infinity }, 'ERR_OUT_OF_RANGE'],
  [{ start: '1' }, 'ERR_INVALID_ARG_TYPE'],
  [{ start: null }, 'ERR_INVALID_ARG_TYPE'],
  [{ end: {} }, 'ERR_INVALID_ARG_TYPE'],
  [{ end: null }, 'ERR_INVALID_ARG_TYPE'],
  [{ highWaterMark: -1 }, 'ERR_INVALID_ARG_VALUE'],
  [{ highWaterMark: 1.5 }, 'ERR_INVALID_ARG_VALUE'],
  [{ highWaterMark: '64' }, 'ERR_INVALID_ARG_VALUE'],
  [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  [{ start: 10n, end: 9n }, 'ERR_OUT_OF_RANGE', false],
  [{ start: -1n }, 'ERR_OUT_OF_RANGE', false],
  [{ end: 2n ** 70n }, 'ERR_OUT_OF_RANGE', false],
  [{ highWaterMark: 0 }, 'ERR_INVALID_ARG_VALUE', false],
  [{ hghWaterMark: 1 }, 'ERR_INVALID_ARG_VALUE', false],
]

for (const [options, code, fsAgrees = true] of wrong) {
  const [[name, value]] = Object.entries(options) as [[string, unknown]]
  const shown = typeof value === 'bigint' ? `${value}n` : typeof value === 'string' ? `'${value}'` : String(value)
  test(`{ ${name}: ${shown} } is ${code}${fsAgrees ? ', as for fs.createReadStream' : ''}`, (t) => {
    const path = scratchFile(t, contents)
    using map = mapShared(path)
    const error = t.throws(() => map.createReadStream(options as ReadStreamOptions), { code })!
    t.true(error.message.includes(name), error.message)
    if (fsAgrees) {
      const expected = t.throws(() => createReadStream(path, options as object), { code })!
      t.is(error.name, expected.name)
    }
  })
}

test('the error for a misspelt option suggests the right one', (t) => {
  using map = mapAnonymous(1)
  const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', says: ["'highWaterMark'"] }
  throwsCodedError(t, () => map.createReadStream({ highWatermark: 1 } as ReadStreamOptions), expected)
})

// Whose memory

test('chunks are the memory of the mapping', async (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { protection: 'read-write', offset: 10 })
  let at = 0
  for await (const chunk of map.createReadStream({ highWaterMark: 100_000 })) {
    map.buffer[at + 7]! ^= 0xff
    t.is(chunk[7], contents[10 + at + 7]! ^ 0xff)
    chunk[8]! ^= 0xff
    t.is(map.read(at + 8, 1)[0], contents[10 + at + 8]! ^ 0xff)
    t.is(readFileSync(path)[10 + at + 8], contents[10 + at + 8]! ^ 0xff)
    at += chunk.length
  }
  t.is(at, map.length)
})

test('chunks can be aligned for typed arrays', async (t) => {
  using map = mapPrivate(scratchFile(t, contents), { offset: 100 })
  const [chunk] = await chunksOf(map.createReadStream({ start: 28, end: 43 }))
  const floats = new Float64Array(chunk!.buffer, chunk!.byteOffset, 2)
  t.is(floats[1], contents.readDoubleLE(136))
})

test.serial('a long stream does not use more and more memory', async (t) => {
  const length = 512 * MiB
  using map = mapAnonymous(length, { reserve: false })
  globalThis.gc!()
  const before = process.memoryUsage().external
  let most = 0
  let bytes = 0
  for await (const chunk of map.createReadStream()) {
    bytes += chunk.length
    if (bytes % (32 * MiB) !== 0) continue
    globalThis.gc!()
    most = Math.max(most, process.memoryUsage().external - before)
  }
  t.is(bytes, length)
  t.true(most < 64 * MiB, `${most}`)
})

// How fast

test('a stream reads no more than its destination takes', async (t) => {
  using map = mapAnonymous(16 * MiB)
  const stream = map.createReadStream({ highWaterMark: 64 * KiB })
  const slow = new Slow({ highWaterMark: 1 })
  const done = pipeline(stream, slow)
  for (let taken = 1; taken <= 50; taken++) {
    while (slow.next === undefined) await sleep(1)
    await sleep(1)
    t.is(slow.taken.length, taken)
    // What waits in the stream, besides.
    t.true(stream.readableLength <= 64 * KiB, `${stream.readableLength}`)
    const { next } = slow
    slow.next = undefined
    next()
  }
  stream.destroy()
  await t.throwsAsync(done, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})

test('the event loop turns while a stream flows into a fast destination', async (t) => {
  using map = mapAnonymous(64 * MiB)
  let turns = 0
  const count = () => {
    turns++
    immediate = setImmediate(count)
  }
  let immediate = setImmediate(count)
  await pipeline(map.createReadStream(), new Writable({ write: (_chunk, _encoding, done) => done() }))
  clearImmediate(immediate)
  t.true(turns >= 32, `${turns}`)
})

// Ends before the end

test('leaving a loop destroys its stream', async (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  const stream = map.createReadStream()
  for await (const chunk of stream) {
    sameBytes(t, [chunk], contents.subarray(0, 64 * KiB))
    break
  }
  t.true(stream.destroyed)
})

test('destroy() ends a stream, before and in the middle', async (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  const unread = map.createReadStream()
  unread.destroy()
  await once(unread, 'close')
  const reason = new Error('enough')
  const stream = map.createReadStream()
  stream.once('data', () => stream.destroy(reason))
  t.is(await t.throwsAsync(once(stream, 'end')), reason)
})

test('a stream whose listeners were all removed closes its mapping, and keeps none open, when it is destroyed', async (t) => {
  const path = scratchFile(t, contents)
  const map = mapPrivate(path)
  const stream = map.createReadStream({ autoClose: true })
  stream.removeAllListeners()
  stream.destroy()
  await once(stream, 'close')
  t.true(map.closed)
  const other = mapPrivate(path)
  other.createReadStream().removeAllListeners().destroy()
  await other.closeAsync()
  t.true(other.closed)
})

test('an AbortSignal ends a stream, before and in the middle', async (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  const aborted = { name: 'AbortError', code: 'ABORT_ERR' }
  await t.throwsAsync(chunksOf(map.createReadStream({ signal: AbortSignal.abort() })), aborted)
  const controller = new AbortController()
  const stream = map.createReadStream({ signal: controller.signal })
  stream.once('data', () => controller.abort())
  await t.throwsAsync(once(stream, 'end'), aborted)
})

const ends: [what: string, end: (map: MemoryMap) => void][] = [
  ['close()', (map) => map.close()],
  ['resize()', (map) => map.resize(map.length * 3)],
]

test('an error of a stream without a reader or a listener does not end the process', async (t) => {
  for (const [, end] of ends) {
    const map = mapAnonymous(contents.length)
    const stream = map.createReadStream()
    const paused = map.createReadStream()
    paused.once('data', () => paused.pause())
    await once(paused, 'data')
    end(map)
    await turns()
    t.false(stream.destroyed)
    await t.throwsAsync(chunksOf(stream), { code: 'ERR_MMAP_CLOSED' })
    await t.throwsAsync(chunksOf(paused), { code: 'ERR_MMAP_CLOSED' })
    map.close()
  }
})

for (const [what, end] of ends) {
  test(`${what} ends every stream at once with an error, be it read or not`, async (t) => {
    const map = mapAnonymous(contents.length)
    const streams = [map.createReadStream(), map.createReadStream(), map.createReadStream({ highWaterMark: MiB })]
    streams[1]!.on('data', () => {})
    streams[2]!.once('readable', () => {})
    await once(streams[1]!, 'data')
    const errors = Promise.all(streams.map(async (stream) => (await once(stream, 'error'))[0]))
    end(map)
    for (const error of await errors) t.like(error, { code: 'ERR_MMAP_CLOSED' })
    map.close()
  })

  test(`${what} by the reader of the last byte lets the stream end`, async (t) => {
    for (const highWaterMark of [1000, 64 * KiB, contents.length]) {
      const map = mapAnonymous(contents.length)
      map.write(contents)
      const stream = map.createReadStream({ highWaterMark })
      let left = contents.length
      stream.on('data', (chunk: Buffer) => {
        left -= chunk.length
        if (left === 0) end(map)
      })
      await once(stream, 'end')
      t.is(left, 0)
      map.close()
    }
  })

  test(`${what} before the last byte was read ends the stream with an error`, async (t) => {
    const map = mapAnonymous(1000)
    const stream = map.createReadStream({ highWaterMark: 1000 })
    await once(stream, 'readable')
    t.is(stream.readableLength, 1000)
    end(map)
    await t.throwsAsync(chunksOf(stream), { code: 'ERR_MMAP_CLOSED' })
    map.close()
  })

  onLinux(`${what} closes the file while chunks are held, and the last chunks keep their bytes`, async (t) => {
    const path = scratchFile(t, contents)
    const told: string[] = []
    const map = mapShared(path, { protection: 'read-write', onFault: ({ kind }) => told.push(kind) })
    const chunks = await chunksOf(map.createReadStream())
    end(map)
    map.close()
    t.is(areasOfFile(path), 0)
    const last = chunks.slice(-16)
    const rest = contents.subarray(-last.reduce((sum, { length }) => sum + length, 0))
    sameBytes(t, last, rest)
    await turns()
    t.deepEqual(told, [])

    t.is(chunks[0]!.length, 64 * KiB)
    sameBytes(t, [chunks[0]!], Buffer.alloc(64 * KiB))
    chunks[0]!.fill(1)
    last[0]!.fill(1)
    sameBytes(t, last.slice(1), rest.subarray(64 * KiB))
    t.true(readFileSync(path).subarray(0, contents.length).equals(contents))
    if (what !== 'close()') return
    await until(() => told.length > 0)
    t.deepEqual(told, ['closed'])
  })
}

test('a mapping that is resized can be streamed again', async (t) => {
  using map = mapAnonymous(MiB)
  await chunksOf(map.createReadStream())
  map.resize(contents.length)
  map.write(contents)
  sameBytes(t, await chunksOf(map.createReadStream()), contents)
  map.resize(1000)
  sameBytes(t, await chunksOf(map.createReadStream()), contents.subarray(0, 1000))
})

// Pages that cannot be read

for (const size of [MiB + 3 * pageSize + 100, 10, 0]) {
  truncating(
    `a stream of a file that is cut to ${size} bytes ends with an error, and gives no byte that the file has lost`,
    async (t) => {
      const path = scratchFile(t, contents)
      using map = mapShared(path, { onFault: () => {} })
      const stream = map.createReadStream({ highWaterMark: 64 * KiB })
      const slow = new Slow({ highWaterMark: 1 })
      const done = pipeline(stream, slow)
      while (slow.next === undefined) await sleep(1)
      truncateSync(path, size)
      const seen = slow.taken.length + stream.readableLength / (64 * KiB)
      const error = t.throwsAsync(done, { instanceOf: MemoryFaultError })
      while (!stream.destroyed) {
        slow.next?.()
        slow.next = undefined
        await sleep(1)
      }
      const { fault } = (await error)!
      t.is(fault.kind, 'beyond-end')
      t.is(fault.map, map)
      // Earlier chunks are the mapping's memory.
      const pages = Math.ceil(size / pageSize) * pageSize
      const whole = slow.taken.slice(seen).reduce((sum, { length }) => sum + length, seen * 64 * KiB)
      t.true(whole <= Math.max(pages, seen * 64 * KiB), `${whole}`)
      writeFileSync(path, contents)
      await turns() // and the pages are the file's again
      sameBytes(t, await chunksOf(map.createReadStream()), contents)
    },
  )
}

test("a stream of pages of protection 'none' ends with an error", async (t) => {
  using map = mapPrivate(scratchFile(t, contents), { onFault: () => {} })
  map.protect('none', { offset: MiB, length: pageSize })
  t.is((await chunksOf(map.createReadStream({ end: MiB - 1 }))).length, 16)
  const error = await t.throwsAsync(chunksOf(map.createReadStream({ start: 5 })), { instanceOf: MemoryFaultError })
  t.is((error as MemoryFaultError).fault.kind, 'protection')
  t.is((error as MemoryFaultError).fault.offset, MiB)
})

test('check() throws a fault that lies ahead of a stream that was given up', async (t) => {
  using map = mapPrivate(scratchFile(t, contents), { onFault: () => {} })
  map.protect('none', { offset: MiB, length: pageSize })
  const stream = map.createReadStream()
  await once(stream, 'readable')
  while (map.faults === 0); // what is ahead is brought in on another thread
  stream.destroy()
  await once(stream, 'close')
  await turns()
  const errors = settle(map)
  t.true(errors.length > 0 && errors.every((error) => error instanceof MemoryFaultError))
})

// Every runtime

const scenarios: [title: string, name: string][] = [
  ['a file gets every byte', 'file'],
  ['gzip gets every byte', 'gzip'],
  ['an HTTP response to a slow client waits for it', 'slow-client'],
  ['close() in the middle is an error, and what was written is right', 'close'],
  ["close() on 'end' leaves the destination the bytes that it still needs", 'close-on-end'],
  ['a truncated file is an error', 'truncated'],
  ['an AbortSignal, destroy(), a loop that is left, and wrong options', 'given-up'],
  ['a stream that is destroyed while a read is under way has not finished', 'destroyed'],
  ['the memory goes back when the chunks are gone', 'collected'],
  ['streams that nobody reads any more are not kept', 'abandoned'],
]

for (const runtime of runtimes()) {
  for (const [title, name] of scenarios) {
    const program = scenario(`read-stream-${name}`)
    const declare = name === 'close-on-end' ? keeping : byProgram(program)
    declare.serial(`${title}, on ${runtime.name} ${runtime.version}`, async (t) => {
      await endsWell(t, runtime, program)
    })
  }
}
