// lines(): views of the mapping, cut at `\n` and `\r\n`.

import { constants } from 'node:buffer'
import { createReadStream, truncateSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import fc from 'fast-check'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, MemoryFaultError, pageSize } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { Reports, survives } from './helpers/faults.ts'
import { onLinux, truncating } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'

const GIB = 2 ** 30
/** How many lines are fetched from the native library at a time, and how many bytes it searches at a time. */
const BATCH = 2048
const CHUNK = 2 ** 17

function memoryWith(text: string | Buffer): MemoryMap {
  const bytes = Buffer.from(text as string, 'latin1')
  const map = mapAnonymous(bytes.length)
  map.write(bytes)
  return map
}

function texts(lines: Iterable<Buffer>): string[] {
  return Array.from(lines, (line) => line.toString('latin1'))
}

/** The lines of a text, as `split` knows them. */
function split(text: string): string[] {
  const lines = text.split('\n')
  const rest = lines.pop()!
  return [...lines.map((line) => line.replace(/\r$/, '')), ...(rest === '' ? [] : [rest])]
}

test('lines() gives the lines of split(), for any text and any range of it', (t) => {
  const text = fc.array(fc.constantFrom('\n', '\n', '\r', '\r\n', 'a', 'é', '\0'), { maxLength: 120 })
  fc.assert(
    fc.property(text, fc.nat(150), fc.nat(150), (pieces, a, b) => {
      const whole = pieces.join('')
      using map = memoryWith(whole)
      t.deepEqual(texts(map.lines()), split(whole))
      const [start, end] = [Math.min(a, b, whole.length), Math.min(Math.max(a, b), whole.length)]
      const part = split(whole.slice(start, end))
      t.deepEqual(texts(map.lines({ offset: start, length: end - start })), part)
      t.deepEqual(texts(map.lines({ offset: BigInt(start), length: BigInt(end - start) })), part)
    }),
    { numRuns: 1000 },
  )
})

test('lines of UTF-16 are those of its text, at any address and over any borders', (t) => {
  const pieces = fc.constantFrom(
    '\n',
    '\r',
    '\r\n',
    'a',
    '\u010a',
    '\u0a0a',
    '\u0a00',
    '\u0a0d',
    '\u0d0a',
    '\ud83d\ude00',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 120 }), fc.nat(9), fc.boolean(), (array, offset, isOdd) => {
      const text = array.join('')
      const bytes = Buffer.from(text, 'utf16le')
      using map = memoryWith(Buffer.concat([Buffer.alloc(offset), bytes, Buffer.alloc(Number(isOdd))]))
      const odd = isOdd && text !== '' && !text.endsWith('\n') ? 1 : 0 // a byte that is half of none
      t.deepEqual([...map.lines({ offset, length: bytes.length + odd, encoding: 'utf16le' })], split(text))
    }),
    { numRuns: 500 },
  )
  const long = [
    'x'.repeat(2 * CHUNK - 1),
    '',
    'y'.repeat(2 * CHUNK),
    ...Array.from({ length: 3 * BATCH }, (_, i) => `${i}Ċ`),
  ]
  for (const end of ['\n', '\r\n']) {
    using map = memoryWith(Buffer.from(long.join(end), 'utf16le'))
    t.deepEqual([...map.lines({ encoding: 'UTF-16LE' as BufferEncoding })], long)
  }
})

truncating('lines of UTF-16 before a page that cannot be read come before the error', (t) => {
  const path = scratchFile(t, Buffer.from('1234567\n'.repeat(pageSize / 4), 'utf16le'))
  using map = mapShared(path, { onFault: () => {} })
  truncateSync(path, pageSize)
  const lines = map.lines({ encoding: 'utf16le' })
  for (let i = 0; i < pageSize / 16; i++) t.is(lines.next().value, '1234567')
  t.throws(() => lines.next(), { instanceOf: MemoryFaultError })
})

test('a last line needs no \\n, and no empty line follows a final \\n', (t) => {
  const lines = (text: string) => {
    using map = memoryWith(text)
    return texts(map.lines())
  }
  t.deepEqual(lines(''), [])
  t.deepEqual(lines('\n'), [''])
  t.deepEqual(lines('a'), ['a'])
  t.deepEqual(lines('a\n'), ['a'])
  t.deepEqual(lines('a\n\n'), ['a', ''])
  t.deepEqual(lines('\r\n\na\r\nb\r'), ['', '', 'a', 'b\r'])
  t.deepEqual(lines('a\rb\r\r\n'), ['a\rb\r'])
})

test('lines are views of the mapping', (t) => {
  using map = memoryWith('one\ntwo\r\nthree')
  const [one, two, three] = [...map.lines()]
  for (const line of [one, two, three]) {
    t.true(Buffer.isBuffer(line))
    t.is(line!.buffer, map.arrayBuffer)
  }
  two!.write('TWO')
  t.is(map.read(4, 3).toString(), 'TWO')
  map.write(Buffer.from('ONE'), 0)
  t.is(one!.toString(), 'ONE')
  t.is(three!.subarray(0, 2).toString(), 'th')
  map.close()
  t.deepEqual([one!.length, two!.length, three!.length], [0, 0, 0])
})

test('lines of a mapping on a SharedArrayBuffer are views of that', (t) => {
  using map = mapPrivate(scratchFile(t, 'a\nb'), { backing: 'shared-array-buffer' })
  t.deepEqual(texts(map.lines()), ['a', 'b'])
  t.true([...map.lines()].every((line) => line.buffer instanceof SharedArrayBuffer))
})

test('a real text has the lines that node:readline reads', async (t) => {
  const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
  const expected: string[] = []
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) expected.push(line)
  t.true(expected.length > BATCH)
  using map = mapShared(path)
  t.deepEqual(
    Array.from(map.lines(), (line) => line.toString()),
    expected,
  )
})

test('the number of lines does not depend on how many are fetched at a time', (t) => {
  for (const count of [BATCH - 1, BATCH, BATCH + 1, 3 * BATCH, 3 * BATCH + 7]) {
    for (const rest of ['', 'rest']) {
      const expected = Array.from({ length: count }, (_, i) => `line ${i}`)
      using map = memoryWith(expected.map((line) => `${line}\r\n`).join('') + rest)
      t.deepEqual(texts(map.lines()), rest ? [...expected, rest] : expected)
    }
  }
})

test('lines can cross pages, and the pieces that are searched at a time', (t) => {
  using map = mapAnonymous(3 * CHUNK)
  for (const end of ['\n', '\r\n']) {
    for (const border of [pageSize, CHUNK, 2 * CHUNK]) {
      for (let before = 0; before <= 3; before++) {
        map.buffer.fill('.')
        map.write(Buffer.from(end), border - before)
        const lengths = Array.from(map.lines(), (line) => line.length)
        t.deepEqual(lengths, [border - before, 3 * CHUNK - border + before - end.length])
      }
    }
  }
})

test('lines can cross the pieces of 2 GiB of a large mapping on Node 20', (t) => {
  const path = sparseFile(t, 9 * GIB + 1)
  const offset = 1000
  using map = mapShared(path, { protection: 'read-write', offset })
  for (let border = GIB; border < 9 * GIB; border += GIB) {
    for (const place of [border, border - offset]) {
      const expected = ['', 'a', 'line that is cut at', 'many places', ''].flatMap((line) => [line, line + line, 'x'])
      const text = Buffer.from(expected.map((line) => `${line}\r\n`).join(''))
      for (let before = 0; before < text.length; before += 13) {
        map.write(text, place - before)
        const range = { offset: place - before, length: text.length }
        t.deepEqual(texts(map.lines(range)), expected)
      }
    }
  }
})

test('the error for a line that is too long for a view says how long views can be', (t) => {
  using map = mapAnonymous(5 * GIB, { reserve: false })
  if (constants.MAX_LENGTH > map.length) return t.pass('here a Buffer can have it')
  map.write(Buffer.from('first\nsecond\n'))
  map.write(Buffer.from('\nlast'), map.length - 5)
  const lines = map.lines()
  t.is(String(lines.next().value), 'first')
  t.is(String(lines.next().value), 'second')
  throwsCodedError(t, () => lines.next(), {
    instanceOf: RangeError,
    code: 'ERR_MMAP_TOO_LARGE',
    says: [String(constants.MAX_LENGTH), 'view'],
  })
  t.true(lines.next().done)
  t.deepEqual(texts(map.lines({ offset: map.length - 100 })).slice(1), ['last'])
})

// Buffers of these have at most 4 GiB.
for (const runtime of runtimes().filter(({ name, version }) => name === 'bun' || version.startsWith('20.'))) {
  onLinux(`a line of a large mapping that is too long for a string is an error, on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const map = mapAnonymous(2 ** 32 + 2 ** 20, { reserve: false })
      map.write(Buffer.from('first\\n'))
      const lines = map.lines({ encoding: 'utf8' })
      assert.equal(lines.next().value, 'first')
      assert.throws(() => lines.next(), { code: 'ERR_STRING_TOO_LONG' })
      assert.equal(lines.next().done, true)
      map.close()
      console.log('end')
    `,
    )
  })
}

test('a line of more than 1 GiB comes in one piece if views can be that long', (t) => {
  using map = mapAnonymous(5 * GIB, { reserve: false })
  map.write(Buffer.from('\n'), GIB + 7)
  const [line] = map.lines({ length: GIB + 10 })
  t.is(line!.length, GIB + 7)
})

onLinux('a line is read when it is asked for', (t) => {
  using map = mapAnonymous(2 ** 40, { reserve: false })
  map.write(Buffer.from('one\ntwo\n'.repeat(BATCH)))
  const seen: string[] = []
  for (const line of map.lines()) {
    seen.push(line.toString())
    if (seen.length === 3) break
  }
  t.deepEqual(seen, ['one', 'two', 'one'])
})

test('lines() returns an iterator with the usual methods', (t) => {
  using map = memoryWith('one\ntwo\nthree\nfour\n')
  const lines = map.lines()
  t.is(lines[Symbol.iterator](), lines)
  const [first, ...others] = lines
  t.is(first!.toString(), 'one')
  t.deepEqual(texts(others), ['two', 'three', 'four'])
  t.deepEqual(lines.next(), { done: true, value: undefined })

  const ended = map.lines()
  for (const line of ended) if (line.length > 0) break
  t.deepEqual(ended.next(), { done: true, value: undefined })
  const [alone] = map.lines()
  t.is(alone!.toString(), 'one')
  const { take } = lines as unknown as { take?: (count: number) => Iterable<Buffer> }
  if (take) t.deepEqual(texts(take.call(map.lines(), 2)), ['one', 'two'])
})

test('`using` ends an iteration with its block', (t) => {
  using map = memoryWith('a\nb\n')
  const last = (() => {
    using lines = map.lines()
    lines.next()
    return lines
  })()
  t.true(last.next().done)
})

test('two iterations are independent', (t) => {
  using map = memoryWith(Array.from({ length: 3 * BATCH }, (_, i) => `${i}\n`).join(''))
  const [a, b] = [map.lines(), map.lines()]
  for (let i = 0; i < 2 * BATCH; i++) t.is(a.next().value!.toString(), String(i))
  for (let i = 0; i < 3 * BATCH; i++) t.is(b.next().value!.toString(), String(i))
  for (let i = 2 * BATCH; i < 3 * BATCH; i++) t.is(a.next().value!.toString(), String(i))
  t.true(a.next().done)
})

test('after close the next line is an error', (t) => {
  const closed = { instanceOf: Error, code: 'ERR_MMAP_CLOSED' }
  for (const taken of [0, 1, BATCH, BATCH + 5]) {
    const map = memoryWith('line\n'.repeat(3 * BATCH))
    const lines = map.lines()
    for (let i = 0; i < taken; i++) lines.next()
    map.close()
    throwsCodedError(t, () => lines.next(), closed)
    t.true(lines.next().done)
    throwsCodedError(t, () => map.lines(), closed)
  }
})

test('after close the next line is an error also if lines are strings', (t) => {
  for (const encoding of ['latin1', 'utf16le'] as const) {
    const map = memoryWith(Buffer.from('line\nline\nline\n', encoding))
    const lines = map.lines({ encoding })
    t.is(lines.next().value, 'line')
    map.close()
    throwsCodedError(t, () => lines.next(), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
    t.true(lines.next().done)
  }
})

test('check() throws a fault that lies behind the lines taken so far', (t) => {
  using map = mapPrivate(scratchFile(t, Buffer.alloc(2 * pageSize, 'line\n')), { onFault: () => {} })
  map.protect('none', { offset: pageSize })
  for (const line of map.lines()) {
    t.is(line.toString(), 'line')
    break
  }
  const { fault } = t.throws<MemoryFaultError>(() => map.check(), { instanceOf: MemoryFaultError })!
  t.is(fault.offset, pageSize)
  t.throws(() => [...map.lines()], { instanceOf: MemoryFaultError })
  t.notThrows(() => map.check())
})

test('lines go on after a resize that keeps them', (t) => {
  const count = BATCH + 1000
  using map = memoryWith('line\n'.repeat(count))
  let seen = 0
  for (const line of map.lines()) {
    t.is(line.toString(), 'line')
    if (++seen === 10) map.resize(map.length * 100)
    if (seen === 500) map.resize(5 * count)
  }
  t.is(seen, count)
})

test('lines end with an error after a resize that cuts them off', (t) => {
  using map = memoryWith('line\n'.repeat(1000))
  const lines = map.lines()
  lines.next()
  map.resize(12)
  t.is(lines.next().value!.toString(), 'line')
  throwsCodedError(t, () => lines.next(), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
})

test('ranges are checked when the lines are asked for', (t) => {
  using map = memoryWith('abc')
  const outOfRange = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
  throwsCodedError(t, () => map.lines({ offset: 4 }), outOfRange)
  throwsCodedError(t, () => map.lines({ offset: 1, length: 3 }), outOfRange)
  throwsCodedError(t, () => map.lines({ ofset: 1 } as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' })
  throwsCodedError(t, () => map.lines(1 as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

for (const guard of [true, false]) {
  truncating(
    `a truncated file gives the lines before its end, then an error, ${guard ? 'guarded' : 'not guarded'}`,
    async (t) => {
      const text = 'a line of text\n'.repeat(100_000)
      const path = scratchFile(t, text)
      const reports = new Reports()
      using map = mapShared(path, { guard, ...reports.options })
      const cut = 100 * pageSize
      truncateSync(path, cut)
      const seen: string[] = []
      const readAll = () => {
        for (const line of map.lines()) seen.push(line.toString())
      }
      const { fault } = t.throws(readAll, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })!
      t.like(fault, { kind: 'beyond-end', offset: cut, length: map.length - cut })
      t.deepEqual(seen, text.slice(0, cut).split('\n').slice(0, -1))
      t.deepEqual(await reports.told(1), [fault])
      t.notThrows(() => map.check())
      t.throws(() => map.lines({ offset: cut }).next(), { instanceOf: MemoryFaultError })
      t.deepEqual(texts(map.lines({ length: cut })).slice(0, -1), seen)
    },
  )
}

for (const runtime of runtimes()) {
  truncating(`lines() works on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const text = 'one\\r\\n\\n' + 'many words\\n'.repeat(5000) + 'last'
      const path = makeFile(text)
      for (const options of [{}, { offset: 3 }, { backing: 'shared-array-buffer' }]) {
        const map = mapShared(path, options)
        const lines = [...map.lines()]
        assert.deepStrictEqual(lines.map(String), text.slice(options.offset).split(/\\r?\\n/))
        assert.ok(lines.every((line) => Buffer.isBuffer(line) && line.buffer === map.arrayBuffer))
        const rest = map.lines({ offset: 5n })
        rest.next()
        map.close()
        assert.throws(() => rest.next(), { code: 'ERR_MMAP_CLOSED' })
      }
      const map = mapPrivate(path, { onFault: () => {} })
      fs.truncateSync(path, 8192)
      let seen = 0
      assert.throws(() => { for (const line of map.lines()) seen++ }, { code: 'ERR_MMAP_FAULT' })
      assert.strictEqual(seen, text.slice(0, 8192).split('\\n').length - 1)
      console.log('end')`,
    )
  })
}
