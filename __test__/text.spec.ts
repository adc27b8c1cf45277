// Text in memory that others change: Buffers over it decode copies.

import assert from 'node:assert'
import { constants } from 'node:buffer'
import { once } from 'node:events'
import { StringDecoder } from 'node:string_decoder'
import { inspect } from 'node:util'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { onPosix } from './helpers/platform.ts'
import { Peer } from './helpers/processes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'

const text = 'häßlich, € und 😀, text\r\nand text\n'
const contents = Buffer.from(text.repeat(50))
const ENCODINGS = [
  'utf8',
  'utf-8',
  'latin1',
  'binary',
  'ascii',
  'hex',
  'base64',
  'base64url',
  'ucs2',
  'utf16le',
] as const
const RANGES = [
  [],
  [0],
  [7],
  [3, 300],
  [-5, 50],
  [100, 50],
  [1.7, 9.9],
  [2000],
  [0, 1e9],
  [NaN, 7],
  [undefined, 20],
] as const

/** Starts a process that stores characters of one and of three bytes to a file, until the test is over. */
async function startWriter(t: ExecutionContext, length: number): Promise<string> {
  const path = scratchFile(t, Buffer.alloc(length, '€'))
  const writer = await Peer.start(t, runtimes()[0]!)
  await writer.run(`map = lib.mapShared(${JSON.stringify(path)}, { protection: 'read-write' }), 1`)
  await writer.run(`[a, b] = ['a', '€'].map((text) => Buffer.alloc(${length}, text)), 1`)
  void writer.run('(() => { for (;;) { map.write(a); map.write(b) } })()').catch(() => {}) // until it is killed
  return path
}

for (const runtime of runtimes()) {
  for (const backing of ['array-buffer', 'shared-array-buffer']) {
    onPosix.serial(
      `text is decoded while another process changes it (${runtime.name} ${runtime.version}, ${backing})`,
      async (t) => {
        const path = await startWriter(t, 2 ** 20)
        const source = "await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/decode-under-fire.mjs')"
        const { code, signal, stdout, stderr } = await runScript(runtime, source, { args: [path, backing, '1500'] })
        t.deepEqual([code, signal, stdout.trim()], [0, null, 'alive'], stderr)
      },
    )
  }
}

test('text is decoded as by an ordinary Buffer, in every encoding and range', (t) => {
  for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
    using map = mapShared(scratchFile(t, contents), { backing })
    for (const encoding of [undefined, ...ENCODINGS]) {
      for (const [start, end] of RANGES) {
        t.is(map.buffer.toString(encoding, start, end), contents.toString(encoding, start, end))
        t.is(map.toString(encoding, start, end), contents.toString(encoding, start, end))
      }
    }
    t.is(String(map.buffer), text.repeat(50))
    t.is(`${map.buffer.subarray(3, 70).slice(1)}`, contents.toString('utf8', 4, 70))
    t.is(
      (map.buffer as { toLocaleString: Buffer['toString'] }).toLocaleString('hex', 3, 9),
      contents.toString('hex', 3, 9),
    )
    t.is(JSON.stringify(map.buffer), JSON.stringify(contents))
  }
})

test('arguments that a Buffer refuses are refused', (t) => {
  using map = mapShared(scratchFile(t, contents))
  t.throws(() => map.buffer.toString('utf7' as 'utf8'), { instanceOf: TypeError, code: 'ERR_UNKNOWN_ENCODING' })
  throwsCodedError(t, () => map.toString('utf7' as 'utf8'), { instanceOf: TypeError, code: 'ERR_UNKNOWN_ENCODING' })
  const { utf8Slice } = map.buffer as unknown as { utf8Slice(start: number, end: number): string }
  t.throws(() => utf8Slice.call(map.buffer, 0, contents.length + 1))
  map.close()
  throwsCodedError(t, () => map.toString(), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
})

test('text that is too long for a string is refused before it is copied', (t) => {
  const length = 3 * constants.MAX_STRING_LENGTH + 4
  using map = mapShared(sparseFile(t, length))
  throwsCodedError(t, () => map.toString(), { instanceOf: Error, code: 'ERR_STRING_TOO_LONG' })
  throwsCodedError(t, () => map.toString('hex', 0, length / 4), { instanceOf: Error, code: 'ERR_STRING_TOO_LONG' })
  throwsCodedError(t, () => map.buffer.toString(), { instanceOf: Error, code: 'ERR_STRING_TOO_LONG' })
  throwsCodedError(t, () => map.buffer.toString('latin1', 0, constants.MAX_STRING_LENGTH + 1), {
    instanceOf: Error,
    code: 'ERR_STRING_TOO_LONG',
  })
  t.is(map.toString('utf8', length - 3), '\0\0\0')
})

test('a Buffer over memory that others can change is a Buffer', (t) => {
  using map = mapShared(scratchFile(t, contents))
  for (const buffer of [map.buffer, map.view(3), map.buffer.subarray(1), map.buffer.slice(1)]) {
    t.true(Buffer.isBuffer(buffer))
    t.true(buffer instanceof Uint8Array)
    t.is(buffer.constructor, Buffer)
    t.regex(inspect(buffer), /^<Buffer [0-9a-f]{2} /)
  }
  assert.deepEqual(map.buffer, contents)
  assert.deepEqual(contents, map.buffer)
  t.true(contents.equals(map.buffer))
  t.is(Buffer.compare(map.buffer, contents), 0)
  t.is(Object.getPrototypeOf(map.buffer.map((byte) => byte)), Buffer.prototype)
  t.is(Object.getPrototypeOf(structuredClone(map.view(0, 3))), Uint8Array.prototype)
})

onPosix('memory of this process alone has ordinary Buffers and typed arrays', (t) => {
  using alone = mapAnonymous(4096)
  t.is(Object.getPrototypeOf(alone.buffer), Buffer.prototype)
  t.is(Object.getPrototypeOf(alone.view(3)), Buffer.prototype)
  t.is(Object.getPrototypeOf(alone.typedArray(Int32Array)), Int32Array.prototype)
  using memfd = mapAnonymous(4096, { shared: true })
  using threads = mapAnonymous(4096, { backing: 'shared-array-buffer' })
  using file = mapPrivate(scratchFile(t, contents))
  for (const map of [memfd, threads, file]) t.not(Object.getPrototypeOf(map.buffer), Buffer.prototype)
})

test('searches for UTF-16 at an odd address do not run for ever', (t) => {
  const wide = Buffer.from(`x${'abc abd'.repeat(9)}`, 'utf16le').subarray(1)
  using map = mapShared(scratchFile(t, wide), { offset: 1 })
  const expected = Buffer.from(wide.subarray(1))
  t.is(map.buffer.byteOffset % 2, 1)
  for (const method of ['indexOf', 'lastIndexOf', 'includes'] as const) {
    for (const value of ['b', 'bd', 'none']) {
      t.is(map.buffer[method](value, 'utf16le'), expected[method](value, 'utf16le'))
      t.is(map.buffer[method](value, 30, 'ucs2'), expected[method](value, 30, 'ucs2'))
    }
  }
})

for (const runtime of runtimes()) {
  test(`what read(size) leaves of a chunk decodes copies, as the chunk does (${runtime.name} ${runtime.version})`, async (t) => {
    const source = `
      import { once } from 'node:events'
      import { writeFileSync } from 'node:fs'
      const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      writeFileSync('file', Buffer.alloc(10_000, 'abc'))
      const map = mapShared('file')
      async function read(stream, size) {
        for (;;) {
          const part = stream.read(size)
          if (part !== null) return part
          await once(stream, 'readable')
        }
      }
      const stream = map.createReadStream({ highWaterMark: 1000 })
      const heard = []
      let length = 0
      for (const size of [10, 1500, 20, 1999, 5, undefined]) {
        const part = await read(stream, size)
        const isText = part.toString() === map.toString('utf8', length, (length += part.length))
        heard.push(isText && (part.toString !== Buffer.prototype.toString || size === 1500 || size === 1999))
      }
      stream.on('data', (part) => heard.push(part.toString !== Buffer.prototype.toString))
      await once(stream, 'end')
      map.close()
      console.log(heard.every(Boolean), heard.length > 10)`
    const { code, stdout, stderr } = await runScript(runtime, source)
    t.deepEqual([code, stdout.trim()], [0, 'true true'], stderr)
  })

  test(`searches for UTF-16 at an odd address end, whichever argument the encoding is (${runtime.name} ${runtime.version})`, async (t) => {
    const source = `
      import { writeFileSync } from 'node:fs'
      const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      writeFileSync('file', 'axxxxxxxxxxxxxxxxxxxxxxxx')
      const map = mapShared('file')
      const [view, copy] = [map.view(1), map.read(1)]
      const search = (bytes, method, ...rest) => {
        try {
          return bytes[method]('x', ...rest)
        } catch (error) {
          return error.code
        }
      }
      for (const method of ['indexOf', 'lastIndexOf', 'includes'])
        for (const rest of [['ucs2'], [0, 'ucs2'], [0, 20, 'ucs2'], [undefined, undefined, 'utf16le']])
          console.log(search(view, method, ...rest) === search(Buffer.from(copy), method, ...rest))
      map.close()`
    const { code, stdout, stderr } = await runScript(runtime, source, { timeoutMs: 60_000 })
    t.deepEqual([code, stdout.split(/\s+/).filter((line) => line === 'true').length], [0, 12], stdout + stderr)
  })
}

test('lines can be strings', (t) => {
  using map = mapShared(scratchFile(t, Buffer.concat([contents, Buffer.alloc(600_000, 'long'), Buffer.from('\nlast')])))
  const lines = [...map.lines({ encoding: 'utf8' })]
  t.deepEqual(lines, [...map.lines()].map(String))
  t.is(lines.length, 102)
  t.deepEqual(
    [...map.lines({ encoding: 'hex', offset: 5, length: 40 })],
    [...map.lines({ offset: 5, length: 40 })].map((line) => line.toString('hex')),
  )
  throwsCodedError(t, () => map.lines({ encoding: 'utf7' as 'utf8' }), {
    instanceOf: TypeError,
    code: 'ERR_UNKNOWN_ENCODING',
  })
})

test('streams can give strings, also if a chunk ends in the middle of a character', async (t) => {
  using map = mapShared(scratchFile(t, contents))
  for (const highWaterMark of [1, 7, 65_536]) {
    const chunks: unknown[] = await map.createReadStream({ encoding: 'utf8', highWaterMark }).toArray()
    t.true(chunks.every((chunk) => typeof chunk === 'string'))
    t.is(chunks.join(''), contents.toString())
  }
  throwsCodedError(t, () => map.createReadStream({ encoding: 'utf7' as 'utf8' }), {
    instanceOf: TypeError,
    code: 'ERR_UNKNOWN_ENCODING',
  })
})

test('setEncoding decodes copies of the chunks that wait in the stream', async (t) => {
  using map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
  const stream = map.createReadStream({ highWaterMark: 100 })
  await once(stream, 'readable')
  t.true(stream.readableLength > 0)
  stream.setEncoding('utf8')
  t.is((await stream.toArray()).join(''), contents.toString())
})

for (const state of ['paused', 'flowing']) {
  test(`no memory of the mapping gets to the decoder of a stream that is ${state} when its encoding is set`, async (t) => {
    using map = mapShared(scratchFile(t, contents))
    const stream = map.createReadStream({ highWaterMark: 100 })
    await once(stream, 'readable')
    const parts: unknown[] = []
    if (state === 'flowing') stream.on('data', (part) => parts.push(part)).resume()
    t.is(stream.readableFlowing === true, state === 'flowing')
    const decoded = decodedBy(() => stream.setEncoding('utf8'))
    t.true(decoded.length > 0)
    t.true(decoded.every((bytes) => Object.getPrototypeOf(bytes) === Buffer.prototype))
    if (state === 'paused') parts.push(...(await stream.toArray()))
    else await once(stream, 'end')
    t.true(parts.every((part) => typeof part === 'string'))
    t.is(parts.join(''), contents.toString())
  })
}

/** What streams give their decoders while `run` runs. */
function decodedBy(run: () => void): unknown[] {
  const { prototype } = StringDecoder
  const { write } = prototype
  const given: unknown[] = []
  prototype.write = function (bytes) {
    given.push(bytes)
    return write.call(this, bytes)
  }
  try {
    run()
  } finally {
    prototype.write = write
  }
  return given
}
