// Searches on other threads find the same as others, can be aborted, and survive all that happens to the mapping meanwhile.

import { getEventListeners } from 'node:events'
import { truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { mapAnonymous, mapShared, type MemoryFault, MemoryFaultError, type MemoryMap, pageSize } from 'memory-map'

import { isCodedError } from './helpers/errors.ts'
import { Reports, survives } from './helpers/faults.ts'
import { isWindows, onLinux, truncating } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFile, sparseFile } from './helpers/scratch.ts'

/** What one of several threads searches at a time. */
const BLOCK = 16 << 20

/** A mapping that takes minutes to search; on Windows, which promises no more memory than there is, seconds. */
function endlessMap(t: ExecutionContext): MemoryMap {
  const map = isWindows ? mapShared(sparseFile(t, 2 ** 33)) : mapAnonymous(2 ** 42, { reserve: false })
  t.teardown(() => map.close())
  return map
}

/** What the next `check` throws. */
function checked(map: MemoryMap): MemoryFaultError | undefined {
  try {
    map.check()
    return undefined
  } catch (error) {
    return error as MemoryFaultError
  }
}

test('find and countAsync give the results of indexOf and count', async (t) => {
  const bytes = fc.array(fc.constantFrom(0, 0x61, 0x62), { maxLength: 200 }).map((array) => Buffer.from(array))
  const encodings = [undefined, 'utf16le', 'latin1'] as const
  await fc.assert(
    fc.asyncProperty(
      bytes,
      fc.nat(200),
      fc.nat(9),
      fc.constantFrom(...encodings),
      async (haystack, at, length, encoding) => {
        const bytesOf = haystack.subarray(at, at + length + 1)
        fc.pre(bytesOf.length > 0 && (encoding !== 'utf16le' || bytesOf.length % 2 === 0))
        using map = mapAnonymous(haystack.length)
        map.write(haystack)
        for (const value of [bytesOf, bytesOf.toString('latin1'), bytesOf[0]!]) {
          t.is(await map.find(value, { encoding }), map.indexOf(value, 0, encoding))
          t.is(await map.countAsync(value, { encoding }), map.count(value, {}, encoding))
          const range = { offset: BigInt(at >> 1), length: haystack.length - (at >> 1) }
          if (encoding !== 'utf16le')
            t.is(await map.find(value, { ...range, encoding }), map.indexOf(value, at >> 1, encoding))
          t.is(await map.countAsync(value, { ...range, encoding }), map.count(value, range, encoding))
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('a search on several threads finds what one thread finds', async (t) => {
  using map = mapAnonymous(5 * BLOCK + 1234)
  const needle = Buffer.from('a needle')
  const places = [BLOCK - 3, BLOCK + 100, 3 * BLOCK - 8, 3 * BLOCK + 5, map.length - 8]
  for (const place of places.toReversed()) {
    map.write(needle, place)
    t.is(await map.find('a needle'), place)
  }
  t.is(await map.countAsync(needle), places.length)
  t.is(await map.countAsync(0x61), places.length)
  for (const [i, place] of places.entries()) {
    t.is(await map.find(needle, { offset: place }), place)
    t.is(await map.find(needle, { offset: place + 1 }), places[i + 1] ?? -1)
    t.is(await map.find(needle, { length: place + 7 }), i === 0 ? -1 : places[0]!)
    t.is(await map.countAsync(needle, { length: place + 8 }), i + 1)
  }
  t.is(await map.find('absent'), -1)
  t.is(await map.countAsync('absent'), 0)
})

test('needles that overlap themselves are counted as by one thread', async (t) => {
  using map = mapAnonymous(2 * BLOCK + 7)
  map.buffer.fill('a')
  for (const length of [1, 2, 3, 1000]) {
    t.is(await map.countAsync(Buffer.alloc(length, 'a')), Math.floor(map.length / length))
  }
})

test('many searches at once are independent', async (t) => {
  using map = mapAnonymous(BLOCK + 1)
  for (let i = 0; i < 100; i++) map.write(Buffer.from(`<${i}>`), i * 160_000)
  const found = await Promise.all(Array.from({ length: 100 }, (_, i) => map.find(`<${i}>`)))
  t.deepEqual(
    found,
    Array.from({ length: 100 }, (_, i) => i * 160_000),
  )
})

test('a search uses the value as it was at the call', async (t) => {
  using map = mapAnonymous(BLOCK)
  map.write(Buffer.from('needle'), BLOCK - 6)
  const value = Buffer.from('needle')
  const found = map.find(value)
  value.fill('x')
  t.is(await found, BLOCK - 6)
})

onLinux('a search does not block the event loop', async (t) => {
  const map = endlessMap(t)
  const controller = new AbortController()
  const found = map.find('absent', { signal: controller.signal })
  for (let turns = 0; turns < 20; turns++) await sleep(1)
  controller.abort()
  await t.throwsAsync(found, { name: 'AbortError' })
})

// Aborting

test('an aborted search rejects, and frees its threads for others', async (t) => {
  const map = endlessMap(t)
  using small = mapAnonymous(10)
  for (const search of ['find', 'countAsync'] as const) {
    const moreThanThreads = 12
    const controllers = Array.from({ length: moreThanThreads }, () => new AbortController())
    const searches = controllers.map(({ signal }) => map[search]('absent', { signal }))
    await sleep(20)
    for (const controller of controllers) controller.abort(new Error('the reason'))
    for (const promise of searches) {
      const error = (await t.throwsAsync(promise, { name: 'AbortError', code: 'ABORT_ERR' }))!
      t.is((error.cause as Error).message, 'the reason')
    }
    t.is(await small.find('\0'), 0, 'the threads are free again')
    for (const { signal } of controllers) t.deepEqual(getEventListeners(signal, 'abort'), [])
  }
})

test('a search whose signal is aborted already does not begin', async (t) => {
  using map = mapAnonymous(10)
  const { faults } = map
  map.protect('none')
  await t.throwsAsync(map.find('a', { signal: AbortSignal.abort() }), { name: 'AbortError', code: 'ABORT_ERR' })
  t.is(map.faults, faults)
})

test('a signal that aborts after the search changes nothing', async (t) => {
  using map = mapAnonymous(10)
  const controller = new AbortController()
  t.is(await map.find('\0', { signal: controller.signal }), 0)
  controller.abort()
  t.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  t.is(await map.find('\0'), 0)
})

test('AbortSignal.timeout ends a search', async (t) => {
  const map = endlessMap(t)
  await t.throwsAsync(map.countAsync('absent', { signal: AbortSignal.timeout(20) }), { name: 'AbortError' })
})

test('wrong options are refused', async (t) => {
  using map = mapAnonymous(10)
  for (const signal of [null, {}, 'abort'] as never[]) {
    isCodedError(t, await t.throwsAsync(map.find('a', { signal })), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
      says: ['"options.signal"'],
    })
  }
  isCodedError(t, await t.throwsAsync(map.countAsync('a', { singal: 1 } as never)), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    says: ["'signal'"],
  })
})

// What happens to the mapping meanwhile

for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
  test(`closing the mapping ends a search: ${backing}`, async (t) => {
    const path = sparseFile(t, 2 ** 31)
    let ended = 0
    for (let round = 0; round < 10; round++) {
      const reports = new Reports()
      const map = mapShared(path, { backing, ...reports.options })
      const view = map.view(0, 10)
      const searches = [map.find('absent'), map.countAsync('absent'), map.countAsync('\0\0'), map.find('absent')]
      if (round > 0) await sleep(round)
      map.close()
      for (const search of await Promise.allSettled(searches)) {
        if (search.status === 'fulfilled') continue // it was done before
        isCodedError(t, search.reason, { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
        ended++
      }
      t.deepEqual(reports.faults, [], 'what a search still looked at was no use of a closed mapping')
      if (backing === 'array-buffer') {
        t.is(view.length, 0)
      } else {
        t.is(view[0], 0)
        t.is((await reports.told(1))[0]!.kind, 'closed', 'as this is')
      }
    }
    t.true(ended > 0)
  })
}

test('a search goes on after a resize that keeps its range', async (t) => {
  using map = mapAnonymous(4 * BLOCK)
  map.write(Buffer.from('needle'), 4 * BLOCK - 6)
  const found = map.find('needle')
  map.resize(20 * BLOCK)
  t.is(await found, 4 * BLOCK - 6)
  for (let round = 0; round < 20; round++) {
    const count = map.countAsync('needle', { length: 4 * BLOCK })
    map.resize((5 + ((round * 7) % 40)) * BLOCK)
    t.is(await count, 1)
  }
})

test('a search rejects after a resize that cuts its range off', async (t) => {
  const map = endlessMap(t)
  const count = map.countAsync('absent')
  await sleep(20)
  map.resize(1000)
  await t.throwsAsync(count, { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
})

truncating('a search of a truncated file rejects, and every fault is reported once in each way', async (t) => {
  const content = Buffer.alloc(3 * BLOCK, '.')
  const path = scratchFile(t, content)
  const cut = BLOCK + pageSize
  for (const view of [false, true]) {
    truncateSync(path, content.length)
    const reports = new Reports()
    using map = mapShared(path, { protection: 'read-write', ...reports.options })
    map.write(Buffer.from('needle'), cut - 6)
    if (view) map.view(0, 1)
    truncateSync(path, cut)
    const thrown: MemoryFault[] = []
    for (const search of [() => map.find('absent'), () => map.countAsync('.'), () => map.find('\0')]) {
      const { fault } = (await t.throwsAsync(search(), { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' }))!
      t.like(fault, { kind: 'beyond-end', contained: true, map })
      t.true(fault.offset >= cut)
      thrown.push(fault)
    }
    // Several threads may have met it, and again after it was told.
    await reports.told(map.faults)
    t.is(reports.faults.length, map.faults)
    for (let error = checked(map); error; error = checked(map)) thrown.push(error.fault)
    const offsets = (faults: MemoryFault[]) => faults.map(({ offset }) => offset).sort((a, b) => a - b)
    t.deepEqual(offsets(thrown), offsets(reports.faults))
    t.is(await map.find('needle'), cut - 6, 'what comes before it is found')
    t.is(await map.countAsync('.', { length: cut }), cut - 6)
  }
})

test('a search does not reject for a fault elsewhere', async (t) => {
  using map = mapAnonymous(4 * BLOCK, { onFault: () => {} })
  const end = 4 * BLOCK - pageSize
  map.write(Buffer.from('needle'), end - 6)
  map.protect('none', { offset: end, length: pageSize })
  const view = map.view(end)
  const search = map.find('needle', { length: end })
  for (let i = 0; i < 50; i++) {
    t.is(view[i * 7], 0)
    await sleep(0)
  }
  t.is(await search, end - 6)
  t.throws(() => map.check(), { instanceOf: MemoryFaultError })
})

test('a mapping that only a search refers to stays until the search ends', async (t) => {
  const search = (() => {
    const map = mapAnonymous(10 * BLOCK)
    map.write(Buffer.from('needle'), 10 * BLOCK - 6)
    return map.find('needle')
  })()
  for (let i = 0; i < 5; i++) {
    globalThis.gc!()
    await sleep(0)
  }
  t.is(await search, 10 * BLOCK - 6)
})

// Every runtime

/** What makes such a mapping in a script. */
const ENDLESS = isWindows ? 'mapShared(makeFile(2 ** 32))' : 'mapAnonymous(2 ** 42, { reserve: false })'

for (const runtime of runtimes()) {
  test(`searches on other threads work on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const map = mapAnonymous(64 << 20)
      map.write(Buffer.from('needle'), (64 << 20) - 6)
      assert.strictEqual(await map.find('needle'), (64 << 20) - 6)
      assert.strictEqual(await map.find('absent', { length: 2n ** 25n }), -1)
      assert.strictEqual(await map.countAsync('e'), 3)

      const large = ${ENDLESS}
      const controller = new AbortController()
      const aborted = large.find('absent', { signal: controller.signal })
      const closed = large.countAsync('absent')
      setTimeout(() => controller.abort(), 10)
      await assert.rejects(aborted, { name: 'AbortError' })
      large.close()
      await assert.rejects(closed, { code: 'ERR_MMAP_CLOSED' })
      console.log('end')`,
    )
  })

  test(`a process can end in the middle of a search on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const map = ${ENDLESS}
      for (let i = 0; i < 3; i++) map.find('absent').catch(() => {})
      setTimeout(() => {
        console.log('end')
        process.exit(0)
      }, 50)`,
    )
  })

  test(`a worker can end in the middle of a search on ${runtime.name}`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import { Worker } from 'node:worker_threads'
      const source = \`
        const { parentPort } = require('node:worker_threads')
        import(process.env.MEMORY_MAP_ROOT + 'index.js').then(({ mapAnonymous }) => {
          const map = mapAnonymous(2 ** 31, { reserve: false })
          map.view(0, 10)
          for (let i = 0; i < 3; i++) map.find('absent').catch(() => {})
          parentPort.postMessage('searching')
        })\`
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(source, { eval: true })
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await worker.terminate()
      }
      const map = mapAnonymous(10)
      assert.strictEqual(await map.find('\\0'), 0)
      console.log('end')`,
    )
  })
}
