// A file that is truncated while it is mapped: loads beyond its end read zeros, stores there are discarded, the process goes
// on, and views show the file again when it grows.

import { createHash, createHmac, randomFillSync } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { deflateSync, inflateSync } from 'node:zlib'

import { mapPrivate, mapShared, pageSize } from 'memory-map'

import { areasIn, nonzeroPages, Reports, runFaultScript, settle, survives } from './helpers/faults.ts'
import { is32Bit, onLinux, truncating as test, withAddresses } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'

const PAGES = 8
const content = nonzeroPages(PAGES)
const host = runtimes()[0]!

/** The content as a view shows it after the file was cut to `size` bytes. */
function cut(size: number): Buffer {
  return Buffer.concat([content.subarray(0, size), Buffer.alloc(content.length - size)])
}

test('a load beyond the end of the file ends the process without the guard: the other tests mean something', async (t) => {
  const { signal, stdout } = await runFaultScript(
    host,
    `
    const path = makeFile(pageSize)
    const map = mapShared(path, { guard: false })
    const { buffer } = map
    fs.truncateSync(path, 0)
    console.log(map.length)
    console.log(buffer[0])`,
  )
  t.is(signal, 'SIGBUS')
  t.is(stdout, `${pageSize}\n`)
})

for (const map of [mapShared, mapPrivate]) {
  test(`${map.name}: a file cut to nothing reads as zeros`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using mapped = map(path, reports.options)
    t.deepEqual(mapped.buffer, content)
    truncateSync(path, 0)

    t.is(mapped.faults, 0)
    t.is(mapped.buffer[0], 0)
    t.is(mapped.faults, 1, 'the fault is counted at once')
    t.deepEqual(mapped.buffer, cut(0))
    t.is(mapped.faults, 1, 'one fault covers all pages beyond the end')

    const [fault, ...more] = await reports.told(1)
    t.deepEqual(more, [])
    t.like(fault, { kind: 'beyond-end', offset: 0, length: mapped.length, contained: true })
  })

  test(`${map.name}: a file cut in the middle of a page keeps the bytes before the cut`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using mapped = map(path, reports.options)
    const size = 3 * pageSize + 100
    truncateSync(path, size)

    t.deepEqual(mapped.buffer.subarray(0, 4 * pageSize), cut(size).subarray(0, 4 * pageSize))
    t.is(mapped.faults, 0, 'the rest of the last page is there')
    t.is(mapped.buffer[6 * pageSize], 0)
    t.deepEqual(mapped.buffer, cut(size))

    const [fault] = await reports.told(1)
    t.like(fault, { kind: 'beyond-end', offset: 6 * pageSize, length: 2 * pageSize })
    t.deepEqual(mapped.buffer.subarray(0, size), content.subarray(0, size), 'and healing does not change them')
  })

  test(`${map.name}: offsets count from a mapping that begins in the middle of a page`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    const offset = pageSize + 1000
    using mapped = map(path, { offset, length: 5 * pageSize, ...reports.options })
    truncateSync(path, 3 * pageSize)

    t.is(mapped.buffer[5 * pageSize - 1], 0)
    t.deepEqual(mapped.buffer, cut(3 * pageSize).subarray(offset, offset + 5 * pageSize))
    const [far] = await reports.told(1)
    t.like(far, { kind: 'beyond-end', offset: 5 * pageSize - 1000, length: 1000 }, 'the page of the last byte')

    truncateSync(path, 0)
    t.is(mapped.buffer[0], 0)
    const [, near] = await reports.told(2)
    t.like(near, { kind: 'beyond-end', offset: 0, length: 5 * pageSize })
  })

  test(`${map.name}: when the file grows again the views show it`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using mapped = map(path, { protection: 'read', ...reports.options })
    truncateSync(path, 0)
    t.deepEqual(mapped.buffer, cut(0))
    await reports.told(1)

    const other = Buffer.from(content).reverse()
    appendFileSync(path, other)
    t.deepEqual(mapped.buffer, other)
    t.is(mapped.faults, 1, 'nothing is wrong any more')
    t.is(reports.faults.length, 1)
  })
}

test('a store beyond the end is discarded, and is not in the file when it grows again', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  truncateSync(path, 2 * pageSize)
  map.buffer.fill(0xee, 2 * pageSize)
  map.buffer[0] = 0xff
  t.is(statSync(path).size, 2 * pageSize, 'no store makes a file longer')
  await reports.told(1)

  truncateSync(path, content.length)
  const expected = cut(2 * pageSize)
  expected[0] = 0xff
  t.deepEqual(map.buffer, expected)
  t.deepEqual(readFileSync(path), expected)

  map.buffer[7 * pageSize] = 0xab
  t.is(readFileSync(path)[7 * pageSize], 0xab, 'and later stores reach it')
  t.is(map.faults, 1)
})

test('a file that is cut further with every access is contained each time', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  for (let page = PAGES - 1; page >= 0; page--) {
    truncateSync(path, page * pageSize)
    map.buffer[page * pageSize] = 1
    t.is(map.faults, PAGES - page)
  }
  const faults = await reports.told(PAGES)
  t.deepEqual(
    faults.map(({ offset }) => offset / pageSize),
    [7, 6, 5, 4, 3, 2, 1, 0],
  )
  truncateSync(path, content.length)
  t.deepEqual(map.buffer, cut(0))
})

test('every mapping of a truncated file has faults of its own', async (t) => {
  const path = scratchFile(t, content)
  const [one, two] = [new Reports(), new Reports()]
  using first = mapShared(path, one.options)
  using second = mapPrivate(path, { offset: 100, ...two.options })
  truncateSync(path, pageSize)
  t.is(first.buffer[pageSize], 0)
  t.is(second.faults, 0)
  t.is(second.buffer.at(-1), 0)
  await one.told(1)
  await two.told(1)
  t.like(one.faults, [{ offset: pageSize }])
  t.is(one.faults[0]!.map, first)
  t.is(two.faults[0]!.map, second)
})

const views = [Uint8Array, Int16Array, Uint32Array, Float32Array, Float64Array, BigUint64Array] as const

for (const Ctor of views) {
  test(`${Ctor.name}: loops that load run to the end of the view, and see zeros beyond the end of the file`, (t) => {
    const path = scratchFile(t, content)
    using map = mapShared(path, new Reports().options)
    const view = map.typedArray<any>(Ctor)
    truncateSync(path, 3 * pageSize)
    const expected = new Ctor(Uint8Array.from(cut(3 * pageSize)).buffer)

    const seen: unknown[] = []
    for (let i = 0; i < view.length; i++) seen.push(view[i])
    t.deepEqual(seen, [...expected])
    t.deepEqual([...view], [...expected])
    t.is(map.faults, 1)
  })

  test(`${Ctor.name}: loops that store run to the end of the view, and what lies beyond the end of the file is discarded`, (t) => {
    const path = scratchFile(t, content)
    using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
    const view = map.typedArray<any>(Ctor)
    truncateSync(path, 3 * pageSize)
    const one = typeof view[0] === 'bigint' ? 1n : 1
    for (let i = 0; i < view.length; i++) view[i] = one
    t.is(map.faults, 1)
    const stored = new Ctor((3 * pageSize) / Ctor.BYTES_PER_ELEMENT).fill(one as never)
    t.deepEqual(readFileSync(path), Buffer.from(stored.buffer))
  })
}

const loads: Record<string, (bytes: Buffer) => unknown> = {
  'Buffer.copy': (bytes) => {
    const target = Buffer.alloc(bytes.length, 0xee)
    bytes.copy(target)
    return target
  },
  'Buffer.from': (bytes) => Buffer.from(bytes),
  'Buffer.concat': (bytes) => Buffer.concat([bytes, bytes]),
  'Buffer.equals': (bytes) => [bytes.equals(cut(3 * pageSize)), bytes.equals(content)],
  'Buffer.compare': (bytes) => Buffer.compare(bytes, content),
  'Buffer.indexOf': (bytes) => [bytes.indexOf(0), bytes.indexOf('nowhere'), bytes.lastIndexOf(content[0]!)],
  'Buffer.includes': (bytes) => bytes.includes(Buffer.alloc(2 * pageSize)),
  'Buffer.toString': (bytes) => ['latin1', 'hex', 'base64', 'utf8'].map((name) => bytes.toString(name as 'hex')),
  'Buffer.readDoubleLE': (bytes) => bytes.readDoubleLE(bytes.length - 8),
  'Uint8Array.set, as its source': (bytes) => {
    const target = new Uint8Array(bytes.length).fill(0xee)
    target.set(bytes)
    return target
  },
  'Uint8Array.slice': (bytes) => Uint8Array.prototype.slice.call(bytes, pageSize, -1),
  'Uint8Array.reduce': (bytes) => bytes.reduce((sum, byte) => sum + byte, 0),
  DataView: (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(bytes.length - 8),
  TextDecoder: (bytes) => new TextDecoder('latin1').decode(bytes) + new TextDecoder().decode(bytes),
  'crypto.createHash': (bytes) => createHash('sha256').update(bytes).digest('hex'),
  'crypto.createHmac': (bytes) => createHmac('sha512', bytes.subarray(-64)).update(bytes).digest('hex'),
  'zlib.deflateSync': (bytes) => inflateSync(deflateSync(bytes)),
  structuredClone: (bytes) => structuredClone(Uint8Array.prototype.slice.call(bytes)),
  Blob: (bytes) => new Blob([bytes]).size,
}

for (const [name, load] of Object.entries(loads)) {
  test(`${name} sees zeros beyond the end`, (t) => {
    const path = scratchFile(t, content)
    using map = mapShared(path, new Reports().options)
    truncateSync(path, 3 * pageSize)
    const seen = load(map.buffer)
    t.true(map.faults > 0, 'it did meet the end')
    t.deepEqual(seen, load(cut(3 * pageSize)))
    t.is(settle(map).length, map.faults)
  })
}

const stores: Record<string, (bytes: Buffer) => unknown> = {
  'Buffer.fill': (bytes) => bytes.fill(0xee),
  'Buffer.fill of a text': (bytes) => bytes.fill('some text'),
  'Buffer.copy, as its target': (bytes) => Buffer.alloc(bytes.length, 7).copy(bytes),
  'Buffer.write': (bytes) => bytes.write('x'.repeat(bytes.length)),
  'Uint8Array.set': (bytes) => bytes.set(new Uint8Array(bytes.length).fill(9)),
  'Uint8Array.copyWithin': (bytes) => bytes.copyWithin(pageSize, 0),
  'Buffer.swap64': (bytes) => bytes.swap64(),
  DataView: (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, at)
  },
  'TextEncoder.encodeInto': (bytes) => new TextEncoder().encodeInto('y'.repeat(bytes.length), bytes),
}

for (const [name, store] of Object.entries(stores)) {
  test(`${name} stores up to the end, and the rest is discarded`, (t) => {
    const path = scratchFile(t, content)
    using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
    truncateSync(path, 3 * pageSize)
    store(map.buffer)
    t.true(map.faults > 0, 'it did meet the end')
    t.is(settle(map).length, map.faults)

    const expected = cut(3 * pageSize)
    store(expected)
    t.deepEqual(readFileSync(path), expected.subarray(0, 3 * pageSize))
    truncateSync(path, content.length)
    t.deepEqual(map.buffer, Buffer.concat([expected.subarray(0, 3 * pageSize), Buffer.alloc(5 * pageSize)]))
  })
}

test('crypto.randomFillSync fills up to the end, and the rest is discarded', (t) => {
  const path = scratchFile(t, content)
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  truncateSync(path, 3 * pageSize)
  randomFillSync(map.buffer)
  t.true(settle(map).length > 0)
  t.notDeepEqual(readFileSync(path), content.subarray(0, 3 * pageSize))
  truncateSync(path, content.length)
  t.deepEqual(map.buffer.subarray(3 * pageSize), Buffer.alloc(5 * pageSize))
})

test('another process can truncate the file at any moment of a loop', async (t) => {
  const path = scratchFile(t, content)
  writeFileSync(path, Buffer.alloc(content.length, 0x11))
  const stdout = await survives(
    t,
    host,
    `
    import { spawn } from 'node:child_process'
    const path = ${JSON.stringify(path)}
    const map = mapShared(path, { protection: 'read-write', onFault() {} })
    const { buffer } = map
    const size = String(buffer.length)
    const other = spawn('/bin/sh', ['-c',
      'for i in $(seq 300); do truncate -s 0 "$0"; truncate -s "$1" "$0"; done', path, size])
    let over = false
    other.on('exit', () => (over = true))
    let loops = 0
    while (!over) {
      for (let round = 0; round < 20; round++, loops++) {
        for (let i = 0; i < buffer.length; i += 512) {
          assert.ok([0, 0x11, 0x22].includes(buffer[i]))
          buffer[i] = 0x22
        }
      }
      await sleep(0)
    }
    assert.ok(map.faults > 0, 'the file was never met while it was short')
    assert.strictEqual(fs.statSync(path).size, buffer.length)
    await until(() => buffer.equals(fs.readFileSync(path)))
    console.log('end')`,
  )
  t.is(stdout, 'end\n')
})

test('thousands of truncations between two turns of the event loop are contained', async (t) => {
  await survives(t, host, scenario('truncate-between-turns'))
})

const WALK = `
const GiB = 2 ** 30
const path = makeFile(8 * GiB)
const faults = []
const map = mapShared(path, { protection: 'read-write', onFault: (fault) => faults.push(fault) })
const random = chance(1)
const fd = fs.openSync(path, 'r+')
/** Loads a byte of so many random pages, through a window of the mapping. */
function load(count) {
  let sum = 0
  for (let i = 0; i < count; i++) sum += map.view((1 + random(8 * GiB / pageSize - 1)) * pageSize, 1)[0]
  return sum
}
map.view(0, 1)[0] = 0x11
map.view(5 * GiB, 1)[0] = 0x55
assert.strictEqual(areasIn(map), 1)
const before = areaCount()
const rss = process.memoryUsage.rss()
fs.ftruncateSync(fd, 1)
assert.strictEqual(load(1_000_000), 0)
assert.ok(map.faults > 0 && map.faults < 20, map.faults + ' faults')
// The engine's heap has more of them by now, too.
assert.ok(areasIn(map) < 20 && areaCount() < before + 1000, areaCount() + ' areas, ' + before + ' before')
assert.ok(process.memoryUsage.rss() - rss < 512 * 2 ** 20)
assert.strictEqual(map.view(5 * GiB, 1)[0], 0)
assert.strictEqual(map.view(0, 1)[0], 0x11)

await until(() => faults.length > 0)
assert.strictEqual(faults.length, map.faults)
for (const { kind, offset, length, contained } of faults) {
  assert.strictEqual(kind, 'beyond-end')
  assert.ok(offset >= pageSize && offset % pageSize === 0 && offset + length === 8 * GiB && contained)
}
assert.strictEqual(areasIn(map), 1)

// Stores, the healed pages of which are the file's once more.
for (let i = 0; i < 10_000; i++) map.view((1 + random(8 * GiB / pageSize - 1)) * pageSize, 1)[0] = 0xee
assert.ok(areasIn(map) < 20)
await until(() => faults.length === map.faults)
assert.strictEqual(areasIn(map), 1)
fs.ftruncateSync(fd, 8 * GiB)
map.view(7 * GiB, 1)[0] = 0x77
const byte = Buffer.alloc(1)
fs.readSync(fd, byte, 0, 1, 7 * GiB)
assert.strictEqual(byte[0], 0x77)
assert.strictEqual(map.view(5 * GiB, 1)[0], 0)
assert.ok(fs.statSync(path).blocks * 512 < 2 ** 20, 'lost stores are not in the file')
map.close()
console.log('end')
`

for (const runtime of runtimes()) {
  const declare = is32Bit ? withAddresses : test
  declare(
    `${runtime.name} ${runtime.version}: loads from a million random pages of a truncated file of 8 GiB`,
    async (t) => {
      await survives(t, runtime, WALK)
    },
  )

  test(`${runtime.name} ${runtime.version}: survives truncation, and shows the file when it grows`, async (t) => {
    await survives(t, runtime, scenario('truncate-lives'))
  })
}

onLinux('a thousand rounds of truncation and healing leave no memory area behind', async (t) => {
  const path = scratchFile(t, content)
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  for (let round = 0; round < 1000; round++) {
    truncateSync(path, (round % PAGES) * pageSize)
    map.buffer[PAGES * pageSize - 1] = 1
    settle(map)
    truncateSync(path, PAGES * pageSize)
    t.is(map.buffer[PAGES * pageSize - 1], 0)
  }
  t.is(map.faults, 1000)
  t.is(areasIn(map), 1)
})

test('another program sees the truncated file', (t) => {
  const path = scratchFile(t, content)
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  truncateSync(path, pageSize)
  map.buffer.fill(1)
  t.deepEqual(execFileSync('cat', [path]), Buffer.alloc(pageSize, 1))
})
