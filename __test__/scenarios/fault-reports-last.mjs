// Mappings that are collected before the turn of the event loop in which their last faults are reported.

import assert from 'node:assert'
import fs from 'node:fs'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

import { MemoryMap, mapAnonymous, mapShared, pageSize } from '../../index.js'
import { areasOfFile, collect, turn, until as collectUntil } from '../helpers/observe.mjs'
import { makeFile, until } from '../helpers/scenario.mjs'

const warnings = []
// The stack of a whole one would keep the mapping.
process.on('warning', ({ name, message }) => warnings.push({ name, message }))

/** Stores to a mapping that nobody has afterwards. */
function storeTo(make) {
  new Uint8Array(make().arrayBuffer)[pageSize] = 1
}

/** Collects what nobody has, before the event loop turns: runtimes keep what the running code has just made. */
async function collectAll() {
  collect()
  await Promise.resolve()
  collect()
}

let told = 0
/** @type {any} */
let last
const onFault = (fault) => {
  told++
  const { map } = fault
  last = { ...fault, map: { length: map.length, kind: map.kind, path: map.path, faults: map.faults, read: map.read() } }
  assert.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  map.check()
}

const path = makeFile(Buffer.alloc(2 * pageSize, 7))
let expected = 0
for (const backing of /** @type {const} */ (['array-buffer', 'shared-array-buffer'])) {
  if (!isMainThread && backing === 'shared-array-buffer' && 'deno' in process.versions) continue
  for (const make of [
    () => mapShared(path, { backing, onFault }),
    () => {
      const map = mapShared(path, { backing, onFault })
      assert.ok(map.handle)
      return map
    },
    () => MemoryMap.from(mapShared(path, { backing }).handle, { onFault }),
  ]) {
    storeTo(make)
    await collectAll()
    // Without more collections: a listener is not held through many, and the guard's thread may have no processor so long.
    await until(() => told > expected)
    expected++
    assert.deepStrictEqual(last, {
      kind: 'protection',
      offset: pageSize,
      length: pageSize,
      contained: true,
      map: { length: 2 * pageSize, kind: 'shared', path, faults: 1, read: Buffer.alloc(2 * pageSize, 7) },
    })
  }
}
if (fs.existsSync('/proc/self/maps')) assert.ok(await collectUntil(() => areasOfFile(path) === 0), 'and then unmapped')
assert.strictEqual(told, expected, 'each is told once')

// A listener that refers to its mapping keeps it for a while only.
if (fs.existsSync('/proc/self/maps')) {
  const other = makeFile(pageSize)
  const mapInCircle = () => {
    const map = mapShared(other, { onFault: () => map.close() })
    return new Uint8Array(map.arrayBuffer)[0]
  }
  mapInCircle()
  assert.ok(await collectUntil(() => areasOfFile(other) === 0), 'it is collected')
}

// After one collection it is held still, whatever was closed before. If the guard's thread has no processor for two more, there
// is a warning instead.
for (let tries = 0, before = told; isMainThread && told === before; tries++) {
  assert.ok(tries < 20, 'it was not held')
  warnings.length = 0
  const another = makeFile(Buffer.alloc(2 * pageSize))
  for (let i = 0; i < 5; i++) {
    const closed = mapShared(another, { onFault() {} })
    closed.view(0, 8)
    closed.close()
  }
  /** @type {Uint8Array | undefined} */
  let view = (() => mapShared(another, { onFault }).view(0, 2 * pageSize))()
  await turn()
  collect()
  await turn()
  view[pageSize] = 1
  view = undefined
  await collectAll()
  await until(() => told > before || warnings.length > 0)
  expected = told
}

// One without a listener.
warnings.length = 0
storeTo(() => mapAnonymous(2 * pageSize, { protection: 'read' }))
await collectAll()
await until(() => warnings.length > 0)
assert.strictEqual(warnings[0].name, 'MemoryFaultWarning')
assert.match(warnings[0].message, /the protection forbids the access/)
assert.strictEqual(warnings.length, 1)

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  await worker.terminate()
  // Nothing keeps the process alive any more.
  process.on('exit', () => {
    assert.strictEqual(told, expected + 1, 'the last fault is told before the process ends')
    console.log('end')
  })
  storeTo(() => mapShared(path, { onFault }))
  collect()
} else {
  parentPort?.postMessage('done')
}
