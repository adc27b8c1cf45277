// (Long: each kind of fault is reported in three ways.) A fault is counted at once, reported on the next turn of the event
// loop, and kept as an error until a call throws it: exactly once each way.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync, statSync, truncateSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'
import {
  mapAnonymous,
  mapPrivate,
  mapShared,
  type MemoryFault,
  MemoryFaultError,
  type MemoryMap,
  pageSize,
} from 'memory-map'

import { fixturePath } from './helpers/addon.ts'
import { nonzeroPages, Reports, runFaultScript, survives } from './helpers/faults.ts'
import { coveringParts, is32Bit, isLinux, truncating, where, withAddon, withDescriptors } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'
import { turns, until } from './helpers/until.ts'

const PAGES = 8
const content = nonzeroPages(PAGES)
const host = runtimes()[0]!

/** The faults of one mapping that are published on the diagnostics channel. */
function published(t: ExecutionContext, map: MemoryMap): MemoryFault[] {
  const faults: MemoryFault[] = []
  const note = (message: unknown) => {
    if ((message as MemoryFault).map === map) faults.push(message as MemoryFault)
  }
  subscribe('memory-map.fault', note)
  t.teardown(() => unsubscribe('memory-map.fault', note))
  return faults
}

/** The process's warnings about one mapping. */
function warnings(t: ExecutionContext, path: string): Error[] {
  const seen: Error[] = []
  const note = (warning: Error) => {
    if (warning.message.includes(path)) seen.push(warning)
  }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  return seen
}

/** Memory in which every second page is read-only, so that each of these has faults of its own. */
function striped(options: { onFault(fault: MemoryFault): void }): MemoryMap {
  const map = mapAnonymous(2 * PAGES * pageSize, options)
  map.buffer[0] = 1
  for (let page = 0; page < PAGES; page++) map.protect('read', { offset: 2 * page * pageSize, length: pageSize })
  return map
}

/** The fault that a call throws. */
function fault(t: ExecutionContext, run: () => unknown): MemoryFault {
  const error = t.throws(run, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT', name: 'MemoryFaultError' })!
  t.true(error instanceof Error)
  return (error as MemoryFaultError).fault
}

/** The fault with which a promise rejects. */
async function rejection(t: ExecutionContext, promise: Promise<unknown>): Promise<MemoryFault> {
  const error = await t.throwsAsync(promise, { instanceOf: MemoryFaultError, code: 'ERR_MMAP_FAULT' })
  return (error as MemoryFaultError).fault
}

// Reports

test('faults are counted at once and reported on the next turn, not before', async (t) => {
  const reports = new Reports()
  using map = mapShared(scratchFile(t, content), reports.options)
  const channel = published(t, map)
  map.buffer[0] = 0
  t.is(map.faults, 1)
  for (const end = Date.now() + 50; Date.now() < end;);
  await Promise.resolve()
  process.nextTick(() => t.is(reports.faults.length, 0))
  await Promise.resolve()
  t.is(reports.faults.length, 0)
  t.is(channel.length, 0)
  await reports.told(1)
  t.is(map.faults, 1)
  t.deepEqual(channel, reports.faults)
})

truncating(
  'a report has the kind, offset and length of a fault, whether it was contained, and the mapping',
  async (t) => {
    const path = scratchFile(t, content)
    const reports = new Reports()
    using map = mapShared(path, { offset: 10, ...reports.options })
    map.buffer[2 * pageSize] = 0
    await reports.told(1)
    truncateSync(path, 5 * pageSize)
    t.is(map.buffer[6 * pageSize], 0)
    const [forbidden, beyond] = await reports.told(2)
    t.deepEqual(Object.keys(forbidden!), ['kind', 'offset', 'length', 'contained', 'map'])
    t.like(forbidden, { kind: 'protection', offset: 2 * pageSize - 10, length: pageSize, contained: true })
    t.like(beyond, { kind: 'beyond-end', offset: 6 * pageSize - 10, length: 2 * pageSize, contained: true })
    for (const fault of reports.faults) {
      t.is(fault.map, map)
      t.true(Object.isFrozen(fault))
    }
  },
)

test('each fault is reported once, however often the event loop turns', async (t) => {
  const reports = new Reports()
  using map = striped(reports.options)
  const channel = published(t, map)
  for (let page = 0; page < PAGES; page++) map.buffer[2 * page * pageSize] = 0xff
  t.is(map.faults, PAGES)
  await reports.told(PAGES)
  await turns()
  t.is(reports.faults.length, PAGES)
  t.deepEqual(
    reports.faults.map(({ offset }) => offset / pageSize),
    [0, 2, 4, 6, 8, 10, 12, 14],
    'in the order in which they happened',
  )
  t.deepEqual(channel, reports.faults)
})

test('a fault that check() has thrown is reported all the same', async (t) => {
  const reports = new Reports()
  using map = mapShared(scratchFile(t, content), reports.options)
  const channel = published(t, map)
  map.buffer[0] = 0
  const thrown = fault(t, () => map.check())
  t.is(reports.faults.length, 0, 'the report waits for the next turn')
  await reports.told(1)
  t.deepEqual(reports.faults, [thrown])
  t.deepEqual(channel, [thrown])
})

test('check() throws a fault that was reported before, which is not reported again', async (t) => {
  const reports = new Reports()
  using map = mapShared(scratchFile(t, content), reports.options)
  const channel = published(t, map)
  map.buffer[0] = 0
  const [reported] = await reports.told(1)
  t.is(
    fault(t, () => map.check()),
    reported!,
  )
  map.check()
  await turns()
  t.is(reports.faults.length, 1)
  t.is(channel.length, 1)
})

test('without onFault there is one process warning for each mapping', async (t) => {
  const paths = [scratchFile(t, content), scratchFile(t, content)]
  const seen = paths.map((path) => warnings(t, path))
  const maps = paths.map((path) => mapShared(path))
  const channel = published(t, maps[0]!)
  for (let round = 1; round <= 3; round++) {
    for (const map of maps) map.buffer[0] = 0
    await until(() => channel.length === round)
    await turns()
  }
  for (const [i, [warning, ...more]] of seen.entries()) {
    t.deepEqual(more, [])
    t.like(warning, { name: 'MemoryFaultWarning' })
    t.regex(warning!.message, /protection forbids/)
    t.true(warning!.message.includes(paths[i]!))
  }
  t.is(channel.length, 3, 'all of them are published')
  for (const map of maps) map.close()
})

test('with onFault there is no warning', async (t) => {
  const path = scratchFile(t, content)
  const seen = warnings(t, path)
  const reports = new Reports()
  using map = mapShared(path, reports.options)
  map.buffer[0] = 0
  await reports.told(1)
  t.deepEqual(seen, [])
})

test('a fault inside onFault is reported on a later turn', async (t) => {
  const faults: MemoryFault[] = []
  using map: MemoryMap = mapShared(scratchFile(t, content), {
    onFault(fault) {
      faults.push(fault)
      if (faults.length >= 3) return
      const before = faults.length
      map.buffer[faults.length * pageSize] = 0
      t.is(faults.length, before)
    },
  })
  map.buffer[0] = 0
  await until(() => faults.length === 3)
  await turns()
  t.deepEqual(
    faults.map(({ offset }) => offset / pageSize),
    [0, 1, 2],
  )
})

test('close() inside onFault does no harm, and earlier faults are still reported', async (t) => {
  const faults: MemoryFault[] = []
  const map: MemoryMap = striped({
    onFault(fault) {
      faults.push(fault)
      map.close()
    },
  })
  const { buffer } = map
  buffer.fill(1)
  t.is(map.faults, PAGES)
  await until(() => faults.length > 0)
  await turns()
  t.true(map.closed)
  t.is(buffer.length, 0)
  t.is(faults.length, PAGES, 'all that had happened before')
  t.is(map.faults, PAGES)
})

test('faults from before close() are reported after it', async (t) => {
  const reports = new Reports()
  const map = mapShared(scratchFile(t, content), reports.options)
  map.buffer[0] = 0
  map.close()
  t.is(map.faults, 1)
  t.is(reports.faults.length, 0)
  await reports.told(1)
  t.like(reports.faults, [{ kind: 'protection', offset: 0 }])
  t.is(reports.faults[0]!.map, map)
  t.is(reports.faults.length, 1)
})

// The error that is kept until a call throws it

test('check() throws the oldest fault and clears it, one at a time', (t) => {
  using map = striped(new Reports().options)
  map.check()
  for (const page of [10, 2, 6]) map.buffer[page * pageSize] = 0xff
  t.is(fault(t, () => map.check()).offset, 10 * pageSize)
  t.is(fault(t, () => map.check()).offset, 2 * pageSize)
  t.is(fault(t, () => map.check()).offset, 6 * pageSize)
  map.check()
})

test('up to 1,000 faults are kept until a call throws them', async (t) => {
  const reports = new Reports()
  using map = mapAnonymous(pageSize, { protection: 'read', ...reports.options })
  for (let count = 0; count < 1010; count++) {
    map.buffer[0] = 1
    map.resize(pageSize) // collects the faults so far, and changes nothing
  }
  await reports.told(1010)
  for (const told of reports.faults.slice(0, 1000)) if (fault(t, () => map.check()) !== told) t.fail()
  t.notThrows(() => map.check())
})

truncating('sync() rejects after a lost store, and resolves the next time', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  await map.sync()
  truncateSync(path, 2 * pageSize)
  map.buffer[0] = 0xaa
  map.buffer[4 * pageSize] = 0xbb
  const lost = await rejection(t, map.sync())
  t.like(lost, { kind: 'beyond-end', offset: 4 * pageSize })
  await map.sync({ length: 2 * pageSize })
  await reports.told(1)
  t.deepEqual(reports.faults, [lost])
  await map.sync({ length: 2 * pageSize })
  t.is(readFileSync(path)[0], 0xaa)
})

truncating('syncSync() throws after a lost store, and returns the next time', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  truncateSync(path, 2 * pageSize)
  map.buffer[4 * pageSize] = 0xbb
  t.like(
    fault(t, () => map.syncSync()),
    { kind: 'beyond-end' },
  )
  map.syncSync({ length: 2 * pageSize })
  map.check()
  await reports.told(1)
})

truncating('syncSync() throws a fault that was reported before', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  truncateSync(path, 2 * pageSize)
  map.buffer[5 * pageSize] = 0xbb
  const [reported] = await reports.told(1)
  t.is(
    fault(t, () => map.syncSync()),
    reported!,
  )
  map.syncSync({ length: 2 * pageSize })
})

test('sync() of one range rejects for a fault in another', async (t) => {
  using map = mapShared(scratchFile(t, content), new Reports().options)
  map.buffer[5 * pageSize] = 0
  t.like(await rejection(t, map.sync({ offset: 0, length: 10 })), { offset: 5 * pageSize })
  await map.sync()
})

truncating('a store that is lost while sync() is under way makes this sync or the next one reject', async (t) => {
  const path = scratchFile(t, content)
  using map = mapShared(path, { protection: 'read-write', ...new Reports().options })
  truncateSync(path, pageSize)
  const left = { length: pageSize } // what the file has left: a sync of more would reject each time
  for (let round = 0; round < 20; round++) {
    const syncs = [map.sync(left), map.sync(left)]
    map.buffer[4 * pageSize] = 1
    syncs.push(map.sync(left))
    const results = await Promise.allSettled(syncs)
    t.is(results.filter(({ status }) => status === 'rejected').length, 1)
    await map.sync(left)
  }
})

test('close() while sync() is under way does no harm', async (t) => {
  for (let round = 0; round < 20; round++) {
    const map = mapShared(scratchFile(t, content), { protection: 'read-write' })
    map.buffer[0] = round
    const promise = map.sync()
    map.close()
    await t.notThrowsAsync(promise)
    t.is(map.faults, 0)
  }
})

truncating('a fault between sync() and close() makes the sync reject', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  const map = mapShared(path, { protection: 'read-write', ...reports.options })
  truncateSync(path, pageSize)
  const promise = map.sync({ length: pageSize })
  map.buffer[4 * pageSize] = 1
  map.close()
  t.like(await rejection(t, promise), { kind: 'beyond-end', offset: 4 * pageSize })
  await reports.told(1)
})

test('a use of the memory after close() is reported, and does not make a pending sync reject', async (t) => {
  const reports = new Reports()
  const map = mapShared(scratchFile(t, content), { backing: 'shared-array-buffer', ...reports.options })
  const { buffer } = map
  const promise = map.sync()
  map.close()
  t.is(buffer[0], 0)
  await t.notThrowsAsync(promise)
  t.like(await reports.told(1), [{ kind: 'closed' }])
})

// Calls that throw their own faults

truncating('read() throws at once if its bytes cannot be read, and for no other fault', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { offset: 100, ...reports.options })
  truncateSync(path, 3 * pageSize)
  t.deepEqual(map.read(0, 3 * pageSize - 100), content.subarray(100, 3 * pageSize))
  t.is(map.faults, 0)
  const thrown = fault(t, () => map.read(3 * pageSize - 101, 2))
  t.like(thrown, { kind: 'beyond-end', offset: 3 * pageSize - 100, length: 5 * pageSize, contained: true })
  t.is(thrown.map, map)
  t.is(reports.faults.length, 0)
  t.deepEqual(map.read(0, 3 * pageSize - 100), content.subarray(100, 3 * pageSize))

  map.check()
  await map.sync({ length: 3 * pageSize - 100 })
  await reports.told(1)
  t.deepEqual(reports.faults, [thrown], 'it is reported too')
  map.check()
})

coveringParts('read() throws at once if the protection forbids it, and for no other page', (t) => {
  using map = mapShared(scratchFile(t, content), { offset: 100, ...new Reports().options })
  map.protect('none', { length: pageSize - 100 })
  t.like(
    fault(t, () => map.read()),
    { kind: 'protection', offset: 0 },
  )
  t.deepEqual(map.read(pageSize, pageSize), content.subarray(pageSize + 100, 2 * pageSize + 100))
})

truncating('write() throws at once if its bytes cannot be written, and for no other fault', async (t) => {
  const path = scratchFile(t, content)
  const reports = new Reports()
  using map = mapShared(path, { protection: 'read-write', ...reports.options })
  truncateSync(path, 3 * pageSize)
  t.is(map.write(Buffer.alloc(100, 0xaa), 3 * pageSize - 100), 100)
  t.is(map.faults, 0)
  t.like(
    fault(t, () => map.write(Buffer.alloc(100, 0xbb), 6 * pageSize)),
    { kind: 'beyond-end', offset: 6 * pageSize },
  )
  map.check()
  await reports.told(1)
  await map.sync({ length: 3 * pageSize })
  t.is(statSync(path).size, 3 * pageSize)
  t.deepEqual(readFileSync(path).subarray(-100), Buffer.alloc(100, 0xaa))
})

truncating('read() and write() throw their own faults without the guard as well', async (t) => {
  const stdout = await survives(t, host, scenario('fault-reports-without-guard'))
  t.is(stdout, 'end\n')
})

test('earlier faults of stores through a view do not make read() or write() throw', async (t) => {
  const reports = new Reports()
  using map = mapPrivate(scratchFile(t, content), reports.options)
  map.protect('read', { offset: 4 * pageSize })
  map.buffer[5 * pageSize] = 0xff
  t.deepEqual(map.read(), content, 'the lost store is not seen')
  t.is(map.write(Buffer.from([0xff]), 0), 1)
  t.like(
    fault(t, () => map.check()),
    { kind: 'protection', offset: 5 * pageSize },
  )
  await reports.told(1)
})

truncating("a fault in the source of write() is one of the source's mapping", async (t) => {
  const [path, reports] = [scratchFile(t, content), new Reports()]
  using source = mapShared(path, reports.options)
  using target = mapAnonymous(content.length)
  target.buffer.fill(0xee)
  truncateSync(path, pageSize)
  target.write(source.buffer)
  await reports.told(1)
  t.is(reports.faults[0]!.map, source)
  t.is(target.faults, 0)
  t.deepEqual(target.buffer.subarray(0, pageSize), content.subarray(0, pageSize))
  t.deepEqual(target.buffer.subarray(pageSize), Buffer.alloc(7 * pageSize))
})

// Whole processes

for (const runtime of runtimes()) {
  const title = `${runtime.name} ${runtime.version}`

  truncating(`${title}: a fault is reported once in each way`, async (t) => {
    await survives(t, runtime, scenario('fault-reports-news'))
  })

  test(`${title}: the process ends by itself after faults, which are reported before`, async (t) => {
    const { code, signal, stdout, stderr, timedOut } = await runFaultScript(
      runtime,
      scenario('fault-reports-ends-by-itself'),
    )
    t.deepEqual(
      { code, signal, timedOut, stdout },
      { code: 0, signal: null, timedOut: false, stdout: 'last line\nexit 2\n' },
      stderr,
    )
  })

  test(`${title}: a warning is printed before the process ends by itself`, async (t) => {
    const { code, stderr, timedOut } = await runFaultScript(runtime, `mapShared(makeFile(1)).buffer[0] = 1`)
    t.false(timedOut)
    t.is(code, 0)
    t.is(stderr.match(/MemoryFaultWarning/g)?.length, 1, stderr)
  })

  const throwing = `
    let told = 0
    const map = mapAnonymous(3 * pageSize, { onFault(fault) { told++; throw new Error('from onFault ' + fault.offset) } })
    map.buffer[0] = 1
    for (const page of [0, 2]) map.protect('read', { offset: page * pageSize, length: pageSize })
    for (const page of [0, 2]) map.buffer[page * pageSize] = 1
    await until(() => told === 2)
    setTimeout(() => console.log('still here'), 300)`

  test(`${title}: an onFault that throws is an uncaught exception, which ends the process`, async (t) => {
    const { code, signal, stdout, stderr } = await runFaultScript(runtime, throwing)
    t.not(code, 0)
    t.is(signal, null, stderr)
    t.regex(stderr, /from onFault 0/)
    t.is(stdout, '')
  })

  test(`${title}: an onFault that throws is still called for the next fault, if the process goes on`, async (t) => {
    const goesOn = `process.on('uncaughtException', (error) => console.log(error.message))`
    const { code, stdout, stderr } = await runFaultScript(runtime, `${goesOn}; ${throwing}`)
    t.is(stdout, `from onFault 0\nfrom onFault ${2 * pageSize}\nstill here\n`, stderr)
    t.is(code, 0)
  })

  test(`${title}: close() inside onFault, and a fault after it in another mapping`, async (t) => {
    await survives(t, runtime, scenario('fault-reports-close-inside'))
  })

  test(`${title}: faults of a mapping that is collected before the next turn are reported, in a worker too`, async (t) => {
    await survives(t, runtime, scenario('fault-reports-last'))
  })

  test(`${title}: a listener that is bound to an async context is called in it`, async (t) => {
    await survives(t, runtime, scenario('fault-reports-context'))
  })

  test(`${title}: the number of faults still counts when the memory of a closed mapping has been collected`, async (t) => {
    await survives(t, runtime, scenario('fault-reports-collected'))
  })
}

test('onFault is called even if a subscriber of the channel throws', async (t) => {
  const { stdout } = await runFaultScript(host, scenario('fault-reports-subscriber'))
  t.deepEqual(stdout.trim().split('\n').sort(), ['onFault', 'subscriber'])
})

test('a mapping that never faults does not keep the process alive', async (t) => {
  const { code, timedOut } = await runFaultScript(host, `mapShared(makeFile(1)).buffer[0]`)
  t.is(code, 0)
  t.false(timedOut)
})

withDescriptors('a page that cannot be put back because the user closed the descriptor is reported once', async (t) => {
  const { code, signal, stdout, stderr, timedOut } = await runFaultScript(
    host,
    `
    let told = 0
    const map = mapShared(makeFile(8 * pageSize), { onFault(fault) { told++; assert.strictEqual(fault.contained, false) } })
    fs.closeSync(map.fd)
    map.buffer[0] = 1
    await until(() => told > 0)
    console.log(told)
    process.on('exit', () => console.log(told))`,
  )
  t.deepEqual({ code, signal, stdout, timedOut }, { code: 0, signal: null, stdout: '1\n1\n', timedOut: false }, stderr)
})

test('a process may exit inside onFault', async (t) => {
  for (const runtime of runtimes()) {
    const { code, signal, stderr } = await runFaultScript(
      runtime,
      `
      const map = mapShared(makeFile(1), { onFault: () => process.exit(7) })
      map.buffer[0] = 1
      setTimeout(() => console.log(map), 60_000)`,
    )
    t.deepEqual([code, signal], [7, null], `${runtime.name}: ${stderr}`)
  }
})

const knowingPages = where(isLinux && !is32Bit, 'needs addresses, and a system that tells which pages there are')

knowingPages('all stray stores are rolled back in a large memory of which few pages are in use', async (t) => {
  await survives(t, host, scenario('fault-reports-untouched-memory'))
})

withAddon('a read() of good bytes is whole while other threads fault elsewhere in the mapping', async (t) => {
  await survives(t, host, scenario('fault-reports-good-bytes'), { env: { FIXTURE: fixturePath() } })
})
