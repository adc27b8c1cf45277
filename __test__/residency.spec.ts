// Which pages are in memory: residency, prefetch, advice, locks and huge pages.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'
import { type Advice, mapAnonymous, mapPrivate, mapShared, MemoryFaultError, MemoryMap, pageSize } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { settle } from './helpers/faults.ts'
import { askForHugePages, freeHugePages } from './helpers/huge-pages.ts'
import { descriptors, figuresAt } from './helpers/memory.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { is32Bit, isLinux, isWindows, onLinux, truncating, where } from './helpers/platform.ts'
import { runScript, runtimes, underLimit } from './helpers/runtimes.ts'
import { pattern, scratchFile, sparseFile } from './helpers/scratch.ts'
import { until } from './helpers/until.ts'

const notMac = where(isLinux || isWindows, 'a page may come to memory by itself elsewhere')
const withLargeFiles = where(isLinux && !is32Bit, 'needs addresses, and files that take no more than their bytes')
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

/** Whether the system has a flag for the mapping, as /proc/self/smaps names it. */
function hasFlag({ address }: MemoryMap, flag: string): boolean {
  return figuresAt(address).flags.includes(flag)
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

/** Memory of which only these pages were touched. */
function memoryWithPages(pages: number[]): MemoryMap {
  const map = mapAnonymous(PAGES * pageSize, isWindows ? {} : { advice: 'nohugepage' })
  for (const page of pages) map.buffer[page * pageSize] = 1
  return map
}

notMac('residency gives the pages of anonymous memory that were touched, and no others', (t) => {
  for (const touched of [[], [0, 1, 7, 8, 30, 63]]) {
    using map = memoryWithPages(touched)
    t.deepEqual(residentPages(map), touched)
  }
})

notMac("pages that were given up by 'dontneed' are not in memory", (t) => {
  if (!MemoryMap.supports('dontneed')) return t.pass()
  using map = memoryWithPages([0, 1, 7, 8, 30, 63])
  map.advise('dontneed', { offset: 8 * pageSize, length: 30 * pageSize })
  t.deepEqual(residentPages(map), [0, 1, 7, 63])
})

notMac('residency of a range is that of all pages that it touches', (t) => {
  using map = memoryWithPages([1, 7, 8])
  const { pages, resident, bitmap } = map.residency({ offset: 7 * pageSize - 1, length: 2 })
  t.deepEqual([pages, resident, bitmap], [2, 1, Uint8Array.of(0b10)])
})

notMac('residency without a bitmap counts the pages', (t) => {
  using map = memoryWithPages([1, 7, 8])
  const counted: object = map.residency({ offset: 7 * pageSize - 1, length: 2, bitmap: false })
  t.deepEqual({ ...counted }, { pages: 2, resident: 1 })
})

test('residency of no bytes is no pages', (t) => {
  using map = mapAnonymous(pageSize)
  const { pages, resident, bitmap } = map.residency({ length: 0 })
  t.deepEqual([pages, resident, bitmap], [0, 0, new Uint8Array()])
})

test('a bitmap that is not a boolean is refused', (t) => {
  using map = mapAnonymous(pageSize)
  t.throws(() => map.residency({ bitmap: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

notMac('prefetch brings the pages of a file into memory', async (t) => {
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
  const errors: MemoryFaultError[] = []
  await until(() => errors.push(...settle(map)) > 0) // the other thread counts the fault before it says which
  t.true(errors.every((error) => error instanceof MemoryFaultError))
})

test('a prefetch that is given up rejects with the reason', async (t) => {
  using map = mapAnonymous(2 ** 28)
  const aborter = new AbortController()
  const promise = map.prefetch({ signal: aborter.signal })
  aborter.abort('enough')
  const error = await t.throwsAsync(promise, { name: 'AbortError', code: 'ABORT_ERR' })
  t.is(error?.cause, 'enough')
})

test('prefetch rejects for a signal that is aborted already, or is none', async (t) => {
  using map = mapAnonymous(pageSize)
  await t.throwsAsync(map.prefetch({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  await t.throwsAsync(map.prefetch({ signal: {} as AbortSignal }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a close while prefetch is under way does no harm', async (t) => {
  for (let i = 0; i < 20; i++) {
    const closing = mapAnonymous(2 ** 26)
    const work = closing.prefetch().catch((reason) => t.is(reason.code, 'ERR_MMAP_CLOSED'))
    if (i % 2) await new Promise((resolve) => setTimeout(resolve, i))
    closing.close()
    await work
  }
})

onLinux('populate brings all pages in at once', (t) => {
  const path = coldFile(t, PAGES * pageSize)
  using map = mapShared(path, { populate: true })
  t.is(map.residency().resident, PAGES)
  using memory = mapAnonymous(PAGES * pageSize, { populate: true })
  t.is(memory.residency().resident, PAGES)
})

onLinux("the advice 'populate-write' brings the pages of its range in", (t) => {
  using map = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  map.advise('populate-write', { length: 3 * pageSize })
  t.is(map.residency().resident, 3)
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

onLinux('Linux takes the advice that needs no option of the kernel', (t) => {
  for (const advice of everyAdvice.filter((one) => !/mergeable|huge/.test(one)))
    t.true(MemoryMap.supports(advice), advice)
})

const HUGE = 2 ** 21

/** Whether the system makes pages of 2 MiB of small ones. */
function canCollapse(): boolean {
  const size = '/sys/kernel/mm/transparent_hugepage/hpage_pmd_size'
  return MemoryMap.supports('collapse') && readFileSync(size, 'latin1').trim() === String(HUGE)
}

onLinux('collapse makes large pages, and keeps their bytes', async (t) => {
  if (!canCollapse()) return t.pass('this system has none')
  using map = mapAnonymous(3 * HUGE)
  const offset = Number(-map.address & BigInt(HUGE - 1))
  map.view(offset, HUGE).fill(7)
  await until(() => {
    try {
      map.advise('collapse', { offset, length: HUGE })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      return false // pages are in use by something for a moment
    }
  })
  t.true(map.view(offset, HUGE).every((byte) => byte === 7))
})

onLinux('the error of collapse says that there can be no large pages', (t) => {
  if (!canCollapse()) return t.pass('this system has none')
  using map = mapAnonymous(3 * HUGE, { advice: 'nohugepage' })
  const error = t.throws(() => map.advise('collapse'), { code: 'EINVAL' })
  t.regex(error?.message ?? '', /no large pages/)
})

onLinux('advice reaches the pages of its range', (t) => {
  using map = mapAnonymous(PAGES * pageSize)
  for (const [advice, flag] of [
    ['random', 'rr'],
    ['sequential', 'sr'],
    ['dontdump', 'dd'],
    ['dontfork', 'dc'],
    ['wipeonfork', 'wf'],
  ] as const) {
    t.false(hasFlag(map, flag))
    map.advise(advice)
    t.true(hasFlag(map, flag), advice)
  }
  for (const advice of ['normal', 'dodump', 'dofork', 'keeponfork'] as const) map.advise(advice)
  for (const flag of ['rr', 'sr', 'dd', 'dc', 'wf']) t.false(hasFlag(map, flag), flag)
})

onLinux('a mapping is made with the advice that its options have', (t) => {
  using map = mapAnonymous(pageSize, { advice: 'dontdump' })
  t.true(hasFlag(map, 'dd'))
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
})

test('advice that discards nothing takes any range', (t) => {
  using map = mapAnonymous(pageSize)
  t.notThrows(() => map.advise('willneed', { offset: 5, length: 3 }))
})

test("'dontneed' takes a part of a page where the mapping ends there", (t) => {
  if (!MemoryMap.supports('dontneed')) return t.pass()
  using map = mapAnonymous(3 * pageSize + 100)
  map.buffer.fill(1)
  map.advise('dontneed', { offset: 3 * pageSize })
  t.deepEqual([map.buffer[3 * pageSize - 1], map.buffer[3 * pageSize]], [1, 0])
})

onLinux('remove takes whole pages only, none of which reaches beyond the mapping', (t) => {
  const path = scratchFile(t, pattern(8 * pageSize))
  using map = mapShared(path, { protection: 'read-write', length: 6 * pageSize + 10 })
  for (const range of [{}, { offset: 6 * pageSize }, { offset: 1, length: pageSize }]) {
    throwsCodedError(t, () => map.advise('remove', range), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  }
  using unaligned = mapShared(path, { protection: 'read-write', offset: 100 })
  throwsCodedError(t, () => unaligned.advise('remove'), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  t.is(Buffer.compare(readFileSync(path), pattern(8 * pageSize)), 0)
})

onLinux('remove punches a hole into the file', (t) => {
  const path = scratchFile(t, pattern(8 * pageSize))
  using map = mapShared(path, { protection: 'read-write', length: 6 * pageSize + 10 })
  const blocks = statSync(path).blocks
  map.syncSync()
  map.advise('remove', { offset: 2 * pageSize, length: 3 * pageSize })
  t.true(map.buffer.subarray(2 * pageSize, 5 * pageSize).every((byte) => byte === 0))
  const bytes = readFileSync(path)
  t.is(bytes.length, 8 * pageSize)
  t.true(bytes.subarray(2 * pageSize, 5 * pageSize).every((byte) => byte === 0))
  t.is(Buffer.compare(bytes.subarray(5 * pageSize), pattern(8 * pageSize).subarray(5 * pageSize)), 0)
  t.true(statSync(path).blocks < blocks)
})

onLinux('the error for advice that the kernel refuses gives the reason', (t) => {
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

onLinux('a mapping that is refused for its advice leaves no descriptor behind', (t) => {
  const path = scratchFile(t, pattern(pageSize))
  t.throws(() => mapShared(path, { advice: 'free' }))
  t.false([...descriptors().values()].includes(path))
})

onLinux('lock brings pages in and keeps them in memory', (t) => {
  using map = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  map.lock({ length: 3 * pageSize })
  t.is(map.residency().resident, 3)
  map.lock()
  t.is(map.residency().resident, PAGES)
  t.true(hasFlag(map, 'lo'))
  map.unlock()
  t.false(hasFlag(map, 'lo'))
})

onLinux('lock with onFault keeps those pages in memory that are touched', (t) => {
  using map = mapAnonymous(PAGES * pageSize, { advice: 'nohugepage' })
  map.lock({ onFault: true })
  t.is(map.residency().resident, 0)
  t.true(hasFlag(map, 'lo'))
  map.buffer[5 * pageSize] = 1
  t.deepEqual(residentPages(map), [5])
  throwsCodedError(t, () => map.lock({ onFault: 1 as never }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

onLinux('the error for more than RLIMIT_MEMLOCK allows names the limit', async (t) => {
  const script = `
    const { mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    if (process.getuid() === 0) process.setuid(65534)
    try {
      mapAnonymous(1 << 20).lock()
      console.log('locked')
    } catch (error) {
      console.log(error.code, error.syscall, error.errno < 0, error.message.includes('RLIMIT_MEMLOCK'))
    }`
  const { stdout, stderr } = await runScript(underLimit(runtimes()[0]!, '-l 64'), script)
  t.is(stdout, 'ENOMEM mlock true true\n', stderr)
})

onLinux('the error for a lock beyond the end of the file says so', (t) => {
  const path = scratchFile(t, pattern(4 * pageSize))
  using map = mapShared(path, { onFault() {} })
  truncateSync(path, pageSize)
  const error = t.throws(() => map.lock(), { code: 'ENOMEM' })
  t.regex(error!.message, /file ends/)
})

onLinux('transparent huge pages are asked for', (t) => {
  using map = mapAnonymous(2 ** 23, { hugePages: 'transparent' })
  t.true(hasFlag(map, 'hg'))
  map.buffer.fill(1)
  t.true(map.buffer.every((byte) => byte === 1))
})

onLinux.serial('the error for an empty pool of huge pages names the pool', async (t) => {
  if ((await askForHugePages(t, 0)) > 0) return t.pass('the pool is not empty, and not ours to empty')
  for (const shared of [false, true]) {
    const error = throwsSystemError(t, () => mapAnonymous(2 * HUGE, { hugePages: HUGE, shared }), {
      code: 'ENOMEM',
      syscall: 'mmap',
    })
    t.regex(error.message, /\/proc\/sys\/vm\/nr_hugepages/)
  }
})

const create = { protection: 'read-write', create: true, onFault() {} } as const

/** Declares a test of files on a file system of huge pages, of which none is mapped when it ends. */
function onHugetlbfs(title: string, run: (t: ExecutionContext, path: string) => void): void {
  onLinux.serial(`files on hugetlbfs: ${title}, and none is left behind`, async (t) => {
    if ((await askForHugePages(t, 16)) < 6) return t.pass('this machine has no huge pages to give')
    const mounted = mountFileSystem(t, 'hugetlbfs')
    if (mounted === undefined) return
    run(t, join(mounted.folder, 'file'))
    t.false(readFileSync('/proc/self/maps', 'latin1').includes(mounted.folder))
  })
}

onHugetlbfs('a part of a huge page is mapped', (t, path) => {
  using map = mapShared(path, { ...create, length: 5000 })
  map.buffer.fill(7)
  map.syncSync()
  map.protect('read')
  throwsCodedError(t, () => map.resize(2 * HUGE), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
  using whole = mapShared(path, { ...create, length: HUGE })
  t.is(whole.read(4999, 2).toString('hex'), '0700')
})

onHugetlbfs('whole huge pages are mapped', (t, path) => {
  using map = mapShared(path, { ...create, length: 2 * HUGE, allocate: true })
  using part = mapPrivate(path, { offset: HUGE + 5, length: 10 })
  part.buffer.fill(8)
  t.true(part.read().every((byte) => byte === 8))
  for (const bytes of [map.read(HUGE), map.view(HUGE)]) t.true(bytes.every((byte) => byte === 0))
})

onHugetlbfs('a truncated file is a fault', (t, path) => {
  using map = mapShared(path, { ...create, length: 2 * HUGE })
  truncateSync(path, HUGE)
  t.is(map.buffer[HUGE + 5], 0)
  t.is(map.faults, 1)
})

onHugetlbfs('more pages than the pool has are refused', (t, path) => {
  for (const more of [{}, { allocate: true }, { populate: true }]) {
    const error = t.throws(() => mapShared(path, { ...create, length: 64 * HUGE, ...more }), { code: 'ENOMEM' })
    t.regex(error!.message, /nr_hugepages/)
    t.false(existsSync(path))
  }
})

onLinux.serial('explicit huge pages are mapped, protected and freed', async (t) => {
  if ((await askForHugePages(t, 16)) < 6) return t.pass('this machine has no huge pages to give')
  for (const shared of [false, true]) {
    using map = mapAnonymous(2 * HUGE + 5, { hugePages: HUGE, shared, onFault() {} })
    t.is(figuresAt(map.address).page, HUGE)
    map.buffer.fill(7)
    t.is(map.buffer.length, 2 * HUGE + 5)
    throwsCodedError(t, () => map.protect('read', { length: pageSize }), {
      instanceOf: RangeError,
      code: 'ERR_OUT_OF_RANGE',
    })
    map.protect('read', { length: HUGE })
    map.buffer[5] = 1
    t.is(map.faults, 1)
    t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
    t.is(map.buffer[5], 7, 'the store leaves no trace')
    t.throws(() => map.write(Buffer.of(1), 5), { code: 'ERR_MMAP_NOT_WRITABLE' })
    t.true(map.read().every((byte) => byte === 7))
    throwsCodedError(t, () => map.resize(4 * HUGE), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
  }
  t.true(freeHugePages() >= 6, 'closed mappings give their pages back')
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

withLargeFiles('residency of a large file gives the few pages that are in memory', (t) => {
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
