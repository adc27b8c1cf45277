// protect(): changing the protection of pages.

import { closeSync, openSync, readFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, pageSize, type Protection } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { areaAt } from './helpers/memory.ts'
import { isLinux, isWindows, kindsHere } from './helpers/platform.ts'
import { pattern, scratchFile } from './helpers/scratch.ts'

const contents = pattern(4 * pageSize + 100)

const bits: Record<Protection, string> = {
  none: '---',
  read: 'r--',
  'read-write': 'rw-',
  'read-execute': 'r-x',
  'read-write-execute': 'rwx',
}
const protections = Object.keys(bits) as Protection[]

/** Checks the permissions of each page of a mapping, the first one first, or of all; only Linux tells them. */
function pagesAre(t: ExecutionContext, map: MemoryMap, expected: string[] | string, message?: string): void {
  if (!isLinux) return void t.pass()
  const first = map.address - (map.address % BigInt(pageSize))
  const count = Math.ceil((Number(map.address - first) + map.length) / pageSize)
  const pages = Array.from({ length: count }, (_, index) => {
    return areaAt(first + BigInt(index * pageSize))!.permissions.slice(0, 3)
  })
  t.deepEqual(pages, typeof expected === 'string' ? pages.map(() => expected) : expected, message)
}

const makers: [what: string, map: (path: string) => MemoryMap][] = [
  ['a shared', (path) => mapShared(path, { protection: 'read-write' })],
  ['a private', (path) => mapPrivate(path)],
  ['an anonymous', () => mapAnonymous(contents.length)],
  ['a shared anonymous', () => mapAnonymous(contents.length, { shared: true })],
]

/** On Windows a private mapping that was ever writable cannot be made executable. */
function possible({ kind }: MemoryMap): Protection[] {
  return protections.filter((name) => !isWindows || kind !== 'private' || !name.includes('execute'))
}

for (const [what, make] of kindsHere(makers)) {
  test(`protect changes the pages of ${what} mapping from any protection to any other`, (t) => {
    const path = scratchFile(t, contents)
    using map = make(path)
    for (const from of possible(map)) {
      for (const to of possible(map)) {
        map.protect(from)
        t.is(map.protection, from)
        map.protect(to)
        t.is(map.protection, to)
        pagesAre(t, map, bits[to], `${from} to ${to}`)
      }
    }
  })

  test(`${what} mapping keeps its bytes through any change of protection`, (t) => {
    const path = scratchFile(t, contents)
    using map = make(path)
    const bytes = pattern(contents.length + 1).subarray(1)
    map.buffer.set(bytes)
    for (const protection of possible(map)) {
      map.protect(protection)
      map.protect('read')
      t.deepEqual(map.buffer, bytes)
    }
    t.is(map.faults, 0)
    t.deepEqual(readFileSync(path), map.kind === 'shared' ? bytes : contents)
  })

  test(`protecting a range changes those pages of ${what} mapping and no others`, (t) => {
    using map = make(scratchFile(t, contents))
    pagesAre(t, map, ['rw-', 'rw-', 'rw-', 'rw-', 'rw-'])
    map.protect('read', { offset: pageSize, length: pageSize })
    pagesAre(t, map, ['rw-', 'r--', 'rw-', 'rw-', 'rw-'])
    map.protect('none', { offset: BigInt(3 * pageSize), length: BigInt(pageSize) })
    pagesAre(t, map, ['rw-', 'r--', 'rw-', '---', 'rw-'])
    const last = possible(map).findLast((name) => !name.includes('write'))!
    map.protect(last, { length: 2 * pageSize })
    pagesAre(t, map, ['r-x', 'r-x', 'rw-', '---', 'rw-'])
    map.protect('read', { offset: 2 * pageSize })
    pagesAre(t, map, ['r-x', 'r-x', 'r--', 'r--', 'r--'])
    map.protect('read-write', {})
    pagesAre(t, map, 'rw-')
    map.protect('read', { offset: 2 * pageSize, length: 0 })
    pagesAre(t, map, 'rw-', 'a range of no bytes')
  })

  test(`\`protection\` of ${what} mapping is the last that the whole of it was given`, (t) => {
    using map = make(scratchFile(t, contents))
    map.protect('read', { offset: 2 * pageSize })
    t.is(map.protection, 'read-write')
    map.protect('none', { offset: 0n, length: BigInt(map.length) })
    t.is(map.protection, 'none')
    map.protect('read', { offset: 2 * pageSize, length: 0 })
    t.is(map.protection, 'none')
  })
}

test('a range may end inside a page if the mapping ends there', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  map.protect('read', { offset: 4 * pageSize, length: 100 })
  pagesAre(t, map, ['rw-', 'rw-', 'rw-', 'rw-', 'r--'])
  map.protect('none', { offset: 4 * pageSize })
  pagesAre(t, map, ['rw-', 'rw-', 'rw-', 'rw-', '---'])
})

const notAligned = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE', says: ['range', 'aligned'] }

test('a range that begins or ends inside a page is a RangeError, and nothing changes', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  for (const range of [
    { offset: 1 },
    { offset: pageSize - 1, length: pageSize + 1 },
    { offset: 1n, length: BigInt(pageSize) },
    { length: 1 },
    { offset: pageSize, length: pageSize + 1 },
    { offset: 4 * pageSize, length: 99 },
  ]) {
    throwsCodedError(t, () => map.protect('read', range), notAligned)
  }
  pagesAre(t, map, ['rw-', 'rw-', 'rw-', 'rw-', 'rw-'])
})

test('ranges are aligned in memory, not to the start of the mapping', (t) => {
  using map = mapPrivate(scratchFile(t, contents), { offset: 100 })
  throwsCodedError(t, () => map.protect('read', { offset: pageSize, length: pageSize }), notAligned)
  map.protect('read', { offset: pageSize - 100, length: pageSize })
  pagesAre(t, map, ['rw-', 'r--', 'rw-', 'rw-', 'rw-'])
})

test('a range may begin inside a page if the mapping begins there', (t) => {
  using map = mapPrivate(scratchFile(t, contents), { offset: 100 })
  map.protect('none', { length: pageSize - 100 })
  pagesAre(t, map, ['---', 'rw-', 'rw-', 'rw-', 'rw-'])
})

test('a range outside of the mapping is a RangeError', (t) => {
  using map = mapAnonymous(2 * pageSize)
  const outOfRange = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
  throwsCodedError(t, () => map.protect('read', { offset: 3 * pageSize }), outOfRange)
  throwsCodedError(t, () => map.protect('read', { offset: pageSize, length: 2 * pageSize }), outOfRange)
  throwsCodedError(t, () => map.protect('read', { length: 3 * pageSize }), outOfRange)
  throwsCodedError(t, () => map.protect('read', { offset: -pageSize }), outOfRange)
  pagesAre(t, map, ['rw-', 'rw-'])
})

test('a mapping of a file that was opened for reading cannot be made writable', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path)
  for (const protection of ['read-write', 'read-write-execute'] as const) {
    throwsSystemError(t, () => map.protect(protection), { code: 'EACCES', syscall: 'mprotect', path })
    const range = { offset: pageSize, length: pageSize }
    throwsSystemError(t, () => map.protect(protection, range), { code: 'EACCES', syscall: 'mprotect', path })
  }
  t.is(map.protection, 'read')
  pagesAre(t, map, 'r--')
  map.protect('read-execute')
  map.protect('none')
  map.protect('read')
  t.deepEqual(map.buffer, contents)
})

test('a mapping of a descriptor that was opened for reading cannot be made writable', (t) => {
  const fd = openSync(scratchFile(t, contents), 'r')
  t.teardown(() => closeSync(fd))
  using map = mapShared(fd)
  throwsSystemError(t, () => map.protect('read-write'), { code: 'EACCES', syscall: 'mprotect' })
})

test('a refused change leaves every page as it was', (t) => {
  using map = mapShared(scratchFile(t, contents))
  map.protect('none', { offset: pageSize, length: pageSize })
  map.protect('read-execute', { offset: 3 * pageSize, length: pageSize })
  const before = ['r--', '---', 'r--', 'r-x', 'r--']
  pagesAre(t, map, before)
  t.throws(() => map.protect('read-write'), { code: 'EACCES' })
  pagesAre(t, map, before)
})

test('a private mapping can be made writable, whatever the file was opened for', (t) => {
  const path = scratchFile(t, contents)
  using map = mapPrivate(path, { protection: 'read' })
  map.protect('read-write')
  map.buffer.fill(1)
  t.true(map.buffer.every((byte) => byte === 1))
  t.deepEqual(readFileSync(path), contents)
})

test('views that were made before get the new protection', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path, { protection: 'read-write', onFault: () => {} })
  const { buffer } = map
  buffer[5] = 0xee
  map.protect('read')
  buffer[6] = 0xff
  t.is(map.faults, 1)
  t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  t.is(buffer[6], contents[6]!)
  map.protect('read-write')
  buffer[7] = 0xdd
  const expected = Buffer.from(contents)
  expected[5] = 0xee
  expected[7] = 0xdd
  t.deepEqual(readFileSync(path), expected)
  t.is(map.faults, 1)
})

test('the protection of a range in the middle can be undone page by page', (t) => {
  using map = mapAnonymous(64 * pageSize)
  for (let page = 0; page < 64; page += 2) map.protect('read', { offset: page * pageSize, length: pageSize })
  const expected = Array.from({ length: 64 }, (_, page) => (page % 2 === 0 ? 'r--' : 'rw-'))
  pagesAre(t, map, expected)
  for (let page = 0; page < 64; page += 2) map.protect('read-write', { offset: page * pageSize, length: pageSize })
  pagesAre(t, map, 'rw-')
  map.buffer.fill(9)
  t.is(map.faults, 0)
})
