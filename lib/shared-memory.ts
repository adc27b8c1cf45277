// Memory that processes share by name.

import { create } from './create.js'
import { invalidType, invalidValue, translate } from './errors.js'
import type { MemoryMap } from './memory-map.js'
import { native } from './native.js'
import { type Backing, isWritable, parseMemory, type SharedMemoryOptions } from './options.js'
import { checkNamePermission } from './permission.js'

/**
 * Maps named memory (shm_open(3)): every process of this machine that opens the name maps the same
 * memory. It stays until `unlinkSharedMemory`, even when nothing maps it, or until the machine restarts.
 *
 * On Windows it is a section named `Local\` and the name: of the processes of one session, as long as it was made, in
 * whole pages, and gone with the last mapping of it. `mode` changes nothing there: it is this user's.
 *
 * ```js
 * const map = openSharedMemory('counters', { create: true, length: 4096 })
 * ```
 *
 * @param name without a slash, but for one in front, which may be left out. Linux takes 255 bytes, FreeBSD 1,022,
 * Windows about 250 and macOS 30: more is `ENAMETOOLONG`
 * @throws `ENOENT`, `EEXIST`, `EACCES` and the OS's other errors; `EAGAIN` for memory that is being made and has no
 * length yet; `ENOSPC` with `allocate` or `populate`; `ERR_MMAP_BEYOND_END`; `ERR_MMAP_UNSUPPORTED` for more than it
 * was made with, on Windows
 */
export function openSharedMemory(name: string, options?: Readonly<SharedMemoryOptions>): MemoryMap
export function openSharedMemory(
  name: string,
  options: Readonly<SharedMemoryOptions<'shared-array-buffer'>> & { readonly backing: 'shared-array-buffer' },
): MemoryMap<SharedArrayBuffer>
export function openSharedMemory(
  name: string,
  options?: Readonly<SharedMemoryOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
export function openSharedMemory(name: string, options?: Readonly<SharedMemoryOptions<Backing>>): MemoryMap<any> {
  const full = toName(name)
  const parsed = parseMemory(options)
  const { length, exclusive, protection, flags, mode, address } = parsed
  checkNamePermission(full, isWritable(protection) ? 'r+' : 'r')
  return create(
    'shared',
    undefined,
    parsed,
    () => native.mapSharedMemory(full, length, exclusive, protection, flags, mode, address),
    full,
  )
}

/**
 * Takes the name of shared memory away (shm_unlink(3)). Mappings of it stay as they are; the memory goes with the
 * last of them. On Windows this does nothing and never fails: the name goes with the last mapping, and not before.
 *
 * @throws `ENOENT` and the OS's other errors
 */
export function unlinkSharedMemory(name: string): void {
  const full = toName(name)
  checkNamePermission(full, 'a')
  try {
    native.unlinkSharedMemory(full)
  } catch (error) {
    throw translate(error, full)
  }
}

function toName(name: unknown): string {
  if (typeof name !== 'string') throw invalidType('name', 'of type string', name)
  const bare = name.startsWith('/') ? name.slice(1) : name
  if (bare === '' || /[/\\\0]/.test(bare) || bare === '.' || bare === '..') {
    throw invalidValue('name', name, 'must not be empty, or have a slash other than one in front')
  }
  return `/${bare}`
}
