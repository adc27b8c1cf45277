// Typed arrays over memory that others change: `sort` sorts a copy and writes it back.

import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'

import test from 'ava'
import { mapPrivate, mapShared, type TypedArrayConstructor } from 'memory-map'

import { Peer } from './helpers/processes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'

class Prices extends Float64Array {
  total(): number {
    return this.reduce((sum, price) => sum + price, 0)
  }
}

/** Sorts its own way. */
class Descending extends Int32Array {
  override sort(): this {
    return super.sort((a, b) => b - a)
  }
}

const kinds = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array,
  Float64Array, BigInt64Array, BigUint64Array, Prices, Descending, Buffer,
] as unknown as TypedArrayConstructor<Float64Array>[] // prettier-ignore

const contents = pattern(4096)

for (const runtime of runtimes()) {
  test.serial(
    `sorting while another process stores changes no other memory (${runtime.name} ${runtime.version})`,
    async (t) => {
      const path = scratchFile(t, Buffer.alloc(65_536))
      const writer = await Peer.start(t, runtimes()[0]!)
      await writer.run(
        `numbers = lib.mapShared(${JSON.stringify(path)}, { protection: 'read-write' }).typedArray(Float64Array), 1`,
      )
      const store = 'numbers.forEach((_, i) => (numbers[i] = i < 64 ? 5000 + i : (i * 7919) % 1000))'
      void writer.run(`(() => { for (;;) ${store} })()`).catch(() => {}) // until it is killed
      const source = "await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/sort-under-fire.mjs')"
      const { code, signal, stdout, stderr } = await runScript(runtime, source, { args: [path, '2000'] })
      t.deepEqual([code, signal, stdout.trim()], [0, null, 'alive'], stderr)
    },
  )
}

test('typed arrays and their subarrays are sorted as ordinary ones are', (t) => {
  for (const kind of kinds) {
    const length = 2048 / kind.BYTES_PER_ELEMENT
    using map = mapPrivate(scratchFile(t, contents))
    const array = map.typedArray(kind, 64, length)
    const ordinary = new kind(new Uint8Array(contents).buffer, 64, length)
    const expect = (name: string) => t.deepEqual([...array], [...ordinary], `${kind.name}, ${name}`)
    array.subarray(5, 100).subarray(3).sort()
    ordinary.subarray(5, 100).subarray(3).sort()
    expect('a subarray')
    const compare = (a: number, b: number) => (a < b ? 1 : a > b ? -1 : 0)
    array.sort(compare)
    ordinary.sort(compare)
    expect('with a comparison')
    t.is(array.sort(), array)
    ordinary.sort()
    expect('all of it')
    t.throws(() => map.typedArray(Float64Array).sort('ascending' as never), { instanceOf: TypeError })
  }
})

test('a typed array over memory that others can change is an instance of its constructor', (t) => {
  using map = mapShared(scratchFile(t, new Uint8Array(4096)))
  for (const kind of kinds) {
    const array = map.typedArray(kind, 64, 32)
    const ordinary = new kind(new ArrayBuffer(32 * kind.BYTES_PER_ELEMENT), 0, 32)
    for (const one of [array, array.subarray(0)]) {
      t.true(one instanceof kind)
      t.is(one.constructor, kind)
      t.is(inspect(one), inspect(ordinary))
      t.is(one.byteOffset, map.buffer.byteOffset + 64)
    }
    assert.deepEqual(array, ordinary)
    t.is(Object.getPrototypeOf(array.map((element) => element)), kind.prototype)
  }
  t.is((map.typedArray(Prices).subarray(1) as Prices).total(), 0)
})

test('a comparison may close the mapping', (t) => {
  const map = mapShared(scratchFile(t, contents), { protection: 'read-write' })
  const numbers = map.typedArray(Int32Array)
  numbers.sort((a, b) => {
    map.close()
    return a - b
  })
  t.is(numbers.length, 0)
})

test('sorting a read-only mapping is a fault, and leaves the file as it was', (t) => {
  const hash = (path: string) => createHash('sha1').update(readFileSync(path)).digest('hex')
  const path = sparseFile(t, 80 * 2 ** 20)
  using stored = mapShared(path, { protection: 'read-write' })
  const numbers = stored.typedArray(Int32Array)
  for (let i = 0; i < numbers.length; i++) numbers[i] = Math.imul(i, 1_103_515_245)
  const before = hash(path)
  using map = mapShared(path, { onFault() {} })
  map.typedArray(Int32Array).sort()
  t.true(map.faults > 0)
  t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  t.is(hash(path), before)
  t.deepEqual(map.read(0, 4096), stored.read(0, 4096))
})
