// Stores to read-only pages, and any access to pages of protection 'none', do not end the process. After the report no
// trace of a store is left, neither in memory nor in the file.

import { createCipheriv, createHash, randomFillSync } from 'node:crypto'
import {
  closeSync,
  openSync,
  promises,
  readFileSync,
  readSync,
  readvSync,
  statSync,
  truncateSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { inflateSync } from 'node:zlib'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap, pageSize } from 'memory-map'

import { areasIn, nonzeroPages, Reports, runFaultScript, survives } from './helpers/faults.ts'
import {
  coveringParts,
  type Declare,
  kindsHere,
  onLinux,
  onPosix,
  truncating,
  withDescriptors,
  withHoles,
} from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { scratchFile, scratchFolder } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const PAGES = 8
const content = nonzeroPages(PAGES)
const host = runtimes()[0]!

type Options = ReturnType<typeof optionsOf>
const optionsOf = ({ options }: Reports) => options

/** Mappings of the content that are read-only, each for another reason. */
const kinds: Record<string, (path: string, options: Options) => MemoryMap> = {
  'a shared mapping of a file': (path, options) => mapShared(path, options),
  'a writable shared mapping that was protected': (path, options) => {
    const map = mapShared(path, { protection: 'read-write', ...options })
    map.protect('read')
    return map
  },
  'a private mapping of a file': (path, options) => mapPrivate(path, { protection: 'read', ...options }),
  'a private mapping that was protected': (path, options) => {
    const map = mapPrivate(path, options)
    map.protect('read')
    return map
  },
  'a private mapping that was stored to and then protected': (_path, options) => {
    const map = mapPrivate(process.execPath, { length: content.length, ...options })
    content.copy(map.buffer)
    map.protect('read')
    return map
  },
  'anonymous memory': (_path, options) => {
    const map = mapAnonymous(content.length, options)
    content.copy(map.buffer)
    map.protect('read')
    return map
  },
  'a shared anonymous mapping': (_path, options) => {
    const map = mapAnonymous(content.length, { shared: true, ...options })
    content.copy(map.buffer)
    map.protect('read')
    return map
  },
  'an executable mapping': (path, options) => mapPrivate(path, { protection: 'read-execute', ...options }),
}

async function withoutTrace(t: ExecutionContext, make: (typeof kinds)[string], store: (bytes: Buffer) => void) {
  const path = scratchFile(t, content)
  const { mtimeMs } = statSync(path)
  const reports = new Reports()
  using map = make(path, reports.options)
  t.deepEqual(map.buffer, content)
  store(map.buffer)
  t.true(map.faults > 0, 'it did fault')
  await reports.told(1)

  t.deepEqual(map.buffer, content, 'memory is as it was')
  t.deepEqual(readFileSync(path), content, 'and so is the file')
  t.is(statSync(path).mtimeMs, mtimeMs)
  for (const fault of reports.faults) t.like(fault, { kind: 'protection', contained: true, length: pageSize })
  if (map.fd !== undefined && map.kind !== 'private') {
    using other = mapShared(map.fd)
    t.deepEqual(other.buffer, content)
  }
  return reports.faults
}

onPosix('a store to a read-only page ends the process without the guard: the other tests mean something', async (t) => {
  const { signal } = await runFaultScript(host, `mapShared(makeFile(1), { guard: false }).buffer[0] = 1`)
  t.is(signal, 'SIGSEGV')
})

for (const [kind, make] of kindsHere(Object.entries(kinds))) {
  test(`${kind}: a store leaves no trace`, async (t) => {
    const faults = await withoutTrace(t, make, (bytes) => {
      bytes[3 * pageSize + 5] = 0xff
    })
    t.deepEqual(
      faults.map(({ offset }) => offset),
      [3 * pageSize],
    )
  })

  test(`${kind}: filling the whole mapping leaves no trace`, async (t) => {
    await withoutTrace(t, make, (bytes) => bytes.fill(0xee))
  })

  test(`${kind}: the other bytes read as before, also before the report`, (t) => {
    const path = scratchFile(t, content)
    using map = make(path, new Reports().options)
    map.buffer[2 * pageSize] = 1
    map.buffer[5 * pageSize] = 1
    t.true(map.faults > 0)
    const seen = Buffer.from(map.buffer)
    seen[2 * pageSize] = content[2 * pageSize]!
    seen[5 * pageSize] = content[5 * pageSize]!
    t.deepEqual(seen, content)
  })

  test(`${kind}: the pages are read-only again after the report`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using map = make(path, reports.options)
    for (let round = 1; round <= 5; round++) {
      map.buffer[round * pageSize] = 0xff
      await reports.told(round)
      t.is(map.faults, round)
      t.is(reports.faults.length, round)
      t.deepEqual(map.buffer, content)
    }
  })

  test(`${kind}: stores are kept once they are allowed again, and those before are not`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using map = make(path, reports.options)
    map.buffer[0] = 0xff
    try {
      map.protect('read-write')
    } catch (error) {
      // Of a file that is open for reading only.
      t.like(error, { code: 'EACCES' })
      t.is(map.kind, 'shared')
      return
    }
    t.deepEqual(map.buffer, content, 'the lost store was taken back before')
    map.buffer[1] = 0xfe
    await reports.told(1)
    t.is(reports.faults.length, 1)
    t.deepEqual([...map.buffer.subarray(0, 3)], [content[0], 0xfe, content[2]])
  })

  const declare: Declare = /shared mapping/.test(kind) ? coveringParts : test
  declare(`${kind}: pages of protection 'none' read as zeros, and have their bytes afterwards`, async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using map = make(path, reports.options)
    map.protect('none', { offset: 2 * pageSize, length: 3 * pageSize })
    const hidden = Buffer.from(content).fill(0, 2 * pageSize, 5 * pageSize)
    t.deepEqual(map.buffer, hidden)
    t.true(map.faults > 0)
    await reports.told(1)
    for (const fault of reports.faults) t.is(fault.kind, 'protection')

    const before = map.faults
    map.buffer.fill(0xee, 2 * pageSize, 5 * pageSize)
    t.true(map.faults > before)
    t.false(map.buffer.subarray(2 * pageSize, 5 * pageSize).equals(content.subarray(2 * pageSize, 5 * pageSize)))
    await reports.told(map.faults)
    map.protect('read', { offset: 2 * pageSize, length: 3 * pageSize })
    t.deepEqual(map.buffer, content)
    t.deepEqual(readFileSync(path), content)
  })
}

const stores: Record<string, (bytes: Buffer) => unknown> = {
  'a byte': (bytes) => (bytes[0] = 0),
  'Buffer.fill': (bytes) => bytes.fill(0),
  'Buffer.fill of a text': (bytes) => bytes.fill('text'),
  'Buffer.copy': (bytes) => Buffer.alloc(bytes.length).copy(bytes),
  'Buffer.write': (bytes) => bytes.write('text', 5 * pageSize - 2),
  'Buffer.writeDoubleLE': (bytes) => bytes.writeDoubleLE(1, 64),
  'Buffer.swap16': (bytes) => bytes.swap16(),
  'Uint8Array.set': (bytes) => bytes.set(new Uint8Array(bytes.length)),
  'Uint8Array.set of an array': (bytes) => bytes.set([1, 2, 3], pageSize - 1),
  'Uint8Array.copyWithin': (bytes) => bytes.copyWithin(0, 1),
  'Uint8Array.reverse': (bytes) => bytes.reverse(),
  'Uint8Array.sort': (bytes) => bytes.sort(),
  'DataView.setFloat64': (bytes) => new DataView(bytes.buffer, bytes.byteOffset).setFloat64(pageSize - 4, Math.PI),
  'Atomics.add': (bytes) => Atomics.add(new Int32Array(bytes.buffer, bytes.byteOffset, 1), 0, 1),
  'Atomics.compareExchange': (bytes) => Atomics.compareExchange(bytes, 1, content[1]!, 0),
  'TextEncoder.encodeInto': (bytes) => new TextEncoder().encodeInto('x'.repeat(3 * pageSize), bytes),
  'crypto.randomFillSync': (bytes) => randomFillSync(bytes),
  'crypto.getRandomValues': (bytes) => crypto.getRandomValues(bytes.subarray(0, 65_536)),
}

for (const [name, store] of Object.entries(stores)) {
  test(`${name} into a read-only file leaves no trace`, (t) =>
    withoutTrace(t, kinds['a shared mapping of a file']!, store).then(() => undefined))

  test(`${name} into read-only memory leaves no trace`, (t) =>
    withoutTrace(t, kinds['anonymous memory']!, store).then(() => undefined))
}

coveringParts('a store that reaches from a writable page into a read-only one is kept up to there', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  map.protect('read', { offset: 4 * pageSize, length: pageSize })
  map.buffer.fill(0xee, 4 * pageSize - 10, 5 * pageSize + 10)
  await reports.told(1)
  t.like(reports.faults, [{ kind: 'protection', offset: 4 * pageSize, length: pageSize, contained: true }])
  const expected = Buffer.from(content)
  expected.fill(0xee, 4 * pageSize - 10, 4 * pageSize)
  expected.fill(0xee, 5 * pageSize, 5 * pageSize + 10)
  t.deepEqual(map.buffer, expected)
  t.deepEqual(readFileSync(path), expected)
})

test('a mapping that begins in the middle of a page tells offsets from its own start', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { offset: pageSize + 100, ...reports.options })
  map.buffer[0] = 0
  await reports.told(1)
  map.buffer[pageSize] = 0
  await reports.told(2)
  t.like(reports.faults, [
    { offset: 0, length: pageSize - 100 },
    { offset: pageSize - 100, length: pageSize },
  ])
  t.deepEqual(map.buffer, content.subarray(pageSize + 100))
})

test('stores of another mapping of the file are kept, and no others', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using writable = mapShared(path, { protection: 'read-write' })
  using map = mapShared(path, reports.options)
  map.buffer[0] = 0xaa
  writable.buffer[0] = 0xbb
  writable.buffer[7 * pageSize] = 0xcc
  await reports.told(1)
  const expected = Buffer.from(content)
  expected[0] = 0xbb
  expected[7 * pageSize] = 0xcc
  t.deepEqual(map.buffer, expected)
  t.deepEqual(readFileSync(path), expected)
})

// System calls do not fault: they fail with EFAULT.

const fails = { code: 'EFAULT' }

test('fs.read into a read-only page is an ordinary error, EFAULT', async (t) => {
  const source = scratchFile(t, nonzeroPages(2))
  const reports = new Reports()
  using map = mapShared(scratchFile(t, content), reports.options)
  const fd = openSync(source, 'r')
  t.teardown(() => closeSync(fd))
  t.throws(() => readSync(fd, map.buffer, 0, 100, 0), { ...fails, instanceOf: Error })
  t.throws(() => readvSync(fd, [map.buffer], 0), fails)
  const file = await promises.open(source)
  await t.throwsAsync(file.read(map.buffer, 0, 100, 0), fails)
  await file.close()
  t.deepEqual(map.buffer, content)
  t.is(map.faults, 0, 'the system refused before anything was lost')
})

truncating('fs.read into a page beyond the end of its file is EFAULT', (t) => {
  const path = scratchFile(t, content)
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  truncateSync(path, 0)
  const fd = openSync(scratchFile(t, nonzeroPages(2)), 'r')
  t.teardown(() => closeSync(fd))
  t.throws(() => readSync(fd, map.buffer, 0, 100, 0), fails)
})

onPosix('fs.write from a page that cannot be read is EFAULT, and nothing is written', async (t) => {
  const path = scratchFile(t, content)
  using hidden = mapShared(path, { protection: 'none', ...new Reports().options })
  using short = mapShared(path, new Reports().options)
  truncateSync(path, 2 * pageSize)
  const target = `${scratchFolder(t)}/target`
  const fd = openSync(target, 'w+')
  t.teardown(() => closeSync(fd))

  t.throws(() => writeSync(fd, hidden.buffer), { ...fails, instanceOf: Error })
  t.throws(() => writeSync(fd, short.buffer, 2 * pageSize), fails)
  t.throws(() => writevSync(fd, [hidden.buffer, short.buffer]), fails)
  const file = await promises.open(target, 'r+')
  await t.throwsAsync(file.write(hidden.buffer), fails)
  await file.close()
  t.is(statSync(target).size, 0)

  t.is(writeSync(fd, short.buffer, 2 * pageSize - 50, 100), 50, 'up to the page it is an ordinary short write')
  t.deepEqual(readFileSync(target), content.subarray(2 * pageSize - 50, 2 * pageSize))
  t.is(hidden.faults + short.faults, 0)
})

test('a mapping works after such an error', (t) => {
  using map = mapShared(scratchFile(t, content), new Reports().options)
  const fd = openSync('/dev/zero', 'r')
  t.teardown(() => closeSync(fd))
  t.throws(() => readSync(fd, map.buffer, 0, 1, 0), fails)
  t.deepEqual(map.buffer, content)
  t.is(createHash('sha1').update(map.buffer).digest('hex'), createHash('sha1').update(content).digest('hex'))
  t.throws(() => inflateSync(map.buffer), { code: 'Z_DATA_ERROR' })
  t.notThrows(() => createCipheriv('aes-128-ecb', map.buffer.subarray(0, 16), null).update(map.buffer))
})

const RANDOM_STORES = `
const random = chance(7)
/** Stores to so many random pages and waits for the reports; says how many areas the mapping had meanwhile. */
async function storm(map, pages, count, told) {
  for (let i = 0; i < count; i++) {
    const view = map.view(random(pages) * pageSize, 1)
    view[0] = view[0] + 1
  }
  const most = areasIn(map)
  assert.ok(map.faults > 0)
  await until(() => told() === map.faults)
  return most
}
`

for (const [i, runtime] of runtimes().entries()) {
  // The system reads much around each page of a file that is touched: all of a large one in the end, and only once here.
  const [count, size] = i === 0 ? [200_000, 2 ** 30] : [20_000, 2 ** 26]

  onLinux(`${runtime.name} ${runtime.version}: stores to ${count} random pages of a read-only file`, async (t) => {
    await survives(
      t,
      runtime,
      `${RANDOM_STORES}
      const path = makeFile(${size})
      fs.writeFileSync(path, 'hello', { flag: 'r+' })
      const { blocks } = fs.statSync(path)
      let told = 0
      const map = mapShared(path, { onFault: ({ contained }) => { assert.ok(contained); told++ } })
      assert.strictEqual(map.view(0, 1)[0], 0x68)
      assert.ok((await storm(map, ${size} / pageSize, ${count}, () => told)) < 20)
      assert.ok(map.faults < 20, map.faults + ' faults')
      assert.strictEqual(areasIn(map), 1)
      for (let i = 0; i < 1000; i++) assert.strictEqual(map.view((1 + i * 10) * pageSize, 1)[0], 0)
      assert.strictEqual(map.view(0, 5).toString(), 'hello')
      assert.strictEqual(fs.statSync(path).blocks, blocks)
      console.log('end')`,
    )
  })

  onLinux(`${runtime.name} ${runtime.version}: stores to ${count} random pages of read-only memory`, async (t) => {
    await survives(
      t,
      runtime,
      `${RANDOM_STORES}
      const pages = ${count / 4}
      let told = 0
      const map = mapAnonymous(pages * pageSize, { onFault: ({ contained }) => { assert.ok(contained); told++ } })
      for (let page = 0; page < pages; page++) map.buffer[page * pageSize] = page
      map.protect('read')
      const before = areaCount()
      const most = await storm(map, pages, ${count}, () => told)
      assert.ok(most < 5000, most + ' areas')
      assert.ok(areaCount() < before + 100, (areaCount() - before) + ' areas stay')
      for (let page = 0; page < pages; page++) assert.strictEqual(map.buffer[page * pageSize], page & 255)
      console.log('end')`,
    )
  })

  withDescriptors(
    `${runtime.name} ${runtime.version}: survives stores to read-only pages and loads from forbidden ones`,
    async (t) => {
      await survives(t, runtime, scenario('read-only-lives'))
    },
  )
}

withHoles("a store to a read-only mapping larger than the machine's memory is contained", async (t) => {
  await survives(t, host, scenario('read-only-larger-than-memory'))
})

test('stores to thousands of read-only ranges between two turns of the event loop are contained', async (t) => {
  await survives(t, host, scenario('read-only-many-ranges'))
})

onLinux('faults are contained when hardly any memory areas are left', async (t) => {
  await survives(t, host, scenario('read-only-hardly-any-areas'))
})

/** Kinds of memory in which faults must leave few memory areas behind. */
const layouts: Record<string, string> = {
  'memory that became read-only': `mapAnonymous(size, { onFault }).protect('read')`,
  'memory that became inaccessible': `mapAnonymous(size, { onFault }).protect('none')`,
  'a private file that became read-only': `mapPrivate(path, { onFault }).protect('read')`,
  'a private file that became inaccessible': `mapPrivate(path, { onFault }).protect('none')`,
  'a read-only private file with one writable page': `
    mapPrivate(path, { protection: 'read', onFault }).protect('read-write', { length: pageSize })`,
  'read-only memory with one writable page': `
    mapAnonymous(size, { protection: 'read', onFault }).protect('read-write', { length: pageSize })`,
  'a shared file': `mapShared(path, { onFault }).protect('none')`,
}

for (const [name, make] of Object.entries(layouts)) {
  onLinux(`faults in ${name} do not leave more and more memory areas`, async (t) => {
    const stdout = await survives(
      t,
      host,
      `${RANDOM_STORES}
      const pages = 10_000
      const size = pages * pageSize
      const path = makeFile(size)
      let told = 0
      const onFault = () => told++
      let map
      const keep = (made) => (map = made)
      ${make.replace(/(map\w+\([^)]*\))/, 'keep($1)')}
      const stay = []
      for (let round = 0; round < 10; round++) {
        for (let i = 0; i < 2000; i++) map.view((1 + random(pages - 1)) * pageSize, 1)[0]++
        await until(() => told === map.faults)
        stay.push(areasIn(map))
      }
      console.log('areas that stay, by round:', stay.join(' '), 'faults:', map.faults)
      assert.ok(stay.at(-1) <= 2 * stay[2] + 100, 'they grow with every round: ' + stay)
      assert.ok(stay.at(-1) < 2000, stay.join())
      console.log('end')`,
    )
    t.log(stdout.split('\n')[0])
  })
}

onLinux('a report leaves no memory area behind', async (t) => {
  for (const [kind, make] of Object.entries(kinds)) {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using map = make(path, reports.options)
    const before = areasIn(map)
    for (let round = 1; round <= 20; round++) {
      map.buffer[(round % PAGES) * pageSize] = 0xff
      await until(() => reports.faults.length === round)
    }
    t.is(areasIn(map), before, kind)
  }
})
