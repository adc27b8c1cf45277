// What two sides must agree on: the native library and TypeScript.

import { readFileSync } from 'node:fs'

import test from 'ava'

import { type Advice, MemoryMap, mapAnonymous, type Protection } from '../index.js'
import { native } from '../lib/native.js'

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

test('the type of advice has what the native library has', (t) => {
  t.deepEqual(native.adviceNames().toSorted(), Object.keys(advice).toSorted())
  for (const name of native.adviceNames()) t.is(typeof MemoryMap.supports(name as Advice), 'boolean')
})

test('the type of protections has what the native library has', (t) => {
  t.deepEqual(native.protectionNames().toSorted(), Object.keys(protections).toSorted())
  using map = mapAnonymous(1)
  for (const protection of ['none', 'read', 'read-write'] as const) {
    map.protect(protection)
    t.is(map.protection, protection)
  }
})

test('flags are a bit each', (t) => {
  const bits = Object.values(native.mapFlags())
  t.is(new Set(bits).size, bits.length)
  for (const bit of bits) t.is(Math.log2(bit) % 1, 0)
})

test('the codes that errors are completed by are those of the native library', (t) => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const codes = new Set(read('../crates/memory-map/src/error.rs').match(/"ERR_[A-Z_]+"/g))
  t.true(codes.size > 10)
  const errors = read('../lib/errors.ts')
  const tables = errors.slice(errors.indexOf('const CLASSES'), errors.indexOf('export function translate'))
  const named = tables.match(/ERR_[A-Z_]+/g) ?? []
  t.true(named.length > 5)
  for (const code of named) t.true(codes.has(`"${code}"`), code)
})
