// Searches give the results of a Buffer's, in a mapping of any size. (Long: each search has the same cases.)

import { constants } from 'node:buffer'
import { truncateSync, writeFileSync } from 'node:fs'

import test from 'ava'
import fc from 'fast-check'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, MemoryFaultError, pageSize } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { Reports, survives } from './helpers/faults.ts'
import { truncating } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'

const GIB = 2 ** 30
/** How many bytes are searched at a time. */
const CHUNK = 2 ** 17

const encodings: BufferEncoding[] = [
  'utf8',
  'utf16le',
  'ucs2',
  'latin1',
  'binary',
  'ascii',
  'hex',
  'base64',
  'base64url',
]

const wide = new Set<unknown>(['utf16le', 'ucs2'])

/** Bytes of few kinds, so that things are found: text of one, two and three bytes a letter, and of UTF-16. */
const haystacks = fc.oneof(
  fc.array(fc.constantFrom(0, 0x61, 0x62), { maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.array(fc.constantFrom('a', 'é', '€', '6', '='), { maxLength: 100 }).map((text) => Buffer.from(text.join(''))),
  fc.array(fc.constantFrom('a', 'b', '€'), { maxLength: 100 }).map((text) => Buffer.from(text.join(''), 'utf16le')),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
)

/** Something to look for in a haystack, which often is there. */
function needlesOf(haystack: Buffer) {
  const slice = fc
    .tuple(fc.nat(haystack.length), fc.nat(40))
    .map(([start, length]) => haystack.subarray(start, start + length))
  return fc.oneof(
    slice,
    slice.map((bytes) => Uint8Array.from(bytes)),
    slice.map((bytes) => bytes.toString()),
    slice.map((bytes) => bytes.toString('latin1')),
    slice.map((bytes) => bytes.toString('hex')),
    slice.map((bytes) => bytes.toString('base64')),
    slice.map((bytes) => bytes.toString('utf16le')),
    fc.array(fc.constantFrom('a', 'b', 'é', '€', '\0', '\ud800', '='), { maxLength: 4 }).map((text) => text.join('')),
    fc.constantFrom(0, 0x61, 0x161, -0x9f, 97.9, 255, NaN, Infinity),
  )
}

function offsetsOf({ length }: Buffer) {
  return fc.oneof(
    fc.integer({ min: -length - 3, max: length + 3 }),
    fc.constantFrom(undefined, -0, 0.5, -0.5, NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31), 2 ** 40),
  )
}

/** Arguments of a search, and what is searched. */
const searches = haystacks.chain((haystack) =>
  fc.record({
    haystack: fc.constant(haystack),
    value: needlesOf(haystack),
    offset: offsetsOf(haystack),
    encoding: fc.constantFrom(undefined, ...encodings),
  }),
)

/** Memory that has these bytes. */
function memoryWith(bytes: Buffer): MemoryMap {
  const map = mapAnonymous(bytes.length)
  map.write(bytes)
  return map
}

/**
 * The offset at which every Buffer gives the answer that Buffers give at `offset` from Node 26.12 on: earlier ones begin
 * to look for text in UTF-16 a byte before an odd offset.
 */
function mended(haystack: Buffer, value: unknown, offset: number | undefined, encoding: unknown): number | undefined {
  if (typeof value !== 'string' || value === '' || !wide.has(encoding)) return offset
  const given = Math.trunc(offset || 0)
  const from = given < 0 ? given + haystack.length - (haystack.length % 2) : given
  return from > 0 && from % 2 === 1 ? from + 1 : offset
}

/** Some Buffers find a value in UTF-16 at the end of an odd number of bytes where it is not. (Node before 24) */
function isMisread(haystack: Buffer, value: unknown, encoding: unknown): boolean {
  return haystack.length % 2 === 1 && typeof value === 'object' && wide.has(encoding)
}

for (const method of ['indexOf', 'lastIndexOf', 'includes'] as const) {
  test(`${method} gives the result of a Buffer's`, (t) => {
    fc.assert(
      fc.property(searches, ({ haystack, value, offset, encoding }) => {
        fc.pre(!isMisread(haystack, value, encoding))
        using map = memoryWith(haystack)
        const from = method === 'lastIndexOf' ? offset : mended(haystack, value, offset, encoding)
        const expected = haystack[method](value as string, from, encoding)
        t.is(map[method](value, offset, encoding), expected)
        if (Number.isInteger(offset)) t.is(map[method](value, BigInt(offset!), encoding), expected)
        if (offset === undefined) t.is(map[method](value, encoding!), expected)
      }),
      { numRuns: 3000 },
    )
  })

  test(`${method}: an offset that is not a number is ignored, as with a Buffer`, (t) => {
    const haystack = Buffer.from('abcabcabc')
    using map = memoryWith(haystack)
    const search = map[method].bind(map) as (...args: unknown[]) => unknown
    const model = haystack[method].bind(haystack) as (...args: unknown[]) => unknown
    for (const value of ['', 'a', 'abc', 'c', 'abcabcabca', 'x', Buffer.alloc(0), Buffer.from('bc'), 0x62, 0x162]) {
      for (const offset of [
        undefined,
        null,
        NaN,
        {},
        [],
        [2],
        '',
        true,
        false,
        '5',
        0,
        3,
        -3,
        9,
        10,
        -9,
        -10,
        2.9,
        -2.9,
      ]) {
        // A string is an encoding, known or not.
        if (typeof offset === 'string' && typeof value === 'string') continue
        t.is(search(value, offset), model(value, offset), `${String(value)} at ${String(offset)}`)
      }
    }
  })

  test(`${method} searches up to an end, as Buffers of newer runtimes do`, (t) => {
    fc.assert(
      fc.property(searches, fc.nat(310), ({ haystack, value, encoding }, end) => {
        using map = memoryWith(haystack)
        const part = haystack.subarray(0, end)
        fc.pre(!isMisread(part, value, encoding))
        t.is(map[method](value, undefined, end, encoding), part[method](value as string, undefined, encoding))
        t.is(map[method](value, 0, BigInt(end), encoding), part[method](value as string, 0, encoding))
      }),
    )
    using map = memoryWith(Buffer.from('abcabc'))
    const none = method === 'includes' ? false : -1
    for (const end of [-1, 0, -Infinity, -100n]) t.is(map[method]('a', 0, end as number), none)
    t.is(map[method]('c', -1, 1000), method === 'includes' ? true : 5)
  })
}

test('a negative offset counts from the end of the mapping, even if the search ends before it', (t) => {
  using map = memoryWith(Buffer.from('abcabcabca'))
  t.is(map.indexOf('a', -8, 3), -1)
  t.is(map.indexOf('a', -8, 4), 3)
  t.is(map.lastIndexOf('a', -8, 3), 0)
  t.is(map.lastIndexOf('b', -9, 1), -1)
})

test('text in UTF-16 is found at even offsets only, also in a mapping of odd length', (t) => {
  using map = memoryWith(Buffer.from([0, 0x61, 0, 0x61, 0, 0x61, 0]))
  t.is(map.indexOf('a', 'utf16le'), -1)
  t.is(map.indexOf(Buffer.from('a\0'), 0, 'utf16le'), -1)
  t.is(map.indexOf('慡', 'ucs2'), -1)
  t.is(map.lastIndexOf('愀', 'ucs-2'), 4)
  t.is(map.indexOf(Buffer.from([0, 0x61, 0]), 1, 'utf-16le'), 0)
  t.is(map.count('愀', {}, 'utf16le'), 3)
  t.is(map.count('愀', { offset: 1 }, 'utf16le'), 2)
  t.is(map.count('a', {}, 'utf16le'), 0)
})

// What Node 26.12.1 answers. Text is never found before the offset; bytes are, from the even offset before.
const odd = [
  ['indexOf', 'b', 3, 8],
  ['indexOf', 'b', -7, 8],
  ['indexOf', 'b', 1, 2],
  ['indexOf', 'ab', 1, 6],
  ['indexOf', 'a', 7, -1],
  ['indexOf', 'c', 5, -1],
  ['includes', 'c', 5, false],
  ['includes', 'bc', 3, false],
  ['includes', 'bc', 1, true],
  ['lastIndexOf', 'b', 3, 2],
  ['lastIndexOf', 'a', 7, 6],
  ['lastIndexOf', 'b', 1, -1],
  ['indexOf', '', 3, 3],
  ['indexOf', Buffer.from('b\0'), 3, 2],
  ['indexOf', Buffer.from('c\0'), 5, 4],
] as const

for (const runtime of runtimes()) {
  test(`text in UTF-16 is found from an odd offset on as Node 26 finds it, on ${runtime.name} ${runtime.version}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const haystack = Buffer.from('abcab', 'utf16le')
      const map = mapAnonymous(haystack.length)
      map.write(haystack)
      for (const [method, given, offset, expected] of ${JSON.stringify(odd)}) {
        const value = typeof given === 'string' ? given : Buffer.from(given.data)
        for (const encoding of ['utf16le', 'UCS-2']) {
          assert.strictEqual(map[method](value, offset, encoding), expected, [method, value, offset].join())
          assert.strictEqual(map[method](value, offset, 10, encoding), expected, [method, value, offset].join())
        }
      }
      assert.strictEqual(map.indexOf('b', 3, 8, 'utf16le'), -1)
      console.log('end')`,
    )
  })
}

test('values are found across pages and across the pieces that are searched at a time', (t) => {
  const bytes = Buffer.alloc(2 * CHUNK + 3 * pageSize)
  const start = 1001
  const path = scratchFile(t, Buffer.concat([Buffer.alloc(start), bytes]))
  using map = mapPrivate(path, { offset: start })
  for (const border of [pageSize - start, CHUNK - start, CHUNK, 2 * CHUNK, 2 * CHUNK - start]) {
    for (const length of [1, 2, 7, 40, 3000]) {
      const needle = pattern(length).map((byte) => byte | 1)
      for (const before of new Set([0, 1, length >> 1, length - 1, length])) {
        const at = border - before
        if (at < 0) continue
        bytes.set(needle, at)
        map.write(needle, at)
        const message = `${length} bytes at ${at}`
        t.is(map.indexOf(needle), at, message)
        t.is(map.lastIndexOf(needle), at, message)
        t.is(map.indexOf(needle, at), at, message)
        t.is(map.lastIndexOf(needle, at), at, message)
        t.is(map.indexOf(needle, at + 1), -1, message)
        t.is(map.lastIndexOf(needle, at - 1), at === 0 ? at : -1, message)
        t.is(map.count(needle), 1, message)
        t.is(map.indexOf(needle, 0, 'utf16le'), bytes.indexOf(needle, 0, 'utf16le'), message)
        bytes.fill(0, at, at + length)
        map.write(bytes.subarray(at, at + length), at)
      }
    }
  }
})

test('values beyond 4 GiB are found, with numbers and with bigints', (t) => {
  using map = mapAnonymous(6 * GIB, { reserve: false })
  const needle = Buffer.from('a needle')
  const places = [GIB - 3, 2 * GIB - 4, 4 * GIB - 1, 4 * GIB + CHUNK - 1, 5 * GIB - 7, 6 * GIB - needle.length]
  for (const at of places) map.write(needle, at)

  t.is(map.indexOf(needle), places[0]!)
  t.is(map.lastIndexOf(needle), places.at(-1)!)
  for (const [i, at] of places.entries()) {
    const [before, after] = [places[i - 1] ?? -1, places[i + 1] ?? -1]
    for (const offset of [at, BigInt(at)]) {
      t.is(map.indexOf('a needle', offset), at)
      t.is(map.lastIndexOf('a needle', offset), at)
      t.true(map.includes('needle', offset))
    }
    t.is(map.indexOf(needle, at - map.length), at)
    // Searches that reach the next place take a while: from near the one to the other is enough.
    if (after >= 0 && after - at < GIB) t.is(map.indexOf(needle, at + 1), after)
    if (before >= 0 && at - before < GIB) t.is(map.lastIndexOf(needle, at - 1), before)
    t.is(map.indexOf(needle, at + 1, at + needle.length + 10), -1)
    t.is(map.count(needle, { offset: BigInt(at - 5), length: BigInt(needle.length + 5) }), 1)
    t.is(map.count(needle, { offset: at + 1, length: Math.min(1000, map.length - at - 1) }), 0)
  }
  t.is(map.count(needle, { offset: 4 * GIB - CHUNK }), 4)
})

test('a sparse file larger than any Buffer of Node 20 is searched at its end', (t) => {
  const path = sparseFile(t, 2 ** 40 + 5)
  using map = mapShared(path, { protection: 'read-write' })
  map.write(Buffer.from('last\nline'), map.length - 9)
  t.is(map.lastIndexOf('\n'), map.length - 5)
  t.is(map.indexOf('line', 2n ** 40n - 100n), map.length - 4)
  t.is(map.indexOf('line', -100), map.length - 4)
  t.is(map.count('l', { offset: 2 ** 40 - 100 }), 2)
})

// count

/** Counts as a loop over `indexOf` does. */
function countIn(bytes: Buffer, value: string | Uint8Array | number, encoding?: BufferEncoding): number {
  const step =
    typeof value === 'number' ? 1 : typeof value === 'string' ? Buffer.from(value, encoding).length : value.length
  let count = 0
  for (let at = bytes.indexOf(value, 0, encoding); at !== -1; at = bytes.indexOf(value, at + step, encoding)) count++
  return count
}

test('count is how often indexOf finds the value, each time after the last match', (t) => {
  fc.assert(
    fc.property(searches, fc.nat(300), fc.nat(300), ({ haystack, value, encoding }, a, b) => {
      const [start, end] = [Math.min(a, b, haystack.length), Math.min(Math.max(a, b), haystack.length)]
      fc.pre(typeof value === 'number' || Buffer.from(value as string, encoding).length > 0)
      using map = memoryWith(haystack)
      if (wide.has(encoding)) {
        // There the places of a part are not those of the whole.
        fc.pre(typeof value === 'string')
        t.is(map.count(value, {}, encoding), countIn(haystack, value, encoding))
      } else {
        const range = { offset: start, length: end - start }
        t.is(map.count(value, range, encoding), countIn(haystack.subarray(start, end), value, encoding))
      }
    }),
    { numRuns: 2000 },
  )
})

test('count does not count overlapping matches', (t) => {
  using map = memoryWith(Buffer.alloc(3 * CHUNK + 1, 'a'))
  t.is(map.count('a'), 3 * CHUNK + 1)
  t.is(map.count('aa'), (3 * CHUNK) / 2)
  t.is(map.count('aaa'), CHUNK)
  t.is(map.count(Buffer.alloc(CHUNK + 1, 'a')), 2)
  t.is(map.count(0x61, { offset: 5, length: 10 }), 10)
  t.is(map.count('aa', { offset: map.length }), 0)
})

test('an empty value cannot be counted', async (t) => {
  using map = memoryWith(Buffer.from('abc'))
  for (const value of ['', Buffer.alloc(0), new Uint8Array()]) {
    throwsCodedError(t, () => map.count(value), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_VALUE',
      says: ['"value"'],
    })
    await t.throwsAsync(map.find(value), { code: 'ERR_INVALID_ARG_VALUE' })
    await t.throwsAsync(map.countAsync(value), { code: 'ERR_INVALID_ARG_VALUE' })
  }
})

// What can be asked

test('nothing is found in an empty mapping', (t) => {
  using map = mapAnonymous(0)
  const none = Buffer.alloc(0)
  for (const value of ['', 'a', 0, none]) {
    t.is(map.indexOf(value), none.indexOf(value))
    t.is(map.lastIndexOf(value), none.lastIndexOf(value))
    t.is(map.includes(value), none.includes(value))
  }
  t.is(map.count('a'), 0)
})

test('a search for something that is not bytes is a TypeError', async (t) => {
  using map = memoryWith(Buffer.from('null undefined true [object Object]'))
  const invalid = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', says: ['"value"'] }
  for (const value of [
    null,
    undefined,
    true,
    {},
    [],
    5n,
    Symbol('a'),
    new Uint16Array(1),
    new ArrayBuffer(1),
    () => 1,
  ]) {
    for (const method of ['indexOf', 'lastIndexOf', 'includes', 'count'] as const) {
      throwsCodedError(t, () => map[method](value as never), invalid)
    }
    await t.throwsAsync(map.find(value as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
    await t.throwsAsync(map.countAsync(value as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('an unknown encoding is refused for strings, and ignored for bytes and numbers', async (t) => {
  const haystack = Buffer.from('abc')
  using map = memoryWith(haystack)
  const unknown = { instanceOf: TypeError, code: 'ERR_UNKNOWN_ENCODING', says: ['utf-99'] }
  const encoding = 'utf-99' as BufferEncoding
  throwsCodedError(t, () => map.indexOf('a', 0, encoding), unknown)
  throwsCodedError(t, () => map.lastIndexOf('a', encoding), unknown)
  throwsCodedError(t, () => map.includes('a', 0, 3, encoding), unknown)
  throwsCodedError(t, () => map.count('a', {}, encoding), unknown)
  await t.throwsAsync(map.find('a', { encoding }), { code: 'ERR_UNKNOWN_ENCODING' })
  t.is(map.indexOf(Buffer.from('b'), 0, encoding), 1)
  t.is(map.indexOf(0x62, 0, encoding), 1)
  t.is(map.indexOf('YmM=', 0, 'BASE64' as BufferEncoding), 1)
})

test('wrong ranges and ends are refused', async (t) => {
  using map = memoryWith(Buffer.from('abc'))
  const outOfRange = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
  throwsCodedError(t, () => map.count('a', { offset: 4 }), outOfRange)
  throwsCodedError(t, () => map.count('a', { offset: 1, length: 3n }), outOfRange)
  throwsCodedError(t, () => map.count('a', { offset: -1 }), outOfRange)
  await t.throwsAsync(map.find('a', { length: 4 }), outOfRange)
  for (const range of [1, null, 'utf8'] as never[]) {
    throwsCodedError(t, () => map.count('a', range), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
  throwsCodedError(t, () => map.count('a', { lenght: 1 } as never), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    says: ["'length'"],
  })
  for (const end of [null, {}, true] as never[]) {
    throwsCodedError(t, () => map.indexOf('a', 0, end), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
      says: ['"end"'],
    })
  }
})

test('the value may be in mapped or shared memory', (t) => {
  const bytes = pattern(5 * pageSize)
  using map = memoryWith(bytes)
  using other = mapShared(scratchFile(t, bytes), { backing: 'shared-array-buffer' })
  const at = 3 * pageSize - 50
  t.is(map.indexOf(map.view(at, 100)), at)
  t.is(map.indexOf(other.view(at, 100)), at)
  t.is(other.lastIndexOf(map.view(at, 100)), at)
  t.is(map.indexOf(map.buffer), 0)
  t.is(map.count(map.buffer), 1)
  const shared = new Uint8Array(new SharedArrayBuffer(100))
  shared.set(bytes.subarray(at, at + 100))
  t.is(map.indexOf(shared), at)
})

test('a closed mapping is not searched', async (t) => {
  const map = memoryWith(Buffer.from('abc'))
  map.close()
  const closed = { instanceOf: Error, code: 'ERR_MMAP_CLOSED' }
  for (const method of ['indexOf', 'lastIndexOf', 'includes', 'count'] as const) {
    throwsCodedError(t, () => map[method]('a'), closed)
    throwsCodedError(t, () => map[method](''), closed)
  }
  await t.throwsAsync(map.find('a'), closed)
  await t.throwsAsync(map.countAsync('a'), closed)
})

test('a search finds what a resize added, and nothing that it cut off', (t) => {
  using map = memoryWith(Buffer.from('abc'))
  map.resize(100_000)
  map.write(Buffer.from('abc'), 99_997)
  t.is(map.lastIndexOf('abc'), 99_997)
  t.is(map.count('abc'), 2)
  map.resize(99_999)
  t.is(map.lastIndexOf('abc'), 0)
  t.is(map.count('ab'), 2)
})

// Faults

for (const guard of [true, false]) {
  truncating(
    `a search that reaches the end of a truncated file throws, ${guard ? 'guarded' : 'not guarded'}`,
    async (t) => {
      const content = Buffer.alloc(3 * CHUNK, '.')
      const path = scratchFile(t, content)
      const cut = CHUNK + pageSize
      const reports = new Reports()
      using map = mapShared(path, { guard, protection: 'read-write', ...reports.options })
      map.write(Buffer.from('needle'), cut - 6)
      truncateSync(path, cut)

      const faultOf = (search: () => unknown) => {
        const { fault } = t.throws(search, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })!
        t.like(fault, { kind: 'beyond-end', contained: true, map })
        return fault
      }
      const forwards = [
        () => map.indexOf('absent'),
        () => map.indexOf('\0'),
        () => map.includes('absent', cut - 100),
        () => map.count('.'),
        () => map.count('absent', { offset: cut }),
      ].map(faultOf)
      for (const { offset } of forwards) t.is(offset, cut, 'the first page that is not there')
      const backwards = faultOf(() => map.lastIndexOf('needle'))
      t.true(backwards.offset >= cut && backwards.offset + backwards.length === map.length)
      const faults = [...forwards, backwards]
      t.is(map.faults, faults.length)
      t.deepEqual(await reports.told(faults.length), faults, 'each is reported too')
      t.notThrows(() => map.check(), 'and was thrown already')

      t.is(map.indexOf('needle'), cut - 6)
      t.is(map.indexOf('absent', 0, cut), -1)
      t.is(map.lastIndexOf('needle', cut, cut), cut - 6)
      t.is(map.count('.', { length: cut }), cut - 6)
      t.is((await reports.told(faults.length)).length, faults.length, 'what the file still has is no fault')

      writeFileSync(path, content)
      t.is(map.count('.'), content.length, 'the file has grown again')
    },
  )
}

test('a search of pages that may not be read throws', (t) => {
  using map = mapAnonymous(8 * pageSize, { onFault: () => {} })
  map.write(Buffer.from('secret'), 5 * pageSize)
  map.protect('none', { offset: 5 * pageSize, length: pageSize })
  for (const search of [
    () => map.indexOf('secret'),
    () => map.lastIndexOf('secret'),
    () => map.count('e'),
    () => map.indexOf('absent'),
  ]) {
    const { fault } = t.throws(search, { instanceOf: MemoryFaultError })!
    t.like(fault, { kind: 'protection', offset: 5 * pageSize, contained: true })
  }
  t.is(map.indexOf('secret', 0, 5 * pageSize), -1)
  map.protect('none')
  t.throws(() => map.indexOf('x'), { instanceOf: MemoryFaultError })
  t.throws(() => map.includes(0), { instanceOf: MemoryFaultError })
  map.protect('read')
  t.is(map.indexOf('secret'), 5 * pageSize)
})

test('the largest Buffer of this runtime is the one that these tests assume', (t) => {
  t.is(constants.MAX_LENGTH > 8 * GIB, Number(process.versions.node.split('.')[0]) >= 22)
})

for (const runtime of runtimes()) {
  truncating(`searches work on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const path = makeFile('one two\\r\\ntwo three\\n')
      const map = mapShared(path, { offset: 1, onFault: () => {} })
      assert.strictEqual(map.indexOf('two'), 3)
      assert.strictEqual(map.indexOf('two', 4n), 8)
      assert.strictEqual(map.lastIndexOf('two'), 8)
      assert.strictEqual(map.lastIndexOf('t', -6), 12)
      assert.strictEqual(map.indexOf('dHdv', 'base64'), 3)
      assert.strictEqual(map.indexOf('o', 0, 5, 'latin1'), -1)
      assert.strictEqual(map.indexOf(Buffer.from('two')), 3)
      assert.strictEqual(map.indexOf(new Uint8Array(new SharedArrayBuffer(3))), -1)
      assert.strictEqual(map.indexOf(map.view(8, 5)), 8)
      assert.strictEqual(map.includes('four'), false)
      assert.strictEqual(map.count('two'), 2)
      assert.strictEqual(map.count(0x0a, { length: 9 }), 1)
      fs.truncateSync(path, 0)
      assert.throws(() => map.indexOf('four'), { code: 'ERR_MMAP_FAULT' })
      assert.strictEqual(map.faults, 1)

      const large = mapAnonymous(5 * 2 ** 30, { reserve: false })
      large.write(Buffer.from('needle'), 2 ** 32 - 3)
      assert.strictEqual(large.lastIndexOf('needle'), 2 ** 32 - 3)
      assert.strictEqual(large.indexOf('needle', 2 ** 32 - 10), 2 ** 32 - 3)
      console.log('end')`,
    )
  })
}
