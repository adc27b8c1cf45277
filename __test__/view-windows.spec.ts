// The ArrayBuffers behind views: a view costs as much as it looks at, not as much as the mapping has (lib/windows.ts).

import { constants } from 'node:buffer'

import test from 'ava'

import { type MemoryMap, mapAnonymous } from '../index.js'
import { runScript, runtimes } from './helpers/runtimes.ts'

const KIB = 2 ** 10
const MIB = 2 ** 20
const GIB = 2 ** 30

const source = `await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/random-views.mjs')`

for (const runtime of runtimes()) {
  for (const backing of ['array-buffer', 'shared-array-buffer']) {
    test(`random views have the bytes of the mapping (${backing}, ${runtime.name} ${runtime.version})`, async (t) => {
      const { code, signal, stdout, stderr } = await runScript(runtime, source, { args: [backing] })
      t.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'end\n' }, stderr)
    })
  }
}

/** Collects the ArrayBuffers behind views, and adds up their lengths. */
class Behind {
  readonly #memories = new Set<ArrayBufferLike>()

  see(view: { readonly buffer: ArrayBufferLike }): void {
    this.#memories.add(view.buffer)
  }

  get count(): number {
    return this.#memories.size
  }

  get bytes(): number {
    return [...this.#memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}

const large = (t: { teardown(run: () => void): void }, length = 4 * GIB): MemoryMap => {
  const map = mapAnonymous(length, { reserve: false })
  t.teardown(() => map.close())
  return map
}

test('a view of a few bytes of a large mapping has little memory behind it', (t) => {
  for (const offset of [0, 65_535, 3 * GIB + 5]) {
    for (const cut of ['view', 'dataView'] as const) {
      const view = large(t)[cut](offset, 64)
      t.true(view.buffer.byteLength <= 32 * KIB, `${cut} at ${offset}: ${view.buffer.byteLength}`)
    }
  }
  t.true(large(t).typedArray(Float64Array, 2 * GIB, 8).buffer.byteLength <= 32 * KIB)
  const map = large(t)
  map.view(GIB - 1, 1)[0] = 10
  const line = [...map.lines({ offset: GIB - 10, length: 10 })][0]!
  t.true(line.buffer.byteLength <= 32 * KIB)
})

test('a hundred views far apart have little memory behind them', (t) => {
  const map = large(t)
  const behind = new Behind()
  for (let i = 0; i < 100; i++) behind.see(map.view((i * 0x9e3779b1) % (4 * GIB), 64))
  t.true(behind.bytes <= 100 * 32 * KIB, `${behind.bytes} bytes`)
})

test('the memory behind a long view is at most four times as long', (t) => {
  const map = large(t)
  for (const length of [100_000, MIB, 100 * MIB]) {
    const { byteLength } = map.view(GIB - 12_345, length).buffer
    t.true(byteLength <= 4 * length, `${length}: ${byteLength}`)
  }
})

test('views all over a mapping have few ArrayBuffers behind them, and finally one over the whole mapping', (t) => {
  const map = large(t)
  const behind = new Behind()
  for (let i = 0; i < 10_000; i++) behind.see(map.view((i * 0x9e3779b1) % (4 * GIB - 4096), 4096))
  t.true(behind.count <= 150, `${behind.count} ArrayBuffers`)
  t.is(map.view(5, 5).buffer, map.arrayBuffer)
})

// V8 would collect for each of the large ArrayBuffers that a mapping needs where one cannot have all of it.
const testInPieces = constants.MAX_LENGTH < 8 * GIB ? test : test.skip

testInPieces('views all over a mapping that is larger than any Buffer have little memory behind them', (t) => {
  const map = large(t, 1024 * GIB)
  const behind = new Behind()
  const viewOf = (i: number) => map.view(((i * 0x9e3779b1) % (4 * GIB)) * 256, 4096)
  for (let i = 0; i < 10_000; i++) {
    const view = viewOf(i)
    view.writeUInt32LE(i)
    behind.see(view)
  }
  t.true(behind.bytes <= 10_000 * 32 * KIB, `${behind.bytes} bytes`)
  const { count } = behind
  for (let i = 0; i < 10_000; i++) {
    const view = viewOf(i)
    if (view.readUInt32LE() !== i) t.fail(`other bytes at ${i}`)
    behind.see(view)
  }
  t.is(behind.count, count, 'they are found again')
})

testInPieces('they have large ArrayBuffers behind them once there are many', (t) => {
  const map = large(t, 8 * GIB)
  const behind = new Behind()
  for (let i = 0; i < 3000; i++) behind.see(map.view(((i * 0x9e3779b1) % (4 * GIB)) * 2, 64))
  t.true(behind.count <= 8 * 128 + 8, `${behind.count} ArrayBuffers`)
  t.is(map.view(5, 5).buffer.byteLength, 2 * GIB)
})

test('views one after the other have few ArrayBuffers behind them, and little more memory than they look at', (t) => {
  const map = large(t)
  const behind = new Behind()
  for (let end = 64 * KIB; end <= 2 * GIB; end += 64 * KIB) {
    behind.see(map.view(end - 64 * KIB, 64 * KIB))
    if (end % (16 * MIB) === 0) t.true(behind.bytes <= 16 * end, `${behind.bytes} for ${end}`)
  }
  t.true(behind.count <= 150, `${behind.count} ArrayBuffers`)
})

test('all views of a mapping of 1 MiB, or of one whose `buffer` was used, have one ArrayBuffer', (t) => {
  const small = large(t, MIB)
  const view = small.view(MIB - 10, 10)
  t.is(view.buffer, small.arrayBuffer)

  const map = large(t, 64 * MIB)
  const before = map.view(5, 5)
  const { buffer } = map
  t.is(map.view(5, 5).buffer, buffer.buffer)
  t.is(map.buffer, buffer)
  before[0] = 9
  t.is(buffer[5], 9)
})
