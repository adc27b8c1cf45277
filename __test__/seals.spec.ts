// Seals: memory that nobody can truncate, extend or store to any more; and who can get at it.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, existsSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'
import {
  mapAnonymous,
  type MemoryMap,
  mapPrivate,
  mapShared,
  openSharedMemory,
  pageSize,
  unlinkSharedMemory,
} from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { onLinux, onPosix, where } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { Peer } from './helpers/processes.ts'
import { scratchFile } from './helpers/scratch.ts'

const asRoot = where(process.platform === 'linux' && process.getuid?.() === 0, 'becomes another user, as root can')
const elsewhere = where(process.platform !== 'linux', 'is about systems without seals')

const notSealed = { instanceOf: Error, code: 'ERR_MMAP_NOT_SEALED', says: ['seal'] }
const SEALS = ['shrink', 'grow', 'write'] as const

/**
 * What comes of it if another process that was sent the memory truncates, extends and stores to it, maps it to store and
 * maps it to load: true, or the number of the error.
 */
async function attempts(t: ExecutionContext, { fd, length }: MemoryMap): Promise<unknown> {
  const peer = await Peer.startPython(t, [fd!])
  await peer.run(`
def attempt(act):
    try:
        act()
        return True
    except OSError as error:
        return error.errno
`)
  const acts = [
    `os.ftruncate(3, ${length - pageSize})`,
    `os.ftruncate(3, ${length + pageSize})`,
    `os.pwrite(3, b"x", 0)`,
    `mmap.mmap(3, ${pageSize})`,
    `mmap.mmap(3, ${pageSize}, prot=mmap.PROT_READ)`,
  ]
  return await peer.run(`[${acts.map((act) => `attempt(lambda: ${act})`).join()}]`)
}

for (const [seal, expected] of [
  [undefined, [true, true, true, true, true]],
  ['shrink', [1, true, true, true, true]],
  ['grow', [true, 1, true, true, true]],
  ['write', [true, true, 1, 1, true]],
  [SEALS, [1, 1, 1, 1, true]],
] as const) {
  onLinux(`what another process can do with memory that has the seals: ${String(seal ?? 'none')}`, async (t) => {
    using map = mapAnonymous(2 * pageSize, { shared: true, seal })
    t.deepEqual(await attempts(t, map), expected)
    map.buffer.write('still stored to')
    t.is(map.toString('latin1', 0, 15), 'still stored to')
  })
}

onLinux('memory that was sent is mapped only if it has the required seals', (t) => {
  for (const [i, seal] of SEALS.entries()) {
    using map = mapAnonymous(pageSize, { shared: true, seal })
    for (const other of SEALS) {
      for (const make of [mapShared, mapPrivate]) {
        if (other === seal) make(map.fd!, { seal: other }).close()
        else throwsCodedError(t, () => make(map.fd!, { seal: other }), notSealed)
      }
    }
    throwsCodedError(t, () => mapShared(map.fd!, { seal: [seal, SEALS[(i + 1) % 3]!] }), notSealed)
  }
  using all = mapAnonymous(pageSize, { shared: true, seal: [...SEALS], allocate: true, populate: true })
  for (const seal of [[...SEALS], 'shrink', ['grow', 'grow'], []] as const) mapShared(all.fd!, { seal }).close()
  for (const unsealed of [scratchFile(t, 'file'), '/dev/zero', mapAnonymous(1, { shared: true }).fd!]) {
    throwsCodedError(t, () => mapShared(unsealed, { length: 1, seal: 'shrink' }), notSealed)
    mapShared(unsealed, { length: 1, seal: [] }).close()
  }
})

onLinux('nobody can add a seal, be the memory sealed or not', async (t) => {
  for (const seal of [undefined, 'shrink'] as const) {
    using map = mapAnonymous(pageSize, { shared: true, seal })
    const peer = await Peer.startPython(t, [map.fd!])
    // F_ADD_SEALS, F_SEAL_GROW
    await t.throwsAsync(peer.run('__import__("fcntl").fcntl(3, 1033, 4)'), { message: /EPERM|Operation not permitted/ })
  }
})

onLinux('a mapping stores to its sealed memory, also after other protections', (t) => {
  using map = mapAnonymous(pageSize, { shared: true, seal: 'write' })
  using reader = mapShared(map.fd!, { seal: 'write' })
  map.protect('read')
  map.protect('read-write')
  map.buffer[0] = 1
  t.is(reader.buffer[0], 1)
})

onLinux('the error for another mapping that would store to sealed memory says that it is sealed', (t) => {
  using map = mapAnonymous(pageSize, { shared: true, seal: 'write' })
  const error = throwsSystemError(t, () => mapShared(map.fd!, { protection: 'read-write' }), {
    code: 'EPERM',
    syscall: 'mmap',
  })
  t.regex(error.message, /sealed/)
})

for (const [seal, syscall] of [
  ['grow', 'fallocate'],
  [['grow', 'write'], 'mmap'],
] as const) {
  onLinux(`memory does not grow that has the seals: ${String(seal)}`, (t) => {
    using map = mapAnonymous(pageSize, { shared: true, seal })
    map.buffer[0] = 2
    t.regex(throwsSystemError(t, () => map.resize(2 * pageSize), { code: 'EPERM', syscall }).message, /sealed/)
    t.deepEqual([map.length, map.buffer[0]], [pageSize, 2])
  })
}

onLinux('a page of sealed memory that was stored to without permission stays read-only', (t) => {
  using map = mapAnonymous(pageSize, { shared: true, seal: 'write', onFault() {} })
  map.buffer[0] = 1
  map.protect('read')
  map.buffer[0] = 2
  t.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  const error = throwsSystemError(t, () => map.protect('read-write'), { code: 'EACCES', syscall: 'mprotect' })
  t.regex(error.message, /sealed/)
  t.deepEqual([map.protection, map.buffer[0], map.faults], ['read', 1, 1])
})

test('seals are refused for memory that cannot be sent, and so are unknown seals', (t) => {
  const value = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
  throwsCodedError(t, () => mapAnonymous(1, { seal: 'shrink' }), { ...value, says: ['`shared`'] })
  throwsCodedError(t, () => mapAnonymous(1, { shared: true, seal: 'srink' as never }), {
    ...value,
    says: ["'shrink'?"],
  })
  throwsCodedError(t, () => mapAnonymous(1, { shared: true, seal: ['shrink', 'all'] as never }), value)
  throwsCodedError(t, () => mapAnonymous(1, { shared: true, seal: ['write'], backing: 'shared-array-buffer' }), {
    ...value,
    says: ["'array-buffer'"],
  })
  const type = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
  for (const seal of [1, null, true, [['shrink']], {}]) {
    throwsCodedError(t, () => mapAnonymous(1, { shared: true, seal: seal as never }), type)
  }
})

elsewhere('seals are unsupported', (t) => {
  const unsupported = { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' }
  throwsCodedError(t, () => mapAnonymous(1, { shared: true, seal: 'shrink' }), unsupported)
  throwsCodedError(t, () => mapShared(scratchFile(t, 'file'), { seal: 'shrink' }), unsupported)
})

for (const runtime of runtimes()) {
  onLinux(`${runtime.name} ${runtime.version}: memory is sealed, and its maker can still store to it`, async (t) => {
    const peer = await Peer.start(t, runtime)
    await peer.run(`map = lib.mapAnonymous(${pageSize}, { shared: true, seal: ['shrink', 'grow', 'write'] }), 0`)
    await peer.run('map.buffer[0] = 7')
    const path = `/proc/${peer.pid}/fd/${await peer.run('map.fd')}`
    using map = mapShared(path, { seal: ['shrink', 'grow', 'write'] })
    t.is(map.buffer[0], 7)
    throwsSystemError(t, () => mapShared(path, { protection: 'read-write' }), { code: 'EPERM', syscall: 'mmap', path })
  })
}

// Who can get at it

onLinux('memory without a name belongs to its owner alone, be it sealed or not', (t) => {
  using map = mapAnonymous(1, { shared: true })
  t.is(fstatSync(map.fd!).mode & 0o7777, 0o600)
  using sealed = mapAnonymous(1, { shared: true, seal: 'grow' })
  t.is(fstatSync(sealed.fd!).mode & 0o7777, 0o600)
})

asRoot('another user who is sent read-only memory cannot open it again for stores', (t) => {
  using map = mapAnonymous(pageSize, { shared: true })
  map.buffer.write('secret')
  const fd = openSync(`/proc/self/fd/${map.fd}`, 'r')
  t.teardown(() => closeSync(fd))
  const script = `
import mmap, os
os.setgid(65534)
os.setuid(65534)
print(mmap.mmap(3, 6, prot=mmap.PROT_READ)[:].decode())
for act in [
    lambda: mmap.mmap(3, 6),
    lambda: open('/proc/self/fd/3', 'r+b'),
    lambda: open('/proc/${process.pid}/fd/${map.fd}', 'rb'),
    lambda: open('/proc/${process.pid}/mem', 'rb'),
]:
    try:
        act()
        print('done')
    except PermissionError as error:
        print(error.errno)`
  const { stdout, stderr } = spawnSync('python3', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe', fd],
    encoding: 'utf8',
  })
  t.is(stdout, 'secret\n13\n13\n13\n13\n', stderr)
})

const protectedFiles = '/proc/sys/fs/protected_regular'
const isProtected = existsSync(protectedFiles) && readFileSync(protectedFiles, 'utf8') !== '0\n'
where(process.getuid?.() === 0 && isProtected, 'needs root, and fs.protected_regular')(
  'memory that another user has put where it is to be made is not used',
  (t) => {
    const name = `mm-squat-${process.pid}`
    writeFileSync(`/dev/shm/${name}`, 'not zeros')
    t.teardown(() => unlinkSharedMemory(name))
    chmodSync(`/dev/shm/${name}`, 0o666)
    chownSync(`/dev/shm/${name}`, 65534, 65534)
    const refused = { code: 'EACCES', syscall: 'shm_open', path: `/${name}` } as const
    throwsSystemError(t, () => openSharedMemory(name, { create: true, length: 9 }), refused)
    using map = openSharedMemory(name)
    t.is(map.toString(), 'not zeros')
  },
)

onPosix('children do not inherit the descriptors of memory and files', (t) => {
  const name = `mm-seals-${process.pid}`
  using named = openSharedMemory(name, { create: true, length: 1 })
  t.teardown(() => unlinkSharedMemory(name))
  using file = mapShared(scratchFile(t, 'file'))
  using memory = mapAnonymous(1, { shared: true })
  const fds = [named, file, memory].map(({ fd }) => fd!)
  const printsThoseItHas = fds.map((fd) => `(: <&${fd}) 2>/dev/null && echo ${fd}`).join('\n')
  t.is(spawnSync('/bin/bash', ['-c', printsThoseItHas], { encoding: 'utf8' }).stdout, '')
})
