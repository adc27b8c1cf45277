// Tables that must agree: those of the native library, the types of TypeScript, the checks at run time, and the README.

import { readdirSync, readFileSync } from 'node:fs'

import test from 'ava'

import {
  type Advice,
  type AnonymousMapOptions,
  type FaultKind,
  type FileMapOptions,
  type MapOptions,
  MemoryMap,
  mapAnonymous,
  type Protection,
  type SharedMapOptions,
  type SharedMemoryOptions,
} from '../index.js'
import { native } from '../lib/native.js'
import { parseAnonymous, parseMemory, parsePrivate, parseShared } from '../lib/options.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

/** Types are gone at run time: the compiler sees that each name is here. */
const advice: Record<Advice, true> = {
  normal: true,
  random: true,
  sequential: true,
  willneed: true,
  dontneed: true,
  free: true,
  cold: true,
  pageout: true,
  mergeable: true,
  unmergeable: true,
  hugepage: true,
  nohugepage: true,
  dontdump: true,
  dodump: true,
  dontfork: true,
  dofork: true,
  remove: true,
  wipeonfork: true,
  keeponfork: true,
  'populate-read': true,
  'populate-write': true,
  collapse: true,
}

const protections: Record<Protection, true> = {
  none: true,
  read: true,
  'read-write': true,
  'read-execute': true,
  'read-write-execute': true,
}

const kinds: Record<FaultKind, true> = {
  'beyond-end': true,
  protection: true,
  io: true,
  'no-space': true,
  closed: true,
}

const common: Record<keyof MapOptions, true> = {
  protection: true,
  populate: true,
  reserve: true,
  address: true,
  backing: true,
  advice: true,
  guard: true,
  onFault: true,
}
const ofFile: Record<keyof FileMapOptions, true> = { ...common, offset: true, length: true, keepOpen: true, seal: true }
const ofShared: Record<keyof SharedMapOptions, true> = { ...ofFile, create: true, mode: true, allocate: true }
const ofAnonymous: Record<keyof AnonymousMapOptions, true> = {
  ...common,
  shared: true,
  seal: true,
  allocate: true,
  hugePages: true,
}
const ofMemory: Record<keyof SharedMemoryOptions, true> = {
  ...common,
  length: true,
  create: true,
  exclusive: true,
  temporary: true,
  allocate: true,
  mode: true,
}
const every = Object.keys({ ...ofShared, ...ofAnonymous, ...ofMemory })

test('the type of advice has the names that the native library has', (t) => {
  t.deepEqual(native.adviceNames().toSorted(), Object.keys(advice).toSorted())
  for (const name of native.adviceNames()) t.is(typeof MemoryMap.supports(name as Advice), 'boolean')
})

test('the type of protections has the names that the native library has', (t) => {
  t.deepEqual(native.protectionNames().toSorted(), Object.keys(protections).toSorted())
  using map = mapAnonymous(1)
  for (const protection of ['none', 'read', 'read-write'] as const) {
    map.protect(protection)
    t.is(map.protection, protection)
  }
})

test('each flag has its own bit', (t) => {
  const bits = Object.values(native.mapFlags())
  t.is(new Set(bits).size, bits.length)
  for (const bit of bits) t.is(Math.log2(bit) % 1, 0)
})

test('each flag of the native library is an option', (t) => {
  const used = new Set(Array.from(read('../lib/options.ts').matchAll(/\bFLAGS\.(\w+)/g), ([, name]) => name))
  t.deepEqual([...used].toSorted(), Object.keys(native.mapFlags()).toSorted())
})

test('each function takes the options of its type, and no others', (t) => {
  for (const [parse, type] of [
    [parseShared, ofShared],
    [parsePrivate, ofFile],
    [parseAnonymous, ofAnonymous],
    [parseMemory, ofMemory],
  ] as const) {
    const taken = every.filter((name) => {
      try {
        parse({ [name]: undefined })
        return true
      } catch {
        return false
      }
    })
    t.deepEqual(taken.toSorted(), Object.keys(type).toSorted())
  }
})

test('the README lists the options of the three kinds of mapping', (t) => {
  const rows = [...read('../README.md').matchAll(/^\| `(\w+)` +\| ((?:all|file|shared|anonymous)(?:, \w+)*) +\|/gm)]
  const forKind = (...words: string[]) =>
    rows.filter(([, , whom]) => words.some((word) => whom!.split(', ').includes(word))).map(([, name]) => name!)
  t.deepEqual(forKind('all', 'file', 'shared').toSorted(), Object.keys(ofShared).toSorted())
  t.deepEqual(forKind('all', 'file').toSorted(), Object.keys(ofFile).toSorted())
  t.deepEqual(forKind('all', 'anonymous').toSorted(), Object.keys(ofAnonymous).toSorted())
})

test('the type of faults has the kinds that the native library has', (t) => {
  const source = read('../crates/memory-map-node/src/error.rs')
  const named = Array.from(source.matchAll(/FaultKind::\w+ => "([\w-]+)"/g), ([, kind]) => kind)
  t.deepEqual(named.toSorted(), Object.keys(kinds).toSorted())
})

test('each code in lib/errors.ts is one of the native library', (t) => {
  const codes = new Set(read('../crates/memory-map/src/error.rs').match(/"ERR_[A-Z_]+"/g))
  t.true(codes.size > 10)
  const errors = read('../lib/errors.ts')
  const tables = errors.slice(errors.indexOf('const CLASSES'), errors.indexOf('export function translate'))
  const named = tables.match(/ERR_[A-Z_]+/g) ?? []
  t.true(named.length > 5)
  for (const code of named) t.true(codes.has(`"${code}"`), code)
})

test('the workflow of long tests fuzzes every target', (t) => {
  const listed = /target: \[(.*)\]/.exec(read('../.github/workflows/long.yml'))![1]!.split(', ')
  t.deepEqual(listed, readdirSync(new URL('../fuzz/corpus', import.meta.url)).toSorted())
})
