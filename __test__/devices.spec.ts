// Devices: /dev/zero and block devices can be mapped; the error for another device says that it cannot.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, promises, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'
import { mapPrivate, mapShared, type MemoryFault, pageSize } from 'memory-map'

import { openDescriptors } from './helpers/memory.ts'
import { isWindows, onLinux, onPosix, where } from './helpers/platform.ts'
import { run, shellLine } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

// All are serial, for some count this process's descriptors.
const withZeros = where(!isWindows && process.platform !== 'darwin', 'mmap(2) refuses every device')
const maps = { mapShared, mapPrivate }
const readWrite = { protection: 'read-write' } as const

for (const [name, map] of Object.entries(maps)) {
  withZeros.serial(`${name} of /dev/zero is zeroed memory of its own`, (t) => {
    const length = 5 * pageSize + 100
    const one = map('/dev/zero', { ...readWrite, length })
    const other = map('/dev/zero', { ...readWrite, length })
    t.is(one.length, length)
    t.is(one.path, '/dev/zero')
    t.deepEqual(one.buffer, Buffer.alloc(length))

    one.buffer.fill('kept')
    t.is(one.read(0, 8).toString(), 'keptkept')
    t.is(one.view(length - 4).toString(), 'kept')
    t.deepEqual(other.buffer, Buffer.alloc(length), 'the other mapping has got the stores')

    one.close()
    t.is(other.buffer.length, length)
    other.close()
  })

  withZeros.serial(`${name} of a descriptor of /dev/zero works after the descriptor is closed`, (t) => {
    const fd = openSync('/dev/zero', 'r+')
    const mapping = map(fd, { ...readWrite, length: pageSize })
    t.true(fstatSync(fd).isCharacterDevice(), 'the descriptor is the caller’s still')
    closeSync(fd)
    mapping.buffer.writeUInt32LE(0xdecade, 8)
    t.is(mapping.read(8, 4).readUInt32LE(), 0xdecade)
    mapping.close()
  })

  withZeros.serial(`${name} of /dev/zero may start at any offset`, (t) => {
    const mapping = map('/dev/zero', { ...readWrite, offset: 3 * pageSize + 5, length: 10 })
    t.is(mapping.offset, 3 * pageSize + 5)
    mapping.buffer.write('0123456789')
    t.is(mapping.read().toString(), '0123456789')
    mapping.close()
  })

  onPosix.serial(`${name} of /dev/zero without a length asks for one`, (t) => {
    const before = openDescriptors()
    const error = t.throws(() => map('/dev/zero'), { instanceOf: TypeError })!
    t.is((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error.message, /"length" is needed/)
    t.is(openDescriptors(), before)
  })

  withZeros.serial(
    `${name} of /dev/zero: a store to a read-only page is contained, and the page keeps its bytes`,
    async (t) => {
      let onFault!: (fault: MemoryFault) => void
      const told = new Promise<MemoryFault>((resolve) => (onFault = resolve))
      // A fault that waits to be reported does not keep the process alive.
      const alive = setTimeout(() => {}, 60_000)
      const mapping = map('/dev/zero', { ...readWrite, length: 3 * pageSize, onFault })
      mapping.buffer.fill('old!')
      mapping.protect('read', { offset: pageSize, length: pageSize })

      mapping.buffer.fill('new?')

      t.is(mapping.faults, 1)
      const fault = await told
      clearTimeout(alive)
      t.like(fault, { kind: 'protection', offset: pageSize, contained: true })
      t.is(mapping.read(pageSize - 4, 4).toString(), 'new?')
      t.deepEqual(mapping.read(pageSize, pageSize), Buffer.alloc(pageSize, 'old!'))
      t.is(mapping.read(2 * pageSize, 4).toString(), 'new?')
      mapping.close()
    },
  )

  for (const device of ['/dev/null', '/dev/random', '/dev/urandom', '/dev/full'].filter((path) => existsSync(path))) {
    onPosix.serial(`${name} of ${device} is refused`, (t) => {
      const before = openDescriptors()
      for (const options of [{ length: pageSize }, { length: 1, offset: 7 }, { ...readWrite, length: pageSize }]) {
        isRefused(t, () => map(device, options), device)
      }
      const fd = openSync(device, 'r')
      isRefused(t, () => map(fd, { length: pageSize }))
      closeSync(fd)
      t.is(openDescriptors(), before)
    })

    onPosix.serial(`${name} of ${device} is refused without a length too, and the error does not ask for one`, (t) => {
      isRefused(t, () => map(device), device)
    })
  }
}

function isRefused(t: ExecutionContext, map: () => unknown, path?: string): void {
  const error = t.throws(map, { instanceOf: Error }) as NodeJS.ErrnoException | undefined
  if (error === undefined) return
  t.like(error, { code: 'ENODEV', errno: -19, syscall: 'mmap' })
  t.is(error.path, path)
  t.regex(error.message, /^ENODEV: .*character device cannot be mapped/)
}

onLinux.serial('/dev/tty is refused with a message about terminals', async (t) => {
  const script = join(scratchFolder(t), 'tty.mjs')
  writeFileSync(
    script,
    `const lib = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    for (const map of [lib.mapShared, lib.mapPrivate]) {
      for (const options of [undefined, { length: 4096 }, { length: 4096, protection: 'read-write' }]) {
        try {
          map('/dev/tty', options)
          console.log('mapped')
        } catch (error) {
          console.log(error.code, error.message)
        }
      }
    }`,
  )
  const { code, signal, stdout } = await run('script', ['-qec', shellLine([process.execPath, script]), '/dev/null'])

  t.deepEqual({ code, signal }, { code: 0, signal: null }, stdout)
  const lines = stdout.trim().split(/\r?\n/)
  t.is(lines.length, 6, stdout)
  for (const line of lines) t.regex(line, /^ENODEV ENODEV: .*'\/dev\/tty': it is a terminal/)
})

/** A block device over a file of random bytes, where this machine lets us make one. */
function loopDevice(
  t: ExecutionContext,
  size: number,
  sector = 512,
): { device: string; disk: string; bytes: Buffer } | undefined {
  const disk = join(scratchFolder(t), 'disk')
  const bytes = randomBytes(size)
  writeFileSync(disk, bytes)
  let device: string
  try {
    const args = ['--find', '--show', '--sector-size', String(sector), disk]
    device = execFileSync('losetup', args, { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch (error) {
    t.log(`skipped: no loop device here (${(error as Error).message.trim()})`)
    t.pass()
    return undefined
  }
  t.teardown(() => execFileSync('losetup', ['--detach', device]))
  return { device, disk, bytes }
}

onLinux.serial('a block device is mapped whole without a length', (t) => {
  const loop = loopDevice(t, 2 ** 20)
  if (loop === undefined) return
  for (const map of [mapShared, mapPrivate]) {
    const mapping = map(loop.device, { protection: 'read' })
    t.is(mapping.length, 2 ** 20)
    t.true(mapping.buffer.equals(loop.bytes))
    mapping.close()
  }
})

onLinux.serial('a part of a block device is mapped from any byte, by path and by descriptor', (t) => {
  const loop = loopDevice(t, 2 ** 20)
  if (loop === undefined) return
  const fd = openSync(loop.device, 'r')
  const mapping = mapShared(fd, { offset: 70_001, length: 100_000 })
  const rest = mapPrivate(fd, { offset: 2 ** 20 - 3 })
  closeSync(fd)
  t.true(mapping.buffer.equals(loop.bytes.subarray(70_001, 170_001)))
  t.deepEqual(rest.read(), loop.bytes.subarray(-3))
  mapping.close()
  rest.close()
})

onLinux.serial('a mapping past the end of a block device is refused', (t) => {
  const loop = loopDevice(t, 2 ** 20)
  if (loop === undefined) return
  for (const options of [{ length: 2 ** 20 + 1 }, { offset: 2 ** 20 - 10, length: 11 }, { offset: 2 ** 20 + 1 }]) {
    t.throws(() => mapShared(loop.device, options), { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END' })
  }
})

for (const sector of [512, 4096]) {
  onLinux.serial(`a block device with sectors of ${sector} bytes does not become longer`, (t) => {
    const size = 2 ** 20 + sector
    const loop = loopDevice(t, size, sector)
    if (loop === undefined) return
    const create = { ...readWrite, create: true } as const
    const beyondEnd = { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END', message: new RegExp(`${size} bytes`) }
    for (const more of [{}, { allocate: true }, { populate: true }]) {
      t.throws(() => mapShared(loop.device, { ...create, ...more, length: 2 ** 21 }), beyondEnd)
      t.throws(() => mapShared(loop.device, { ...create, ...more, length: size + 1 }), beyondEnd)
      t.throws(() => mapShared(loop.device, { ...create, ...more, offset: size, length: 1 }), beyondEnd)
      t.throws(() => mapShared(loop.device, { ...create, ...more, offset: size }), { code: 'ERR_INVALID_ARG_VALUE' })
    }
    const map = mapShared(loop.device, { ...create, length: size, populate: true })
    t.true(map.read().equals(loop.bytes))
    t.throws(() => map.resize(size + 1), beyondEnd)
    map.resize(100)
    t.deepEqual(map.read(), loop.bytes.subarray(0, 100))
    map.close()
  })
}

onLinux.serial('a shared store reaches a block device, a private one does not', async (t) => {
  const loop = loopDevice(t, 2 ** 20)
  if (loop === undefined) return
  const shared = mapShared(loop.device, readWrite)
  const ours = mapPrivate(loop.device)

  ours.buffer.write('private', 5000)
  shared.buffer.write('shared', 300_000)
  await shared.sync()

  const expected = Buffer.from(loop.bytes)
  expected.write('shared', 300_000)
  t.true((await promises.readFile(loop.disk)).equals(expected))
  t.is(ours.read(5000, 7).toString(), 'private')
  shared.close()
  ours.close()
})

onLinux.serial('the disk of the root folder is mapped for reading, or the system refuses it', (t) => {
  const device = rootDisk()
  if (device === undefined) {
    t.log('skipped: the root folder is on no block device')
    t.pass()
    return
  }
  let fd: number
  try {
    fd = openSync(device, 'r')
  } catch (refusal) {
    const { code, errno } = refusal as NodeJS.ErrnoException
    t.log(`${device} cannot be opened here: ${code}`)
    const error = t.throws(() => mapShared(device, { length: pageSize })) as NodeJS.ErrnoException
    t.like(error, { code, errno, syscall: 'open', path: device })
    return
  }
  closeSync(fd)
  const mapping = mapShared(device, { length: pageSize })
  t.is(mapping.read().length, pageSize)
  t.is(mapping.faults, 0)
  mapping.close()
})

function rootDisk(): string | undefined {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const device = mounts.map((line) => line.split(' ')).find(([, , , , at]) => at === '/')?.[2]
  const uevent = `/sys/dev/block/${device}/uevent`
  try {
    return `/dev/${/^DEVNAME=(.*)$/m.exec(readFileSync(uevent, 'utf8'))![1]}`
  } catch {
    return undefined
  }
}
