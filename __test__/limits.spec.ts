// A process that has reached one of its limits (getrlimit(2)): calls that need more are refused with the system's error,
// and the mappings that it has still work, faults included. RLIMIT_DATA is in out-of-memory.spec.ts, RLIMIT_MEMLOCK in
// residency.spec.ts, and the number of memory areas in memory-areas.spec.ts.

import { survives } from './helpers/faults.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, underLimit } from './helpers/runtimes.ts'

const prelude = `
  import { execFileSync } from 'node:child_process'
  const { openSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
  const { Mutex } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
  const MiB = 2 ** 20
  const limit = (name, value) => execFileSync('prlimit', ['--pid', String(process.pid), '--' + name + '=' + value + ':'])
  const kilobytes = (name) => Number(new RegExp('^' + name + ':\\\\s+(\\\\d+) kB$', 'm').exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])
  /** Grants this process that many bytes of addresses more than it has. */
  const limitAddresses = (more) => limit('as', kilobytes('VmSize') * 1024 + more)
  const path = makeFile(Buffer.alloc(4 * pageSize, 7))
  const map = mapShared(path, { protection: 'read-write', onFault() {} })
  const file = fs.openSync(path, 'r+')
  /** Whether a fault of the mapping is contained, and its stores reach the file. */
  const works = () => {
    const view = map.buffer
    fs.ftruncateSync(file, pageSize)
    assert.equal(view[2 * pageSize], 0)
    view[3 * pageSize] = 1
    assert.ok(map.faults > 0)
    view[0] = 9
    assert.throws(() => map.syncSync(), { code: 'ERR_MMAP_FAULT' })
    assert.equal(map.read(0, 1)[0], 9)
    map.write(Buffer.of(8), 0)
    assert.equal(view[0], 8)
  }`

const limits: Record<string, string> = {
  'no addresses (RLIMIT_AS)': `
    const much = 2 ** 36
    const sparse = makeFile(much)
    limitAddresses(2 ** 35)
    const refused = { code: 'ENOMEM', syscall: 'mmap' }
    assert.throws(() => mapShared(sparse), refused)
    assert.throws(() => mapPrivate(sparse), refused)
    assert.throws(() => mapAnonymous(much, { reserve: false }), refused)
    assert.throws(() => mapAnonymous(much, { shared: true }), refused)
    const created = { protection: 'read-write', create: true, length: much }
    assert.throws(() => mapShared('new', created), { code: 'ENOMEM' })
    assert.ok(!fs.existsSync('new'))
    assert.throws(() => map.resize(much), refused)
    assert.equal(map.length, 4 * pageSize)
    assert.equal(fs.statSync(path).size, 4 * pageSize)
    works()
    const part = mapShared(sparse, { length: MiB })
    assert.equal(part.buffer[0], 0)
    part.close()`,
  'no descriptors (RLIMIT_NOFILE)': `
    const other = mapShared(makeFile(Buffer.alloc(100)), { protection: 'read-write' })
    const memory = mapAnonymous(pageSize)
    memory.buffer.fill(5)
    const taken = []
    limit('nofile', 200)
    /** Takes each number below the limit. */
    const takeAll = () => {
      try {
        for (;;) taken.push(fs.openSync('/dev/null'))
      } catch (error) {
        assert.equal(error.code, 'EMFILE')
      }
    }
    /** A call is refused when all are taken; the runtime may give back one of its own between that and the call. */
    const refuses = (call, expected) => {
      for (let tries = 0; tries < 10; tries++) {
        takeAll()
        try {
          call().close?.()
        } catch (error) {
          assert.throws(() => { throw error }, { code: 'EMFILE', ...expected })
          return
        }
      }
      assert.fail('not refused: ' + call)
    }
    refuses(() => mapShared(path), { syscall: 'open', message: /keepOpen/ })
    refuses(() => mapPrivate(path, { keepOpen: false }))
    refuses(() => mapShared(map.fd), { syscall: 'fcntl' })
    refuses(() => mapAnonymous(100, { shared: true }), { syscall: 'memfd_create' })
    refuses(() => openSharedMemory('limits-' + process.pid, { create: true, length: 1 }))
    fs.rmSync('/dev/shm/limits-' + process.pid, { force: true })
    refuses(() => new Mutex(other, 0))
    const plain = mapAnonymous(100)
    plain.buffer.fill(1)
    plain.close()
    memory.resize(100 * pageSize)
    assert.equal(memory.read(0, 1)[0], 5)
    assert.equal(memory.read(50 * pageSize, 1)[0], 0)
    map.resize(8 * pageSize)
    map.resize(4 * pageSize)
    works()
    other.close()
    // The descriptor that came back is enough.
    mapAnonymous(100, { shared: true }).close()
    taken.forEach((fd) => fs.closeSync(fd))
    mapShared(path).close()`,
  'no longer files (RLIMIT_FSIZE)': `
    const most = 256 * MiB // Deno ends at a file of its cache that is longer
    limit('fsize', most)
    const refused = { code: 'EFBIG' }
    const options = { protection: 'read-write', create: true, length: 2 * most }
    for (const more of [{}, { allocate: true }, { populate: true }]) {
      assert.throws(() => mapShared('new', { ...options, ...more }), refused)
      assert.ok(!fs.existsSync('new'))
      assert.throws(() => mapShared(path, { ...options, ...more }), refused)
      assert.throws(() => openSharedMemory('limits-' + process.pid, { ...options, ...more }), refused)
      assert.ok(!fs.existsSync('/dev/shm/limits-' + process.pid))
    }
    assert.throws(() => mapAnonymous(2 * most, { shared: true }), refused)
    assert.throws(() => map.resize(2 * most), refused)
    assert.equal(map.length, 4 * pageSize)
    assert.equal(fs.statSync(path).size, 4 * pageSize)
    map.resize(MiB)
    works()`,
}

/** Closed mappings keep their addresses until their views are collected, which nothing has hurried so far. */
const closing = `
    const sparse = makeFile(2 ** 32)
    limitAddresses(2 ** 35 + 2 ** 31) // and some for the runtime
    for (let i = 0; i < 30; i++) {
      const other = mapShared(sparse)
      assert.equal(other.view(2 ** 31, 64)[0], 0)
      other.close()
    }
    const memory = mapAnonymous(pageSize, { reserve: false })
    for (let i = 0; i < 30; i++) {
      memory.resize(2 ** 32)
      assert.equal(memory.view(2 ** 31, 64)[0], 0)
      memory.resize(pageSize)
    }
    // What is resized at the second try keeps its chunks, too.
    const big = mapAnonymous(2 ** 22, { reserve: false })
    big.buffer.fill(7)
    const stream = big.createReadStream()
    const chunk = await new Promise((resolve) => stream.once('data', (bytes) => resolve(stream.pause() && bytes)))
    for (let i = 0; i < 4; i++) {
      const other = mapShared(sparse)
      assert.equal(other.view(0, 64)[0], 0)
      other.close()
    }
    big.resize(3 * 2 ** 33)
    assert.equal(chunk[0], 7)
    assert.equal(big.faults, 0)
    works()`

/** So do those whose memory is the runtime's, as on Node 20 and Deno. */
const closingShared = `
    const sparse = makeFile(2 ** 30)
    limitAddresses(2 ** 34 + 2 ** 29) // and some for the runtime
    for (let i = 0; i < 40; i++) {
      const other = mapShared(sparse, { backing: 'shared-array-buffer' })
      assert.equal(other.view(2 ** 29, 64)[0], 0)
      other.close()
    }
    works()`

/** To collect costs up to a second on a large heap. */
const collectingOnce = `
    const { GCProfiler } = process.getBuiltinModule('node:v8')
    const sparse = makeFile(2 ** 36)
    const shared = mapShared(path, { backing: 'shared-array-buffer' })
    assert.equal(shared.buffer[0], 7)
    limitAddresses(2 ** 35)
    /** How often garbage is collected when that many mappings are refused. */
    const collections = (times) => {
      const profiler = new GCProfiler()
      profiler.start()
      for (let i = 0; i < times; i++) assert.throws(() => mapShared(sparse), { code: 'ENOMEM' })
      return profiler.stop().statistics.filter(({ gcType }) => gcType === 'MarkSweepCompact').length
    }
    gc()
    assert.ok(collections(1) > 0)
    assert.equal(collections(10), 0)
    map.view(0, 1)
    map.close()
    assert.ok(collections(1) > 0)
    assert.equal(collections(10), 0)`

const LIMIT = 2e8

/** Closed mappings leave the runtime most of what it may have. */
const sparing = (backing: string) => `
    const sparse = makeFile(2 ** 31)
    const before = kilobytes('VmPeak')
    for (let i = 0; i < 80; i++) {
      const other = mapShared(sparse, { backing: '${backing}' })
      assert.equal(other.view(2 ** 30, 64)[0], 0)
      other.close()
    }
    const more = kilobytes('VmPeak') - before
    assert.ok(more < ${LIMIT} / 3, more + ' kB')
    works()`

/** So do those of workers that do nothing more. What each has closed is less than a thread may keep by itself. */
const idle = `
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    const sparse = makeFile(5.5 * 2 ** 30)
    fs.writeFileSync('worker.mjs', \`
      const { parentPort } = process.getBuiltinModule('node:worker_threads')
      const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const map = mapShared('\${sparse}')
      map.view(2 ** 32, 64)
      map.close()
      parentPort.on('message', () => {}) // which it waits for
      parentPort.postMessage(0)
    \`)
    const start = () => new Promise((resolve, reject) => {
      new Worker(fs.realpathSync('worker.mjs')).on('message', resolve).on('error', reject)
    })
    const before = kilobytes('VmSize')
    for (let i = 0; i < 20; i++) await start()
    await until(() => kilobytes('VmSize') - before < ${LIMIT} / 2)
    works()
    console.log('end')
    process.exit()`

for (const runtime of runtimes()) {
  for (const [what, source] of Object.entries(limits)) {
    test(`with ${what} to be had, calls are refused and mappings still work, on ${runtime.name} ${runtime.version}`, async (t) => {
      await survives(t, runtime, `${prelude}\n${source}\nconsole.log('end')`)
    })
  }
  test(`of few addresses closed mappings of idle workers keep a quarter together, on ${runtime.name} ${runtime.version}`, async (t) => {
    await survives(t, underLimit(runtime, `-v ${LIMIT}`), `${prelude}\n${idle}`)
  })
  for (const [backing, source] of Object.entries({ 'array-buffer': closing, 'shared-array-buffer': closingShared })) {
    test(`under RLIMIT_AS closed mappings give their addresses back when there are no others: ${backing}, on ${runtime.name} ${runtime.version}`, async (t) => {
      await survives(t, runtime, `${prelude}\n${source}\nconsole.log('end')`)
    })
    test(`of few addresses closed mappings keep a quarter: ${backing}, on ${runtime.name} ${runtime.version}`, async (t) => {
      await survives(t, underLimit(runtime, `-v ${LIMIT}`), `${prelude}\n${sparing(backing)}\nconsole.log('end')`)
    })
  }
  if (runtime.name.startsWith('node')) {
    test(`to collect then aborts no process with --abort-on-uncaught-exception, on ${runtime.name} ${runtime.version}`, async (t) => {
      const aborting = { ...runtime, args: ['--abort-on-uncaught-exception', ...runtime.args] }
      await survives(t, aborting, `${prelude}\n${closing}\nconsole.log('end')`)
    })
    test(`many refused mappings collect once until another was closed, on ${runtime.name} ${runtime.version}`, async (t) => {
      await survives(t, runtime, `${prelude}\n${collectingOnce}\nconsole.log('end')`)
    })
  }
}
