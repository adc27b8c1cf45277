// `map.into`: the pages of a mapping in a WebAssembly memory.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'

import test, { type ExecutionContext } from 'ava'
import {
  mapAnonymous,
  mapPrivate,
  mapShared,
  type MemoryFault,
  type MemoryMap,
  pageSize,
  WasmMapping,
  type WasmMemory,
} from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { byProgram, isWindows, onWindows, truncating, where, withDescriptors } from './helpers/platform.ts'
import { type Runtime, runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'
import { hashOfSources, path as parserPath, SECTION } from './wasm/build.mjs'

/** In TypeScript, only the types of browsers have it. */
declare const WebAssembly: any

const unit = 65_536
const newMemory = (initial = 20): WasmMemory => new WebAssembly.Memory({ initial })
const bytesOf = (memory: WasmMemory, offset: number, length: number) => Buffer.from(memory.buffer, offset, length)
const contents = pattern(4 * pageSize)

const here = where(!isWindows, 'Windows cannot map over memory that is in use')

here('the pages of a mapping are in the memory, and zeros after close', (t) => {
  const memory = newMemory()
  bytesOf(memory, 0, 20 * unit).fill(1)
  const map = mapPrivate(scratchFile(t, contents))
  const laid = map.into(memory, 2 * unit)
  t.true(bytesOf(memory, 2 * unit, contents.length).equals(contents))
  t.is(bytesOf(memory, 2 * unit - 1, 1)[0], 1)
  t.is(bytesOf(memory, 2 * unit + contents.length, 1)[0], 1)
  t.deepEqual([laid.offset, laid.length, laid.closed], [2 * unit, contents.length, false])
  laid.close()
  t.true(laid.closed)
  t.true(bytesOf(memory, 2 * unit, contents.length).every((byte) => byte === 0))
  t.is(bytesOf(memory, 2 * unit + contents.length, 1)[0], 1)
  bytesOf(memory, 2 * unit, 10).fill(9)
  laid.close()
  t.is(bytesOf(memory, 2 * unit, 1)[0], 9, 'a second close does nothing')
  t.is(map.read(0, 1)[0], contents[0])
  map.close()
})

here('a WasmMapping prints what it is, ends with `using`, and is not taken for an array', (t) => {
  const memory = newMemory()
  using map = mapPrivate(scratchFile(t, contents))
  let outer: WasmMapping
  {
    using laid = map.into(memory, 0)
    outer = laid
    t.is(inspect(laid), `WasmMapping { offset: 0, length: ${contents.length}, closed: false }`)
    t.deepEqual(JSON.parse(JSON.stringify(laid)), { offset: 0, length: contents.length, closed: false })
    t.throws(() => Buffer.from(laid as never), { code: 'ERR_INVALID_ARG_TYPE' })
    t.throws(() => structuredClone(laid), { any: true, name: 'DataCloneError' })
  }
  t.true(outer.closed)
  t.throws(() => Reflect.construct(WasmMapping, []), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
})

here('stores to the memory reach the file of a shared mapping, and no other file', (t) => {
  const memory = newMemory()
  const path = scratchFile(t, contents)
  using shared = mapShared(path, { protection: 'read-write' })
  using copied = mapPrivate(path)
  shared.into(memory, 0)
  copied.into(memory, unit)
  bytesOf(memory, 0, 5).write('SHARE')
  t.is(readFileSync(path, 'latin1').slice(0, 5), 'SHARE')
  t.is(shared.toString('latin1', 0, 5), 'SHARE')
  bytesOf(memory, unit, 5).write('OTHER')
  t.is(readFileSync(path, 'latin1').slice(0, 5), 'SHARE')
  t.not(copied.toString('latin1', 0, 5), 'OTHER')
  shared.write(Buffer.from('x'), 1)
  t.is(bytesOf(memory, 0, 5).toString(), 'SxARE')
})

here('a memory that grows stays writable where a read-only mapping lies, and the file is unchanged', (t) => {
  const memory = newMemory()
  const path = scratchFile(t, contents)
  using opened = mapShared(path, { protection: 'read-write' })
  opened.protect('read')
  opened.into(memory, 0)
  using map = mapShared(path, { onFault: () => {} })
  map.into(memory, unit)
  memory.grow(30)
  for (const at of [0, unit]) bytesOf(memory, at, 5).write('STORE')
  t.true(readFileSync(path).equals(contents))
})

withDescriptors('memory with a descriptor can be in two places', (t) => {
  const memory = newMemory()
  using map = mapAnonymous(2 * pageSize, { shared: true })
  map.into(memory, unit)
  map.write(Buffer.from('here'), pageSize)
  t.is(bytesOf(memory, unit + pageSize, 4).toString(), 'here')
})

here('a memory can have several mappings, and a mapping several memories, but no two mappings overlap', (t) => {
  const memory = newMemory()
  const path = scratchFile(t, contents)
  using map = mapPrivate(path)
  using other = mapPrivate(path, { offset: pageSize, length: pageSize })
  const laid = map.into(memory, unit)
  other.into(memory, unit + contents.length)
  const second = newMemory()
  map.into(second, unit)
  t.is(bytesOf(memory, unit + contents.length, 1)[0], contents[pageSize])
  for (const [one, at] of [
    [map, unit],
    [map, unit - pageSize],
    [other, unit],
    [other, unit + contents.length - pageSize],
  ] as const) {
    const error = t.throws(() => one.into(memory, at), { code: 'ERR_MMAP_BUSY' })
    t.regex(error!.message, /close it first/)
  }
  t.true(bytesOf(memory, unit, contents.length).equals(contents))
  laid.close()
  other.into(memory, unit)
  t.true(bytesOf(second, unit, contents.length).equals(contents))
})

here('closing the mapping removes its pages from all memories', (t) => {
  const memories = [newMemory(), newMemory()]
  const map = mapPrivate(scratchFile(t, contents))
  const laid = memories.map((memory) => map.into(memory, unit))
  map.close()
  for (const [i, memory] of memories.entries()) {
    t.true(laid[i]!.closed)
    t.true(bytesOf(memory, unit, contents.length).every((byte) => byte === 0))
    laid[i]!.close()
  }
  t.throws(() => map.into(memories[0]!, 0), { code: 'ERR_MMAP_CLOSED' })
})

here('a mapping that is resized stays in the memory with its old length', (t) => {
  const memory = newMemory()
  using map = mapPrivate(scratchFile(t, contents))
  const laid = map.into(memory, unit)
  map.resize(pageSize)
  t.is(laid.length, contents.length)
  t.true(bytesOf(memory, unit, contents.length).equals(contents))
  const again = map.into(memory, 2 * unit)
  t.is(again.length, pageSize)
  laid.close()
  again.close()
  t.is(map.read(0, 1)[0], contents[0])
})

here('a memory that has grown still has the mapping, and takes another at its new end', (t) => {
  const memory = newMemory(2)
  using map = mapPrivate(scratchFile(t, contents))
  const laid = map.into(memory, unit)
  const { buffer } = memory
  for (const pages of [1, 100, 1000]) {
    const end = memory.grow(pages) * unit
    t.true(bytesOf(memory, unit, contents.length).equals(contents))
    map.into(memory, end)
    t.true(bytesOf(memory, end, contents.length).equals(contents))
  }
  t.is(buffer.byteLength, 0, 'the buffer from before is detached')
  laid.close()
  t.is(bytesOf(memory, unit, 1)[0], 0)
})

here('the last page is in the memory as a whole, with zeros beyond the end of the file', (t) => {
  const memory = newMemory()
  bytesOf(memory, 0, 10 * unit).fill(1)
  const path = scratchFile(t, contents.subarray(0, pageSize + 100))
  using map = mapShared(path, { protection: 'read-write' })
  const laid = map.into(memory, unit)
  t.is(laid.length, pageSize + 100)
  t.true(bytesOf(memory, unit, laid.length).equals(contents.subarray(0, laid.length)))
  const tail = bytesOf(memory, unit + laid.length, pageSize - 100)
  t.true(tail.every((byte) => byte === 0))
  t.is(bytesOf(memory, unit + 2 * pageSize, 1)[0], 1)
  tail.fill(5)
  laid.close()
  t.is(readFileSync(path).length, pageSize + 100)
  t.is(bytesOf(memory, unit + 2 * pageSize - 1, 1)[0], 0)
})

here('a mapping whose pages are not those of the memory is refused', (t) => {
  const memory = newMemory()
  const path = scratchFile(t, contents)
  const refuse = (options: { offset?: number; length?: number }, says: RegExp) => {
    using map = mapShared(path, { ...options, protection: 'read-write' })
    const error = t.throws(() => map.into(memory, 0), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
    t.regex(error!.message, says)
  }
  refuse({ offset: 100 }, /options.offset must be the start of a page of the file/)
  refuse({ offset: pageSize, length: 100 }, /options.length must be whole pages/)
  using empty = mapPrivate(scratchFile(t, '', 'empty'))
  t.throws(() => empty.into(memory, 0), { code: 'ERR_OUT_OF_RANGE' })
  using part = mapPrivate(path, { offset: 3 * pageSize })
  part.into(memory, 0)
  t.is(bytesOf(memory, 0, 1)[0], contents[3 * pageSize])
})

here('a range that is not in the memory is refused', (t) => {
  const memory = newMemory(2)
  using map = mapPrivate(scratchFile(t, contents))
  for (const offset of [1, pageSize / 2, 2 * unit, 2 * unit - 3 * pageSize, -pageSize, 1.5, Number.NaN, 2 ** 53]) {
    throwsCodedError(t, () => map.into(memory, offset), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  }
  for (const offset of [undefined, null, '0', {}]) {
    const type = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
    throwsCodedError(t, () => map.into(memory, offset as never), type)
  }
  const last = map.into(memory, 2 * unit - contents.length)
  t.is(last.offset, 2 * unit - contents.length)
  t.is(map.into(memory, -0).offset, 0)
  t.true(bytesOf(memory, contents.length, unit).every((byte) => byte === 0))
})

here('an object that only looks like a memory is refused', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  const real = newMemory()
  const { buffer } = real
  for (const memory of [undefined, null, 1, {}, { buffer }, buffer, Object.create(real), new Proxy(real, {})]) {
    const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', says: ['"memory"', 'WebAssembly.Memory'] }
    throwsCodedError(t, () => map.into(memory as never, 0), expected)
  }
  Object.defineProperty(real, 'buffer', { value: new ArrayBuffer(20 * unit) })
  const laid = map.into(real, 0)
  laid.close()
  t.true(laid.closed, 'what a program made of a memory is not looked at')
})

here('memory without a file, and mappings that have closed their file, are refused', (t) => {
  const memory = newMemory()
  using anonymous = mapAnonymous(pageSize)
  const error = t.throws(() => anonymous.into(memory, 0), { code: 'ERR_MMAP_UNSUPPORTED' })
  t.regex(error!.message, /shared: true/)
  using closed = mapPrivate(scratchFile(t, contents), { keepOpen: false })
  t.throws(() => closed.into(memory, 0), { code: 'ERR_MMAP_UNSUPPORTED', message: /keepOpen/ })
  t.true(bytesOf(memory, 0, unit).every((byte) => byte === 0))
})

/** A mapping of a file of 3 GiB, which ends with "end". */
function largeMap(t: ExecutionContext): MemoryMap {
  const map = mapShared(sparseFile(t, 3 * 2 ** 30), { protection: 'read-write' })
  t.teardown(() => map.close())
  map.write(Buffer.from('end'), map.length - 3)
  return map
}

here('a file of 3 GiB is in the memory at once', (t) => {
  const map = largeMap(t)
  const memory = newMemory(50_000)
  const laid = map.into(memory, unit)
  t.is(Buffer.from(memory.buffer, unit + map.length - 3, 3).toString(), 'end')
  laid.close()
  t.is(Buffer.from(memory.buffer, unit + map.length - 3, 1)[0], 0)
})

here('a file is in the memory beyond 4 GiB where memories can be larger', (t) => {
  const map = largeMap(t)
  let large: WasmMemory
  try {
    large = new WebAssembly.Memory({ initial: 131_072n, address: 'i64' })
  } catch {
    return t.pass('this runtime has no memories of 64-bit addresses')
  }
  const at = 5 * 2 ** 30 - unit
  using there = map.into(large, at)
  t.is(Buffer.from(large.buffer, at + map.length - 3, 3).toString(), 'end')
  t.is(there.offset, at)
})

truncating('a fault in the memory is reported as one of the mapping, and thrown by check()', async (t) => {
  const path = scratchFile(t, contents)
  const told: MemoryFault[] = []
  using map = mapShared(path, { onFault: (fault) => told.push(fault) })
  const memory = newMemory()
  map.into(memory, unit)
  truncateSync(path, pageSize)
  t.is(bytesOf(memory, unit + 2 * pageSize, 1)[0], 0)
  t.is(map.faults, 1)
  await until(() => told.length > 0)
  const [{ kind, offset, length, map: of }] = told as [MemoryFault]
  t.deepEqual([kind, offset, length, of === map], ['beyond-end', 2 * pageSize, 2 * pageSize, true])
  t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  t.notThrows(() => map.check())
  writeFileSync(path, contents)
  t.is(bytesOf(memory, unit + 2 * pageSize, 1)[0], contents[2 * pageSize])
})

onWindows('into() is unsupported on Windows', (t) => {
  using map = mapPrivate(scratchFile(t, contents))
  t.throws(() => map.into(newMemory(), 0), { code: 'ERR_MMAP_UNSUPPORTED' })
})

/** A parser in Rust: csv-core. */
function parser() {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(parserPath)))
  return exports as {
    memory: WasmMemory
    records(start: number, length: number): number
    sum(start: number, length: number, column: number): number
  }
}

here('a parser compiled from Rust reads a mapped file', (t) => {
  const rows = Array.from({ length: 5000 }, (_, i) => `"row ""${i}"", of many",${i}.5,${'x'.repeat(i % 90)}`)
  const path = scratchFile(t, `name,amount,rest\n${rows.join('\n')}`)
  const { memory, records, sum } = parser()
  using map = mapPrivate(path)
  using laid = map.into(memory, memory.grow(Math.ceil(map.length / unit)) * unit)
  t.is(records(laid.offset, laid.length), 5001)
  t.is(sum(laid.offset, laid.length, 1), (4999 * 5000) / 2 + 0.5 * 5000)
})

test('the committed parser was compiled from the present sources', (t) => {
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(readFileSync(parserPath)), SECTION)
  t.is(Buffer.from(section ?? []).toString('hex'), hashOfSources().toString('hex'), 'run __test__/wasm/build.mjs')
})

const programs: [what: string, name: string, applies: (runtime: Runtime) => boolean][] = [
  ['code of WebAssembly is guarded where a mapping lies', 'lives', ({ name }) => name !== 'bun'],
  ['pages stay for as long as the memory', 'collected', ({ name }) => name !== 'bun'],
  ['addresses that a memory had are not guarded any more', 'reused', ({ name }) => name !== 'bun'],
  ['threads share what lies in a shared memory', 'threads', ({ name }) => name !== 'bun'],
  ['two threads lay one mapping into a memory each', 'holders', ({ name }) => name !== 'bun'],
  ['memories that can move are refused', 'refused', ({ name }) => name === 'bun'],
]
for (const [what, name, applies] of programs) {
  const program = scenario(`wasm-${name}`)
  for (const runtime of runtimes().filter(applies)) {
    const declare = isWindows ? test.skip : byProgram(program)
    declare(`${what} (${runtime.name} ${runtime.version})`, async (t: ExecutionContext) => {
      await endsWell(t, runtime, program)
    })
  }
}
