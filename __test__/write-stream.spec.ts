// createWriteStream: it makes the same file as fs.createWriteStream, whatever length the mapping had; and what is in the
// file when the stream fails, is destroyed, or others change the length meanwhile.

import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  createWriteStream,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, type WriteStreamOptions } from 'memory-map'

import { isCodedError, throwsCodedError } from './helpers/errors.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { isWindows, where, withDescriptors } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile } from './helpers/scratch.ts'

const MiB = 2 ** 20

/** Several steps of growth, and no whole number of pages. */
const contents = pattern(5 * MiB + 123)

const chunksOf = (bytes: Buffer, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

const open = (path: string) => mapShared(path, { protection: 'read-write' })

async function failure(stream: Writable): Promise<unknown> {
  const [error] = await once(stream, 'error')
  return error
}

for (const [before, start, size] of [
  [0, 0, 64 * 1024],
  [0, 0, 2 * MiB],
  [100, 0, 1000],
  [100, 100, 64 * 1024],
  [8 * MiB, 1000, 64 * 1024],
  [10, 3 * MiB + 1, 64 * 1024],
] as const) {
  test(`${size} bytes at a time from ${start} on into ${before}: the file is that of fs`, async (t) => {
    const old = Buffer.alloc(before, 'o')
    const [path, expected] = [scratchFile(t, old), scratchFile(t, old)]
    const chunks = chunksOf(contents, size)
    await pipeline(Readable.from(chunks), createWriteStream(expected, { start, flags: 'r+' }))
    const map = open(path)
    await pipeline(Readable.from(chunks), map.createWriteStream({ start }))
    t.is(map.length, Math.max(before, start + contents.length))
    t.true(map.read().equals(readFileSync(expected)))
    map.close()
    t.true(readFileSync(path).equals(readFileSync(expected)))
  })
}

test('text is written in the encoding that write() gets', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const stream = map.createWriteStream()
  stream.write('grün')
  stream.write('c3bc', 'hex')
  stream.end()
  await once(stream, 'finish')
  t.is(readFileSync(path, 'utf8'), 'grünü')
})

test('chunks that wait are written together', async (t) => {
  using map = open(scratchFile(t, ''))
  const stream = map.createWriteStream()
  stream.cork()
  for (const chunk of chunksOf(contents, 1000)) stream.write(chunk)
  stream.uncork()
  stream.end()
  await once(stream, 'finish')
  t.true(map.read().equals(contents))
})

test('write() returns false when highWaterMark bytes wait', (t) => {
  using map = open(scratchFile(t, ''))
  for (const [highWaterMark, more] of [
    [5, true],
    [4, false],
  ] as const) {
    const stream = map.createWriteStream({ highWaterMark })
    stream.cork()
    t.is(stream.write('four'), more)
  }
})

test('a stream without bytes does not change the file', async (t) => {
  const path = scratchFile(t, 'old')
  using map = open(path)
  await pipeline(Readable.from([]), map.createWriteStream({ start: 10 }))
  t.is(readFileSync(path, 'utf8'), 'old')
})

withDescriptors('a mapping of the middle of a file writes there', async (t) => {
  const path = scratchFile(t, Buffer.alloc(1000, 'o'))
  using map = mapShared(path, { offset: 700, protection: 'read-write' })
  await pipeline(Readable.from([contents]), map.createWriteStream({ start: 1 }))
  t.true(readFileSync(path).equals(Buffer.concat([Buffer.alloc(701, 'o'), contents])))
})

test('anonymous memory grows as well', async (t) => {
  for (const shared of isWindows ? [false] : [false, true]) {
    using map = mapAnonymous(10, { shared })
    await pipeline(Readable.from([contents]), map.createWriteStream())
    t.true(map.read().equals(contents))
  }
})

test('a private mapping can be written up to its end, and not beyond', async (t) => {
  using map = mapPrivate(scratchFile(t, 'old'))
  const stream = map.createWriteStream()
  stream.write('new')
  stream.write('!')
  isCodedError(t, await failure(stream), { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END' })
  t.is(map.toString(), 'new')
})

test('a destroyed stream leaves the bytes that it has written, and no room behind them', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const stream = map.createWriteStream()
  stream.write('written')
  stream.destroy()
  await once(stream, 'close')
  t.is(readFileSync(path, 'utf8'), 'written')
})

test('an AbortSignal ends a stream in the same way', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const controller = new AbortController()
  const stream = map.createWriteStream({ signal: controller.signal })
  stream.write('written')
  controller.abort()
  t.is(((await failure(stream)) as Error).name, 'AbortError')
  t.is(readFileSync(path, 'utf8'), 'written')
})

withDescriptors('bytes that another process appends meanwhile stay', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const stream = map.createWriteStream()
  stream.write('written')
  const { length } = map
  appendFileSync(path, 'appended')
  stream.end()
  await once(stream, 'finish')
  const file = readFileSync(path)
  t.is(file.length, length + 8)
  t.is(file.toString('utf8', 0, 7), 'written')
  t.is(file.toString('utf8', length), 'appended')
})

const meanwhile: [title: string, change: (map: MemoryMap) => void][] = [
  ['closed', (map) => map.close()],
  ['resized', (map) => map.resize(100)],
]

for (const [title, change] of meanwhile) {
  test(`the stream ends with an error if the mapping is ${title} meanwhile`, async (t) => {
    using map = open(scratchFile(t, ''))
    const stream = map.createWriteStream()
    stream.write('written')
    change(map)
    stream.write('more')
    isCodedError(t, await failure(stream), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
  })
}

// Serial, for views stay as they are while another test has something of Node's under way.
test.serial(
  'a view that is emptied before it is written makes the stream fail, and what was there stays',
  async (t) => {
    const path = scratchFile(t, 'there')
    using map = open(path)
    for (const empty of [
      (stream: Writable) => {
        const { buffer } = new Uint8Array(100)
        stream.write(Buffer.from(buffer))
        structuredClone(buffer, { transfer: [buffer] })
      },
      (stream: Writable) => {
        const other = mapAnonymous(100)
        stream.write(other.view())
        other.close()
      },
      // Of the mapping itself, which grows before it is written.
      (stream: Writable) => {
        stream.write(map.view())
        stream.write(contents)
      },
    ]) {
      const stream = map.createWriteStream({ start: 5 })
      stream.cork()
      empty(stream)
      stream.end()
      t.like(await failure(stream), { code: 'ERR_MMAP_CLOSED' })
      if (!isWindows) t.is(readFileSync(path, 'utf8'), 'there')
    }
  },
)

test('a mapping that is closed before its streams have ended leaves no room behind what they have written', async (t) => {
  const path = scratchFile(t, '')
  const map = open(path)
  const streams = [map.createWriteStream(), map.createWriteStream({ start: 7 })]
  for (const [i, stream] of streams.entries()) stream.write(['written', 'as well'][i])
  map.close()
  t.is(readFileSync(path, 'utf8'), 'writtenas well')
  for (const stream of streams) {
    stream.end('more')
    isCodedError(t, await failure(stream), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
  }
})

test('autoClose closes the mapping when the stream has finished or failed', async (t) => {
  const path = scratchFile(t, '')
  const finished = open(path)
  await pipeline(Readable.from(['bytes']), finished.createWriteStream({ autoClose: true, flush: true }))
  t.true(finished.closed)
  t.is(readFileSync(path, 'utf8'), 'bytes')
  const failed = open(path)
  const stream = failed.createWriteStream({ autoClose: true })
  stream.destroy(new Error('given up'))
  await failure(stream)
  t.true(failed.closed)
})

test("autoClose leaves the mapping open for the stream's listeners for errors", async (t) => {
  const map = open(scratchFile(t, ''))
  const stream = map.createWriteStream({ autoClose: true })
  const seen: boolean[] = []
  for (const name of ['error', 'close']) stream.on(name, () => seen.push(map.closed))
  stream.destroy(new Error('given up'))
  await failure(stream)
  t.deepEqual(seen, [false, true])
})

test('autoClose closes the mapping also if the program has removed all listeners of the stream', async (t) => {
  const map = open(scratchFile(t, ''))
  const stream = map.createWriteStream({ autoClose: true })
  stream.removeAllListeners()
  await pipeline(Readable.from(['bytes']), stream)
  t.true(map.closed)
})

test('a fault makes the stream fail', async (t) => {
  using map = mapAnonymous(10)
  map.protect('read')
  throwsCodedError(t, () => map.createWriteStream(), { instanceOf: Error, code: 'ERR_MMAP_NOT_WRITABLE' })
  map.protect('read-write')
  const stream = map.createWriteStream()
  map.protect('none')
  stream.write('lost')
  isCodedError(t, await failure(stream), { instanceOf: Error, code: 'ERR_MMAP_NOT_WRITABLE' })
})

withDescriptors("a descriptor stays the caller's", async (t) => {
  const path = scratchFile(t, '')
  const fd = openSync(path, 'r+')
  const map = mapShared(fd, { protection: 'read-write' })
  await pipeline(Readable.from([contents]), map.createWriteStream({ autoClose: true }))
  closeSync(fd)
  t.true(readFileSync(path).equals(contents))
})

test('wrong options are refused', (t) => {
  using map = mapAnonymous(10)
  const wrong: [options: object, instanceOf: ErrorConstructor, code: string][] = [
    [{ start: -1 }, RangeError as ErrorConstructor, 'ERR_OUT_OF_RANGE'],
    [{ start: 'a' }, TypeError as ErrorConstructor, 'ERR_INVALID_ARG_TYPE'],
    [{ highWaterMark: 0 }, TypeError as ErrorConstructor, 'ERR_INVALID_ARG_VALUE'],
    [{ signal: {} }, TypeError as ErrorConstructor, 'ERR_INVALID_ARG_TYPE'],
    [{ flush: 'yes' }, TypeError as ErrorConstructor, 'ERR_INVALID_ARG_TYPE'],
    [{ strat: 1 }, TypeError as ErrorConstructor, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [options, instanceOf, code] of wrong) {
    throwsCodedError(t, () => map.createWriteStream(options as WriteStreamOptions), { instanceOf, code })
  }
})

// Every runtime

for (const runtime of runtimes()) {
  test(`every byte reaches the file, on ${runtime.name} ${runtime.version}`, async (t: ExecutionContext) => {
    await endsWell(t, runtime, scenario('write-stream'))
  })
}

for (const [title, early, late] of [
  ['the one before ends first', 0, 3 * MiB],
  ['the one behind ends first', 3 * MiB, 0],
] as const) {
  test(`several streams write to one mapping, of which ${title}`, async (t) => {
    const path = scratchFile(t, '')
    using map = open(path)
    const [first, second] = [map.createWriteStream({ start: early }), map.createWriteStream({ start: late })]
    const write = (stream: Writable, bytes: Uint8Array) =>
      new Promise<void>((done, fail) => stream.write(bytes, (error) => (error ? fail(error) : done())))
    for (let i = 0; i < 20; i++) {
      await write(first, Buffer.alloc(100_000, 'f'))
      await write(second, Buffer.alloc(100_000, 's'))
    }
    first.end()
    await once(first, 'finish')
    const length = 3 * MiB + 2_000_000
    t.deepEqual([map.length, statSync(path).size], [length, length])
    await write(second, Buffer.alloc(3 * MiB, 's'))
    second.end()
    await once(second, 'finish')
    const expected = Buffer.alloc(Math.max(length, late + 2_000_000 + 3 * MiB))
    expected.fill('f', early, early + 2_000_000).fill('s', late, late + 2_000_000 + 3 * MiB)
    t.true(readFileSync(path).equals(expected))
    t.is(map.length, expected.length)
  })
}

const withRoom = where(!isWindows, 'a mapped file cannot be made shorter on Windows')

withRoom('a stream from before a change of the length cuts nothing that later streams write', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const old = map.createWriteStream()
  old.write('written')
  const { length } = map
  map.resize(0)
  const stream = map.createWriteStream()
  stream.write(contents.subarray(0, length))
  t.is(map.length, length)
  old.end()
  isCodedError(t, await failure(old), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
  stream.end()
  await once(stream, 'finish')
  t.true(map.read().equals(contents.subarray(0, length)))
})

test('the rest of the file stays behind a mapping of its first part, be it bytes or zeros', async (t) => {
  for (const rest of [Buffer.alloc(500_000, 'r'), Buffer.alloc(500_000), Buffer.alloc(3 * MiB)]) {
    const path = scratchFile(t, Buffer.concat([Buffer.alloc(100, 'o'), rest]))
    using map = mapShared(path, { length: 100, protection: 'read-write' })
    const stream = map.createWriteStream()
    stream.end(Buffer.alloc(200, 'n'))
    await once(stream, 'finish')
    t.is(map.length, 200)
    t.true(readFileSync(path).equals(Buffer.concat([Buffer.alloc(200, 'n'), rest.subarray(100)])))
  }
})

withRoom('a stream ends without a fault where others have cut its room off', async (t) => {
  const path = scratchFile(t, '')
  using map = open(path)
  const stream = map.createWriteStream()
  stream.write('written')
  truncateSync(path, 7)
  stream.end()
  await once(stream, 'finish')
  t.is(map.faults, 0)
  t.is(readFileSync(path, 'utf8'), 'written')
})

withRoom('a file that others make shorter after a stream stays so', async (t) => {
  const path = scratchFile(t, Buffer.alloc(1000, 'r'))
  using map = mapShared(path, { length: 100, protection: 'read-write' })
  const write = async (start: number, length: number) => {
    const stream = map.createWriteStream({ start })
    stream.end(Buffer.alloc(length, 'n'))
    await once(stream, 'finish')
  }
  await write(0, 200)
  truncateSync(path, 200)
  await write(200, 10)
  t.true(readFileSync(path).equals(Buffer.alloc(210, 'n')))
})

withRoom('what others store in the room behind a stream stays', async (t) => {
  const path = scratchFile(t, '')
  for (const others of [
    (map: MemoryMap) => void map.write(Buffer.from('other'), 5000),
    () => {
      using another = open(path)
      another.write(Buffer.from('other'), 5000)
    },
    () => {
      const fd = openSync(path, 'r+')
      writeSync(fd, 'other', 5000)
      closeSync(fd)
    },
  ]) {
    writeFileSync(path, '')
    using map = open(path)
    const stream = map.createWriteStream()
    stream.write('written')
    others(map)
    stream.end()
    await once(stream, 'finish')
    const expected = Buffer.alloc(5005)
    expected.write('written')
    expected.write('other', 5000)
    t.true(readFileSync(path).equals(expected))
    t.is(map.length, 5005)
  }
})
