// Views on a SharedArrayBuffer: `backing: 'shared-array-buffer'`.

import { readFileSync } from 'node:fs'

import test from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryFault, type MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError } from './helpers/errors.ts'
import { endsWell } from './helpers/lifetimes.ts'
import { byProgram } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { turns, until } from './helpers/until.ts'

const backing = 'shared-array-buffer'
const contents = pattern(3 * pageSize + 100)

/** Lets the loop turn until `done`, and some times more. */
async function eventually(done: () => boolean): Promise<void> {
  await until(done)
  await turns()
}

type Shared = MemoryMap<SharedArrayBuffer>

const makers: [what: string, make: (path: string, onFault?: (fault: MemoryFault) => void) => Shared][] = [
  ['a shared', (path, onFault) => mapShared(path, { backing, protection: 'read-write', onFault })],
  [
    'a shared (from inside a page)',
    (path, onFault) => mapShared(path, { backing, protection: 'read-write', offset: 77, onFault }),
  ],
  ['a private', (path, onFault) => mapPrivate(path, { backing, onFault })],
  ['an anonymous', (_path, onFault) => mapAnonymous(contents.length, { backing, onFault })],
]

for (const [what, make] of makers) {
  test(`all views of ${what} mapping are on one SharedArrayBuffer`, (t) => {
    using map = make(scratchFile(t, contents))
    const { buffer, arrayBuffer } = map
    t.true(arrayBuffer instanceof SharedArrayBuffer)
    const views = [buffer, map.view(5, 5), map.typedArray(Uint8Array), map.dataView()]
    for (const view of views) t.is(view.buffer, arrayBuffer)
    t.is(buffer.length, map.length)
    t.is(map.buffer, buffer)
    if (map.kind !== 'anonymous') t.is(Buffer.compare(buffer, contents.subarray(map.offset)), 0)
    buffer[7] = 200
    t.is(map.read(7, 1)[0], 200)
    map.write(Buffer.of(9), 8)
    t.is(buffer[8], 9)
  })

  test(`after close the views of ${what} mapping read zeros, and their first use is a fault`, async (t) => {
    const told: MemoryFault[] = []
    const map = make(scratchFile(t, contents), (fault) => told.push(fault))
    map.buffer.fill(7)
    const { buffer } = map
    const view = map.view(pageSize + 10, 10)
    map.close()
    await turns()
    t.is(map.faults, 0, 'nobody has used them yet')
    t.is(view[3], 0)
    t.is(map.faults, 1)
    t.true(buffer.every((byte) => byte === 0))
    view.fill(1)
    await eventually(() => told.length > 0)
    t.is(map.faults, 1)
    t.deepEqual(
      told.map(({ kind, contained, map: of }) => [kind, contained, of === map]),
      [['closed', true, true]],
    )
    t.true(told[0]!.offset <= pageSize + 13)
    t.throws(() => map.buffer, { code: 'ERR_MMAP_CLOSED' })
    t.notThrows(() => map.close())
  })

  test(`closing ${what} mapping is not a fault if its views are not used afterwards`, async (t) => {
    const map = make(scratchFile(t, contents), () => t.fail())
    const { buffer } = map
    map.close()
    await turns()
    t.is(map.faults, 0)
    t.is(buffer.length, contents.length - map.offset)
  })

  test(`${what} mapping can be resized, and its old views read zeros`, (t) => {
    const path = scratchFile(t, contents)
    using map = make(path, () => {})
    map.buffer.fill(7)
    const { buffer } = map
    for (const length of [pageSize, contents.length - 100, 10]) {
      map.resize(length)
      t.is(map.buffer.length, length)
      t.true(map.buffer.subarray(0, 10).every((byte) => byte === 7))
    }
    t.true(buffer.every((byte) => byte === 0))
    t.true(map.buffer.every((byte) => byte === 7))
  })

  test(`a store to a read-only page of ${what} mapping is contained`, async (t) => {
    const told: string[] = []
    using map = make(scratchFile(t, contents), ({ kind }) => told.push(kind))
    map.buffer.fill(7)
    map.protect('read')
    map.buffer[5] = 1
    t.is(map.faults, 1)
    await eventually(() => told.length > 0)
    t.deepEqual(told, ['protection'])
    t.is(map.buffer[5], 7)
    t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  })
}

test('stores to a shared mapping reach the file, and those to a private one do not', async (t) => {
  const path = scratchFile(t, contents)
  using shared = mapShared(path, { backing, protection: 'read-write' })
  using own = mapPrivate(path, { backing })
  own.buffer[0] = 1
  shared.buffer[1] = 2
  await shared.sync()
  t.deepEqual([...readFileSync(path).subarray(0, 2)], [contents[0], 2])
})

test('an empty mapping has an empty buffer', (t) => {
  using map = mapShared(scratchFile(t, ''), { backing })
  t.true(map.arrayBuffer instanceof SharedArrayBuffer)
  t.is(map.buffer.length, 0)
})

test('the type of a view names the kind of its buffer', (t) => {
  const path = scratchFile(t, contents)
  using shared = mapShared(path, { backing: 'shared-array-buffer' })
  using plain = mapShared(path)
  const one: Buffer<SharedArrayBuffer> = shared.buffer
  const two: Buffer<ArrayBuffer> = plain.buffer
  // @ts-expect-error the types differ
  const three: Buffer<ArrayBuffer> = shared.buffer
  t.deepEqual([one.length, two.length], [three.length, three.length])
})

test('the error for an unknown backing suggests the nearest one', (t) => {
  throwsCodedError(t, () => mapAnonymous(1, { backing: 'shared-arraybuffer' as never }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    says: ["'shared-array-buffer'"],
  })
})

if (process.version.startsWith('v20.')) {
  test('the error for a mapping that Node 20 cannot make in one piece says what to do', (t) => {
    const path = sparseFile(t, 2 ** 32 + pageSize)
    throwsCodedError(t, () => mapShared(path, { backing }), {
      instanceOf: RangeError,
      code: 'ERR_MMAP_TOO_LARGE',
      says: ["'array-buffer'"],
    })
  })
}

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  const scenarios: [title: string, name: string][] = [
    ['worker threads have the same memory, with Atomics', 'sharing'],
    ['memory of a mapping that was collected here is still usable in other threads', 'collected'],
    ['workers survive a truncation of the file', 'truncated'],
    ['WebAssembly still traps where mappings were', 'trapping'],
    ['many cycles of opening and closing leave nothing behind', 'cycling'],
    runtime.name === 'deno'
      ? ['the error in a worker, which cannot map with this backing, says so', 'wrong-place']
      : ['memory outlives the worker that mapped it', 'outliving'],
  ]
  for (const [title, name] of scenarios) {
    const program = scenario(`shared-backing-${name}`)
    byProgram(program).serial(`${title}, ${where}`, async (t) => {
      await endsWell(t, runtime, program)
    })
  }
}
