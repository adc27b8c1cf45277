// Which pages are in memory: residency, prefetch, advice, locks and huge pages.

import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { type Advice, mapAnonymous, mapPrivate, mapShared, MemoryFaultError, MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { isLinux, isWindows, truncating, where } from './helpers/platform.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const linux = isLinux ? test : test.skip
const notMac = where(isLinux || isWindows, 'a page may come to memory by itself elsewhere')
const PAGES = 64

/** The pages that are in memory. */
function residentPages(map: MemoryMap): number[] {
  const { pages, resident, bitmap } = map.residency()
  const found = Array.from({ length: pages }, (_, page) => page).filter(
    (page) => bitmap[page >> 3]! & (1 << (page % 8)),
  )
  if (found.length !== resident) throw new Error(`${found.length} bits for ${resident} pages`)
  return found
}

/** The fields of the mapping's area in /proc/self/smaps. */
function area(map: MemoryMap): Record<string, string> {
  const lines = readFileSync('/proc/self/smaps', 'latin1').split('\n')
  const first = lines.findIndex((line) => line.startsWith(`${map.address.toString(16)}-`))
  const fields: Record<string, string> = {}
  for (const line of lines.slice(first + 1)) {
    const match = /^(\w+): +(.*)$/.exec(line)
    if (match === null) break
    fields[match[1]!] = match[2]!
  }
  return fields
}

/** Writes a file and has the system forget it. */
function coldFile(t: ExecutionContext, length: number): string {
  const path = scratchFile(t, pattern(length))
  if (isWindows) return path // where residency is this process's
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
  execFileSync('sync', [path])
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
  return path
}

notMac('residency gives the pages of anonymous memory that were touched, and no others', (t) => {
  using map = mapAnonymous(PAGES * pageSize, isWindows ? {} : { advice: 'nohugepage' })
  t.deepEqual(residentPages(map), [])
  const touched = [0, 1, 7, 8, 30, 63]
  for (const page of touched) map.buffer[page * pageSize] = 1
  t.deepEqual(residentPages(map), touched)
  if (MemoryMap.supports('dontneed')) {
    map.advise('dontneed', { offset: 8 * pageSize, length: 30 * pageSize })
    t.deepEqual(residentPages(map), [0, 1, 7, 63])
  }
  const part = map.residency({ offset: 7 * pageSize - 1, length: 2 })
  t.deepEqual([part.pages, part.resident, part.bitmap], [2, 1, Uint8Array.of(0b10)])
  const counted: object = map.residency({ offset: 7 * pageSize - 1, length: 2, bitmap: false })
  t.deepEqual({ ...counted }, { pages: 2, resident: part.resident })
  t.throws(() => map.residency({ bitmap: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' })
  const none = map.residency({ length: 0 })
  t.deepEqual([none.pages, none.resident, none.bitmap], [0, 0, new Uint8Array()])
})

notMac('residency gives the pages of a file that are in memory, and prefetch brings them in', async (t) => {
  const path = coldFile(t, PAGES * pageSize)
  using map = mapShared(path, isWindows ? {} : { advice: 'random' })
  const cold = residentPages(map)
  t.true(cold.length < PAGES, 'the system has forgotten some of the file')
  await map.prefetch({ offset: 10 * pageSize, length: 20 * pageSize })
  const warm = new Set(residentPages(map))
  for (let page = 10; page < 30; page++) t.true(warm.has(page))
  await map.prefetch()
  t.is(map.residency().resident, PAGES)
  t.is(map.residency().pages, PAGES)
})

truncating('prefetch of pages that cannot be read rejects with the fault', async (t) => {
  const path = scratchFile(t, pattern(4 * pageSize))
  using map = mapShared(path, { onFault() {} })
  truncateSync(path, pageSize)
  const error = await t.throwsAsync<NodeJS.ErrnoException & { fault: { kind: string } }>(map.prefetch())
  t.deepEqual([error?.code, error?.fault.kind], ['ERR_MMAP_FAULT', 'beyond-end'])
  await t.notThrowsAsync(map.prefetch({ length: pageSize }))
})

test('prefetch of forbidden pages rejects with the fault', async (t) => {
  using hidden = mapAnonymous(pageSize, { protection: 'none', onFault() {} })
  const forbidden = await t.throwsAsync<NodeJS.ErrnoException & { fault: { kind: string } }>(hidden.prefetch())
  t.deepEqual([forbidden?.code, forbidden?.fault.kind], ['ERR_MMAP_FAULT', 'protection'])
})

test('check() throws the fault of a prefetch that was given up', async (t) => {
  using map = mapAnonymous(pageSize, { protection: 'none', onFault: () => {} })
  const controller = new AbortController()
  const given = map.prefetch({ signal: controller.signal })
  while (map.faults === 0); // on another thread
  controller.abort()
  await t.throwsAsync(given, { code: 'ABORT_ERR' })
  let thrown: unknown
  await until(() => {
    try {
      map.check()
    } catch (error) {
      thrown = error
    }
    return thrown !== undefined // the other thread counts the fault before it says which
  })
  t.true(thrown instanceof MemoryFaultError)
  t.notThrows(() => map.check())
})

test('prefetch can be given up, and a close meanwhile does no harm', async (t) => {
  using map = mapAnonymous(2 ** 28)
  const aborter = new AbortController()
  const promise = map.prefetch({ signal: aborter.signal })
  aborter.abort('enough')
  const error = await t.throwsAsync(promise, { name: 'AbortError', code: 'ABORT_ERR' })
  t.is(error?.cause, 'enough')
  await t.throwsAsync(map.prefetch({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  await t.throwsAsync(map.prefetch({ signal: {} as AbortSignal }), { code: 'ERR_INVALID_ARG_TYPE' })
  for (let i = 0; i < 20; i++) {
    const closing = mapAnonymous(2 ** 26)
    const work = closing.prefetch().catch((reason) => t.is(reason.code, 'ERR_MMAP_CLOSED'))
    if (i % 2) await new Promise((resolve) => setTimeout(resolve, i))
    closing.close()
    await work
  }
})

linux('populate brings all pages in at once, and so does advice', (t) => {
  const path = coldFile(t, PAGES * pageSize)
  using map = mapShared(path, { populate: true })
  t.is(map.residency().resident, PAGES)
  using memory = mapAnonymous(PAGES * pageSize, { populate: true })
  t.is(memory.residency().resident, PAGES)
  using later = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  later.advise('populate-write', { length: 3 * pageSize })
  t.is(later.residency().resident, 3)
})

const everyAdvice: Advice[] = [
  ...(['normal', 'random', 'sequential', 'willneed', 'dontneed', 'free', 'cold', 'pageout'] as const),
  ...(['mergeable', 'unmergeable', 'hugepage', 'nohugepage', 'dontdump', 'dodump', 'dontfork', 'dofork'] as const),
  ...(['remove', 'wipeonfork', 'keeponfork', 'populate-read', 'populate-write'] as const),
]

test('every advice is taken, or refused as unsupported', (t) => {
  for (const advice of everyAdvice) {
    using map =
      advice === 'remove' && !isWindows ? mapAnonymous(4 * pageSize, { shared: true }) : mapAnonymous(4 * pageSize)
    map.buffer.fill(1)
    if (MemoryMap.supports(advice)) {
      t.notThrows(() => map.advise(advice), advice)
      t.notThrows(() => map.advise(advice, { offset: pageSize, length: pageSize }), advice)
      t.notThrows(() => map.advise(advice, { length: 0 }), advice)
    } else {
      throwsCodedError(t, () => map.advise(advice), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
      throwsCodedError(t, () => mapAnonymous(1, { advice }), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
    }
  }
  t.true(MemoryMap.supports('willneed'))
})

linux('Linux takes the advice that needs no option of the kernel', (t) => {
  for (const advice of everyAdvice.filter((one) => !/mergeable|huge/.test(one)))
    t.true(MemoryMap.supports(advice), advice)
})

linux('collapse makes large pages, and says where it cannot', (t) => {
  const large = 2 ** 21
  if (
    !MemoryMap.supports('collapse') ||
    readFileSync('/sys/kernel/mm/transparent_hugepage/hpage_pmd_size', 'latin1').trim() !== String(large)
  ) {
    return t.pass('this system has none')
  }
  using map = mapAnonymous(3 * large)
  const offset = Number(-map.address & BigInt(large - 1))
  map.view(offset, large).fill(7)
  map.advise('collapse', { offset, length: large })
  t.true(map.view(offset, large).every((byte) => byte === 7))
  map.advise('nohugepage')
  const error = t.throws(() => map.advise('collapse'), { code: 'EINVAL' })
  t.regex(error?.message ?? '', /no large pages/)
})

linux('advice reaches the pages of its range', (t) => {
  using map = mapAnonymous(PAGES * pageSize)
  const flags = () => area(map)['VmFlags']!.split(' ')
  for (const [advice, flag] of [
    ['random', 'rr'],
    ['sequential', 'sr'],
    ['dontdump', 'dd'],
    ['dontfork', 'dc'],
    ['wipeonfork', 'wf'],
  ] as const) {
    t.false(flags().includes(flag))
    map.advise(advice)
    t.true(flags().includes(flag), advice)
  }
  for (const advice of ['normal', 'dodump', 'dofork', 'keeponfork'] as const) map.advise(advice)
  for (const flag of ['rr', 'sr', 'dd', 'dc', 'wf']) t.false(flags().includes(flag), flag)
  t.true(area(mapAnonymous(pageSize, { advice: 'dontdump' }))['VmFlags']!.includes('dd'))
})

test('advice that can discard contents takes whole pages only', (t) => {
  using map = mapAnonymous(3 * pageSize + 100)
  map.buffer.fill(1)
  const aligned = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE', says: ['page'] }
  for (const advice of ['dontneed', 'free', 'wipeonfork'] as const) {
    if (!MemoryMap.supports(advice)) continue
    for (const range of [{ offset: 1 }, { length: 100 }, { offset: 1, length: pageSize }]) {
      throwsCodedError(t, () => map.advise(advice, range), aligned)
    }
  }
  t.true(map.buffer.every((byte) => byte === 1))
  t.notThrows(() => map.advise('willneed', { offset: 5, length: 3 }))
  if (MemoryMap.supports('dontneed')) {
    map.advise('dontneed', { offset: 3 * pageSize })
    t.deepEqual([map.buffer[3 * pageSize - 1], map.buffer[3 * pageSize]], [1, 0])
  }
})

linux('remove punches a hole into the file, and never beyond the mapping', (t) => {
  const path = scratchFile(t, pattern(8 * pageSize))
  using map = mapShared(path, { protection: 'read-write', length: 6 * pageSize + 10 })
  const blocks = statSync(path).blocks
  map.syncSync()
  for (const range of [{}, { offset: 6 * pageSize }, { offset: 1, length: pageSize }]) {
    throwsCodedError(t, () => map.advise('remove', range), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  }
  t.is(Buffer.compare(readFileSync(path), pattern(8 * pageSize)), 0)
  map.advise('remove', { offset: 2 * pageSize, length: 3 * pageSize })
  t.true(map.buffer.subarray(2 * pageSize, 5 * pageSize).every((byte) => byte === 0))
  const bytes = readFileSync(path)
  t.is(bytes.length, 8 * pageSize)
  t.true(bytes.subarray(2 * pageSize, 5 * pageSize).every((byte) => byte === 0))
  t.is(Buffer.compare(bytes.subarray(5 * pageSize), pattern(8 * pageSize).subarray(5 * pageSize)), 0)
  t.true(statSync(path).blocks < blocks)
  using unaligned = mapShared(path, { protection: 'read-write', offset: 100 })
  throwsCodedError(t, () => unaligned.advise('remove'), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
})

linux('the error for advice that the kernel refuses gives the reason', (t) => {
  const path = scratchFile(t, pattern(pageSize))
  using map = mapShared(path)
  throwsSystemError(t, () => map.advise('free'), { code: 'EINVAL', syscall: 'madvise', path })
  throwsSystemError(t, () => mapShared(path, { advice: 'wipeonfork' }), { code: 'EINVAL', syscall: 'madvise', path })
  throwsSystemError(t, () => mapPrivate(path).advise('remove'), { code: 'EACCES', syscall: 'madvise', path })
})

test('the error for an unknown advice suggests the nearest one', (t) => {
  using map = mapAnonymous(1)
  const unknown = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
  throwsCodedError(t, () => map.advise('will-need' as never), { ...unknown, says: ["'willneed'"] })
  throwsCodedError(t, () => MemoryMap.supports('sequental' as never), { ...unknown, says: ["'sequential'"] })
  throwsCodedError(t, () => mapAnonymous(1, { advice: 'randon' as never }), { ...unknown, says: ["'random'"] })
  throwsCodedError(t, () => map.advise(1 as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

linux('a mapping that is refused for its advice leaves no descriptor behind', (t) => {
  const path = scratchFile(t, pattern(pageSize))
  const next = () => {
    const fd = openSync(path, 'r')
    closeSync(fd)
    return fd
  }
  const before = next()
  for (let i = 0; i < 5; i++) t.throws(() => mapShared(path, { advice: 'free' }))
  t.true(fstatSync(0) !== undefined)
  t.true(next() <= before + 4, 'other tests open files meanwhile')
})

linux('lock keeps pages in memory; with onFault, those that are touched', (t) => {
  using map = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  map.lock({ length: 3 * pageSize })
  t.is(map.residency().resident, 3)
  map.lock()
  t.is(map.residency().resident, PAGES)
  t.regex(area(map)['VmFlags']!, /\blo\b/)
  map.unlock()
  t.notRegex(area(map)['VmFlags']!, /\blo\b/)
  using lazy = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  lazy.lock({ onFault: true })
  t.is(lazy.residency().resident, 0)
  t.regex(area(lazy)['VmFlags']!, /\blo\b/)
  lazy.buffer[5 * pageSize] = 1
  t.deepEqual(residentPages(lazy), [5])
  throwsCodedError(t, () => lazy.lock({ onFault: 1 as never }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

linux('the error for more than RLIMIT_MEMLOCK allows names the limit', (t) => {
  const script = `
    const { mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    if (process.getuid() === 0) process.setuid(65534)
    try {
      mapAnonymous(1 << 20).lock()
      console.log('locked')
    } catch (error) {
      console.log(error.code, error.syscall, error.errno < 0, error.message.includes('RLIMIT_MEMLOCK'))
    }`
  const run = spawnSync(
    'sh',
    ['-c', 'ulimit -l 64 && exec "$0" --input-type=module -e "$1"', process.execPath, script],
    {
      env: { ...process.env, MEMORY_MAP_ROOT: new URL('../', import.meta.url).href },
      encoding: 'utf8',
    },
  )
  t.is(run.stdout, 'ENOMEM mlock true true\n', run.stderr)
})

linux('the error for a lock beyond the end of the file says so', (t) => {
  const path = scratchFile(t, pattern(4 * pageSize))
  using map = mapShared(path, { onFault() {} })
  truncateSync(path, pageSize)
  const error = t.throws(() => map.lock(), { code: 'ENOMEM' })
  t.regex(error!.message, /file ends/)
})

linux('transparent huge pages are asked for', (t) => {
  using map = mapAnonymous(2 ** 23, { hugePages: 'transparent' })
  t.regex(area(map)['VmFlags']!, /\bhg\b/)
  map.buffer.fill(1)
  t.true(map.buffer.every((byte) => byte === 1))
})

/** Free pages of 2 MiB in the pool, after asking for some. */
function poolOfHugePages(t: import('ava').ExecutionContext, wanted: number): number {
  const path = '/proc/sys/vm/nr_hugepages'
  const before = readFileSync(path, 'latin1')
  try {
    const fd = openSync(path, 'w')
    writeSync(fd, String(wanted))
    closeSync(fd)
    t.teardown(() => {
      const again = openSync(path, 'w')
      writeSync(again, before)
      closeSync(again)
    })
  } catch {
    // It is as it is.
  }
  return Number(/HugePages_Free: +(\d+)/.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0)
}

const serialLinux = process.platform === 'linux' ? test.serial : test.serial.skip

serialLinux('the error for an empty pool of huge pages names the pool', (t) => {
  if (poolOfHugePages(t, 0) > 0) {
    t.pass('the pool is not empty, and not ours to empty')
    return
  }
  for (const shared of [false, true]) {
    const error = throwsSystemError(t, () => mapAnonymous(2 ** 22, { hugePages: 2 ** 21, shared }), {
      code: 'ENOMEM',
      syscall: 'mmap',
    })
    t.regex(error.message, /\/proc\/sys\/vm\/nr_hugepages/)
  }
})

serialLinux('files on hugetlbfs are mapped in whole huge pages, and none is left behind', (t) => {
  const mounted = mountFileSystem(t, 'hugetlbfs')
  if (typeof mounted === 'string' || poolOfHugePages(t, 8) < 6) {
    t.pass(typeof mounted === 'string' ? mounted : 'this machine has no huge pages to give')
    return
  }
  const [HUGE, path] = [2 ** 21, join(mounted.folder, 'file')]
  const readWrite = { protection: 'read-write', onFault() {} } as const
  const left = () => readFileSync('/proc/self/maps', 'latin1').includes(mounted.folder)
  const views: Buffer[] = []
  {
    using map = mapShared(path, { ...readWrite, create: true, length: 5000 })
    views.push(map.buffer.fill(7))
    map.syncSync()
    map.protect('read')
    throwsCodedError(t, () => map.resize(2 * HUGE), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
  }
  t.false(left(), 'a part of a page')
  {
    using map = mapShared(path, { ...readWrite, create: true, length: 2 * HUGE, allocate: true })
    t.is(map.read(4999, 2).toString('hex'), '0700')
    using part = mapPrivate(path, { offset: HUGE + 5, length: 10 })
    part.buffer.fill(8)
    t.true(part.read().every((byte) => byte === 8))
    t.true(map.read(HUGE).every((byte) => byte === 0))
    views.push(map.buffer, part.buffer)
    truncateSync(path, HUGE)
    t.is(map.buffer[HUGE + 5], 0)
    t.is(map.faults, 1)
  }
  t.false(left(), 'whole pages')
  for (const more of [{}, { allocate: true }, { populate: true }]) {
    const options = { ...readWrite, create: true, length: 64 * HUGE, ...more }
    const error = t.throws(() => mapShared(`${path}-2`, options), { code: 'ENOMEM' })
    t.regex(error!.message, /nr_hugepages/)
    t.false(existsSync(`${path}-2`))
  }
  t.false(left(), 'refused')
  t.is(views.length, 3)
})

serialLinux('explicit huge pages are mapped, protected and freed', (t) => {
  if (poolOfHugePages(t, 8) < 6) {
    t.pass('this machine has no huge pages to give')
    return
  }
  for (const shared of [false, true]) {
    using map = mapAnonymous(2 ** 22 + 5, { hugePages: 2 ** 21, shared, onFault() {} })
    t.is(area(map)['KernelPageSize'], '2048 kB')
    map.buffer.fill(7)
    t.is(map.buffer.length, 2 ** 22 + 5)
    throwsCodedError(t, () => map.protect('read', { length: pageSize }), {
      instanceOf: RangeError,
      code: 'ERR_OUT_OF_RANGE',
    })
    map.protect('read', { length: 2 ** 21 })
    map.buffer[5] = 1
    t.is(map.faults, 1)
    t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
    t.is(map.buffer[5], 7, 'the store leaves no trace')
    t.throws(() => map.write(Buffer.of(1), 5), { code: 'ERR_MMAP_NOT_WRITABLE' })
    t.true(map.read().every((byte) => byte === 7))
    throwsCodedError(t, () => map.resize(2 ** 23), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
  }
  t.true(poolOfHugePages(t, 8) >= 6, 'closed mappings give their pages back')
})

test('impossible sizes of huge pages are refused', (t) => {
  for (const wrong of [0, 3, 5 << 20, -1, 1.5]) {
    throwsCodedError(t, () => mapAnonymous(1, { hugePages: wrong }), {
      instanceOf: RangeError,
      code: 'ERR_OUT_OF_RANGE',
    })
  }
  const value = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', says: ["'transparent'"] }
  throwsCodedError(t, () => mapAnonymous(1, { hugePages: 'explicit' as never }), value)
  throwsCodedError(t, () => mapAnonymous(1, { hugePages: true as never }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_TYPE',
  })
  const size = t.throws<NodeJS.ErrnoException>(() => mapAnonymous(1, { hugePages: 2 ** 24 }))
  t.regex(size!.message, /huge pages/)
  t.true(['EINVAL', 'ENODEV', 'ERR_MMAP_UNSUPPORTED'].includes(size!.code!), size!.code)
})

linux('residency of a large file gives the few pages that are in memory', (t) => {
  const path = sparseFile(t, 2 ** 38)
  using map = mapShared(path, { protection: 'read-write' })
  const far = [0, 2 ** 37 + pageSize, 2 ** 38 - pageSize]
  for (const at of far) map.write(Buffer.of(1), at)
  t.is(map.residency({ bitmap: false }).pages, 2 ** 38 / pageSize)
  const { resident, bitmap } = map.residency()
  t.is(resident, map.residency({ bitmap: false }).resident)
  const page = (at: number) => Math.floor(at / pageSize)
  for (const at of far) t.is((bitmap[page(at) >> 3]! >> (page(at) % 8)) & 1, 1)
  t.true(resident >= far.length && resident < 2 ** 38 / pageSize / 2)
})
