// Memory that processes share by name.

import { create } from './create.js'
import { invalidType, invalidValue, translate } from './errors.js'
import type { MemoryMap } from './memory-map.js'
import { native } from './native.js'
import { type Backing, FLAGS, isWritable, parseMemory, type SharedMemoryOptions } from './options.js'
import { checkListPermission, checkNamePermission, mayRemoveNames } from './permission.js'

/** Named memory, as {@link listSharedMemory} finds it. */
export interface NamedMemory {
  /** Without a slash. */
  readonly name: string
  /** Bytes that it has. */
  readonly length: number
  /** Bytes of memory that it takes. */
  readonly allocated: number
  /** Permissions, as of a file. */
  readonly mode: number
  /** The user who owns it. */
  readonly uid: number
  /** When it was last written to by a system call, or made longer: stores to mapped memory do not count. */
  readonly modified: Date
  /** Whether the name goes with its last user. */
  readonly temporary: boolean
  /** Whether it is known to be in use: by a process of `users`, or, if it is temporary, by any other. */
  readonly inUse: boolean
  /** The pids of the processes that have it mapped, of those that this process may look at. */
  readonly users: readonly number[]
}

/**
 * Maps named memory (shm_open(3)): every process of this machine that opens the name maps the same
 * memory. It stays until `unlinkSharedMemory`, even when nothing maps it, or until the machine restarts; with
 * `temporary` until its last user is gone.
 *
 * On Windows it is a section named `Local\` and the name: of the processes of one session, as long as it was made, in
 * whole pages, and gone with the last mapping of it. `mode` changes nothing there: it is this user's.
 *
 * ```js
 * const map = openSharedMemory('counters', { create: true, length: 4096 })
 * ```
 *
 * @param name without NUL, backslash and slash, but for one slash in front, which may be left out. Linux takes 255 bytes,
 * FreeBSD 1,022, Windows about 250 and macOS 30: more is `ENAMETOOLONG`
 * @throws `ENOENT`, `EEXIST`, `EACCES` and the OS's other errors; `EAGAIN` for memory that is being made and has no
 * length yet; `ERR_MMAP_BUSY` if its name is being removed for more than a second; `ENOSPC` with `allocate` or
 * `populate`; `ERR_MMAP_BEYOND_END`; `ERR_MMAP_UNSUPPORTED` for more than it was made with, on Windows
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
  if ((flags & FLAGS.temporary) !== 0 && mayRemoveNames()) native.removeUnusedSharedMemory()
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

/**
 * Lists the named memory of this machine, whoever made it, and POSIX semaphores with it (as `sem.NAME`). First removes
 * the names of this user's `temporary` memory that has no user any more. Looks at the maps of all processes, which takes
 * milliseconds.
 *
 * ```js
 * const left = listSharedMemory().filter(({ inUse }) => !inUse)
 * ```
 *
 * @throws `ERR_MMAP_UNSUPPORTED` on macOS, Windows and FreeBSD, and the OS's errors
 */
export function listSharedMemory(): NamedMemory[] {
  checkListPermission()
  try {
    if (mayRemoveNames()) native.removeUnusedSharedMemory()
    return native.listSharedMemory().map((memory) => {
      return Object.assign(memory, { name: memory.name.slice(1), modified: new Date(memory.modified) })
    })
  } catch (error) {
    throw translate(error)
  }
}

function toName(name: unknown): string {
  if (typeof name !== 'string') throw invalidType('name', 'of type string', name)
  const bare = name.startsWith('/') ? name.slice(1) : name
  if (bare === '' || /[/\\\0]/.test(bare) || bare === '.' || bare === '..') {
    throw invalidValue(
      'name',
      name,
      "must not be empty, '.' or '..', nor have a NUL, a backslash, or a slash other than one in front",
    )
  }
  return `/${bare}`
}
