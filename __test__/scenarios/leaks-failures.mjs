// Thousands of calls that fail, for every possible reason, leave nothing behind.

import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'

import { mapAnonymous, mapPrivate, mapShared, openSharedMemory, pageSize, unlinkSharedMemory } from '../../index.js'
import { check, isBun, isDeno, pipe, turn } from '../helpers/observe.mjs'
import { MiB, here, path, leavesNothing } from './leaks.mjs'

const rw = /** @type {const} */ ({ protection: 'read-write' })
const fifo = join(here, 'fifo')
const waiting = pipe(fifo)
const server = net.createServer().listen(join(here, 'socket'))
await new Promise((resolve) => server.once('listening', resolve))
const terminal = fs.openSync('/dev/ptmx', 'r+')
const readOnly = fs.openSync(path, 'r')
const writeOnly = fs.openSync(path, 'a')
const closed = 999_999
const names = { free: '/memory-map-' + process.pid + '-free', taken: '/memory-map-' + process.pid }
openSharedMemory(names.taken, { create: true, length: 4096 }).close()

const open = {
  read: mapShared(path),
  write: mapShared(path, rw),
  private: mapPrivate(path),
  memory: mapAnonymous(4096),
  closed: mapAnonymous(4096),
  truncated: (() => {
    fs.writeFileSync(join(here, 'cut'), Buffer.alloc(3 * pageSize))
    const map = mapShared(join(here, 'cut'), { ...rw, onFault() {} })
    fs.truncateSync(join(here, 'cut'), 10)
    return map
  })(),
  shared: mapAnonymous(4096, { shared: true }),
}
open.closed.close()
const aborted = AbortSignal.abort()

/** By code: calls that fail with it. Those that name a file try it as a shared and as a private mapping. */
const both = (file, options) => [() => mapShared(file, options), () => mapPrivate(file, options)]
const failures = {
  ENOENT: [
    ...both(join(here, 'missing')),
    () => mapShared(join(here, 'missing'), rw),
    () => mapShared(join(here, 'missing/file'), { ...rw, create: true, length: 1 }),
    () => openSharedMemory(names.free),
    () => unlinkSharedMemory(names.free),
  ],
  ENOTDIR: both(join(path, 'file')),
  EEXIST: [() => openSharedMemory(names.taken, { create: true, exclusive: true, length: 4096 })],
  EISDIR: [...both(here), () => mapShared(here, { ...rw, create: true, length: 1 })],
  EACCES: [
    () => mapShared(readOnly, rw),
    () => mapShared(readOnly, { ...rw, create: true, length: 2 * MiB }),
    ...both(writeOnly),
    () => open.read.protect('read-write'),
  ],
  ENODEV: [
    ...both(fifo),
    ...both(waiting),
    ...both(0),
    ...both(join(here, 'socket')),
    ...both(terminal),
    ...both('/dev/null'),
    ...both('/dev/null', { length: 100 }),
    ...both('/dev/tty0', { length: 1 }),
  ],
  EBADF: [...both(closed), ...both({ fd: -1 })],
  EFBIG: [() => mapShared(path, { ...rw, create: true, length: Number.MAX_SAFE_INTEGER })],
  ENOMEM: [
    () => mapAnonymous(2 ** 50),
    () => mapAnonymous(2 ** 50, { shared: true, reserve: false }),
    () => mapAnonymous(2 ** 50, { backing: 'shared-array-buffer' }),
    () => open.memory.resize(2 ** 50),
    () => open.shared.resize(2 ** 50),
  ],
  ERR_MMAP_BEYOND_END: [
    ...both(path, { offset: 2 * MiB }),
    ...both(path, { length: 2 * MiB }),
    ...both(path, { offset: 5, length: MiB }),
    () => open.read.resize(2 * MiB),
  ],
  ERR_INVALID_ARG_VALUE: [
    ...both(path, { ofset: 1 }),
    ...both(path, { protection: 'write' }),
    ...both(path, { backing: 'heap' }),
    ...both('a\0b'),
    () => mapShared(path, { create: true }),
    // @ts-expect-error: wrong on purpose
    () => mapPrivate(path, { create: true }),
    // @ts-expect-error: wrong on purpose
    () => mapAnonymous(1, { advice: 'soon' }),
    ...both('/dev/zero'),
    // @ts-expect-error: wrong on purpose
    () => open.memory.protect('exec'),
  ],
  ERR_INVALID_ARG_TYPE: [
    ...both(undefined),
    ...both({}),
    ...both(path, 5),
    ...both(path, { offset: '1' }),
    ...both(path, { populate: 1 }),
    ...both(path, { address: 4096 }),
    ...both(path, { onFault: 5 }),
    // @ts-expect-error: wrong on purpose
    () => mapAnonymous('1'),
    // @ts-expect-error: wrong on purpose
    () => open.memory.write('text'),
    // @ts-expect-error: wrong on purpose
    () => open.memory.typedArray('Int8Array'),
  ],
  ERR_OUT_OF_RANGE: [
    ...both(-1),
    ...both(1.5),
    ...both(path, { offset: -1 }),
    ...both(path, { length: 2n ** 64n }),
    () => mapAnonymous(NaN),
    () => mapAnonymous(2 ** 60),
    () => open.memory.view(4097),
    () => open.memory.read(0, 4097),
    () => open.memory.write(Buffer.alloc(2), 4095),
    () => open.memory.protect('read', { offset: 1 }),
    () => open.write.syncSync({ offset: 2 * MiB }),
  ],
  ERR_MMAP_NOT_WRITABLE: [() => open.read.write(Buffer.of(1)), () => open.read.write(Buffer.of(1), 5)],
  ERR_MMAP_NOT_SHARED: [() => open.private.syncSync(), () => open.memory.syncSync(), () => open.private.sync()],
  ERR_MMAP_CLOSED: [
    () => open.closed.buffer,
    () => open.closed.read(),
    () => open.closed.view(),
    () => open.closed.sync(),
    () => open.closed.protect('read'),
    () => open.closed.resize(1),
    () => open.closed.check(),
  ],
  ERR_MMAP_FAULT: [
    () => open.truncated.read(2 * pageSize, 1),
    () => open.truncated.write(Buffer.of(1), 2 * pageSize),
    () => open.truncated.indexOf('text', pageSize),
  ],
  ABORT_ERR: [() => open.write.sync({ signal: aborted }), () => open.write.prefetch({ signal: aborted })],
}
if (process.env.SMALL) {
  const full = join(process.env.SMALL, 'full')
  fs.writeFileSync(full, 'text')
  failures.ENOSPC = [() => mapShared(full, { ...rw, create: true, allocate: true, length: 128 * MiB })]
}
// Root may open everything, so another user tries, where the runtime can change to one and back.
let secret
if (process.getuid() === 0 && typeof process.seteuid === 'function') {
  secret = join(here, 'secret')
  fs.writeFileSync(secret, 'text')
  fs.chmodSync(secret, 0)
}
const attempt = async (code, run) => {
  try {
    await run()
  } catch (error) {
    return check(error.code === code, code + ': ' + run + ' is ' + (error.stack ?? error))
  }
  check(false, code + ': ' + run + ' has not failed')
}
await leavesNothing(
  'failing',
  async (i) => {
    for (const [code, runs] of Object.entries(failures)) for (const run of runs) await attempt(code, run)
    if (secret !== undefined) {
      process.seteuid(65534)
      try {
        for (const run of both(secret)) await attempt('EACCES', run)
      } finally {
        process.seteuid(0)
      }
    }
    try {
      open.truncated.check()
    } catch {}
    if (i % 20 === 0) await turn()
  },
  100,
)
check(
  Object.keys(failures).length >= 19 && (secret !== undefined || process.getuid() !== 0 || isBun || isDeno),
  'too few',
)
for (const map of Object.values(open)) map.close()
for (const fd of [waiting, terminal, readOnly, writeOnly]) fs.closeSync(fd)
unlinkSharedMemory(names.taken)
await new Promise((resolve) => server.close(resolve))
console.log('reached the end')
process.exit() // Deno would wait for a terminal that nobody reads
