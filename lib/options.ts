// The options, and their allowed values.

import { type Advice, toAdvice } from './advice.js'
import { type Bytes, toBoolean, toBytes } from './arguments.js'
import { check, toChoice } from './choices.js'
import { invalidType, invalidValue, outOfRange } from './errors.js'
import type { MemoryFault } from './faults.js'
import { native } from './native.js'

/** What may be done with pages, as `PROT_*` of mmap(2). */
export type Protection = 'none' | 'read' | 'read-write' | 'read-execute' | 'read-write-execute'

/** In the native library's order. */
export const PROTECTIONS = native.protectionNames() as readonly Protection[]

/** Where the stores of a mapping go: to the file, to private pages of it, or to no file. */
export type Kind = 'shared' | 'private' | 'anonymous'

/** What nobody can do to memory any more, whoever has its descriptor: make it shorter or longer, or store to it. */
export type Seal = 'shrink' | 'grow' | 'write'

/** What lies under the views of a mapping. */
export type Backing = 'array-buffer' | 'shared-array-buffer'

/** In the order of {@link Parsed.shares}. */
const BACKINGS: readonly Backing[] = ['array-buffer', 'shared-array-buffer']

/** The options of every mapping. */
export interface MapOptions<B extends Backing = 'array-buffer'> {
  /** What may be done with the pages. Default: `'read'` for a shared mapping of a file, `'read-write'` for the others. */
  readonly protection?: Protection | undefined
  /**
   * Bring the pages in before the call returns (`MAP_POPULATE`). Throws `ENOSPC` if there is no room for what is
   * mapped (Linux). Default: false.
   */
  readonly populate?: boolean | undefined
  /** Reserve swap space for pages that can be written; `false` is `MAP_NORESERVE`. Default: true. */
  readonly reserve?: boolean | undefined
  /** Where in memory the mapping should be, if that is free: a hint, as in mmap(2). */
  readonly address?: bigint | undefined
  /**
   * What lies under the views. Default: `'array-buffer'`.
   *
   * - `'array-buffer'`: detached by `close()`, and accepted by every API; but the engine counts all its bytes as
   *   memory in use, and collects garbage because of them.
   * - `'shared-array-buffer'`: not counted, and shared with worker threads by `postMessage` without a copy. It
   *   cannot be detached: after `close()` its views read zeros, and their first use is a fault.
   */
  readonly backing?: B | undefined
  /** Applied at once, as by `advise`. Default: `'normal'`. */
  readonly advice?: Advice | undefined
  /** Catch faults in the mapping, so that no load or store can end the process. Default: true. */
  readonly guard?: boolean | undefined
  /** Called with every fault, on the next turn of the event loop. Default: a process warning, once. */
  readonly onFault?: ((fault: MemoryFault) => void) | undefined
}

/** The options of a mapping of a file. */
export interface FileMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
  /** Where in the file to start, in bytes; any byte will do. Default: 0. */
  readonly offset?: Bytes | undefined
  /** How many bytes to map. Default: to the end of the file. */
  readonly length?: Bytes | undefined
  /**
   * Keep a descriptor of the file for as long as the mapping is open; a process may have few (`ulimit -n`). With
   * `false` the file is closed as soon as it is mapped, `fd` is undefined, and this is lost:
   *
   * - A page of a shared mapping that has failed, or was stored to without permission, cannot be mapped again: it
   *   reads zeros until `close()`, `contained` is false, and `sync()` rejects from then on. Its kind after the end of
   *   the file is `'io'`. Pages of a private mapping are still restored after a store without permission.
   * - No call notices that the file has become shorter inside its last page.
   * - `resize()`, what must know who is alive (`Mutex`, `Channel`...), and `sync()` on macOS and FreeBSD, throw
   *   `ERR_MMAP_UNSUPPORTED`.
   *
   * Even so no access ends the process. Needs the backing `'array-buffer'`. Without effect on Windows, where a
   * mapping has no descriptor. Default: true.
   *
   * @example
   * const maps = paths.map((path) => mapShared(path, { keepOpen: false })) // also thousands
   */
  readonly keepOpen?: boolean | undefined
  /**
   * Map it only if it is memory with these seals (`mapAnonymous`), else throw `ERR_MMAP_NOT_SEALED`: for a descriptor
   * that somebody else has sent. Linux. Default: none.
   *
   * @example
   * const received = mapShared(3, { seal: 'shrink' }) // no one can take its pages away
   */
  readonly seal?: Seal | readonly Seal[] | undefined
}

/** The options of a shared mapping of a file. */
export interface SharedMapOptions<B extends Backing = 'array-buffer'> extends FileMapOptions<B> {
  /**
   * Make the file if it is missing, and extend it (never shrink it) to `offset + length`. Without `length` a file
   * that is there is mapped to its end; for a new or empty one give a `length`, 0 if it is for `resize`. Needs a
   * protection that can write. If the call fails the file is as it was, or there is none (one that a symbolic link
   * leads to, and that was missing, is empty). Default: false.
   */
  readonly create?: boolean | undefined
  /** Permissions of a file that `create` makes, less the umask: a number, or octal text as '0644'. Default: 0o666. */
  readonly mode?: number | string | undefined
  /**
   * Reserve disk blocks for the range first, so that a full disk is an `ENOSPC` error here instead of a fault
   * later. Needs a writable protection. File systems that copy on write (btrfs, ZFS, XFS with reflinks) may need a
   * new block for each store all the same. Default: false.
   */
  readonly allocate?: boolean | undefined
}

/** The options of a mapping without a file. */
export interface AnonymousMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
  /**
   * Put the memory in an anonymous file (memfd_create(2)), whose `fd` can be handed to a child process
   * through `stdio`. Default: false.
   */
  readonly shared?: boolean | undefined
  /**
   * With `shared`: reserve the memory for all of it first, so that a lack of memory is an error here (`ENOSPC`)
   * instead of a fault later. Default: false.
   */
  readonly allocate?: boolean | undefined
  /**
   * With `shared`: what nobody can do to the memory from now on, whoever is given the descriptor. It cannot be undone.
   *
   * - `'shrink'`, `'grow'`: make it shorter, longer. `resize()` to more than its first length throws `EPERM` where it
   *   cannot grow.
   * - `'write'`: store to it, but through this mapping. Others can map it with `'read'` only. A page of it that has
   *   failed, or was stored to without permission, is not for stores again, and `resize()` throws `EPERM`. Needs the
   *   backing `'array-buffer'`.
   *
   * Linux, from 5.1 on. Default: none.
   *
   * @example
   * const map = mapAnonymous(4096, { shared: true, seal: ['shrink', 'write'] })
   */
  readonly seal?: Seal | readonly Seal[] | undefined
  /**
   * Large pages: `'transparent'` if the system can make some by itself, or their size in bytes (2 ** 21,
   * 2 ** 30), which come from a pool that must have been set aside (`/proc/sys/vm/nr_hugepages`). The mapping
   * then takes whole pages of that size, and cannot be resized. Default: none.
   */
  readonly hugePages?: 'transparent' | Bytes | undefined
}

/** The options of named shared memory. */
export interface SharedMemoryOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
  /** How many bytes to map. Default: all of it. Required with `create`. */
  readonly length?: Bytes | undefined
  /** Make it if it is missing, and extend it (never shrink it) to `length`. Default: false. */
  readonly create?: boolean | undefined
  /** With `create`: fail with `EEXIST` if it is there. Default: false. */
  readonly exclusive?: boolean | undefined
  /**
   * With `create`: the name of what is made goes with its last user. Users are the mappings that `openSharedMemory` has
   * made of it, until they are closed or their process ends, however it ends: if it is killed, who next opens the name,
   * lists names or makes such memory removes it. Memory that is there already stays what it is. The owner can always
   * open it to read and write (`mode`). `ERR_MMAP_UNSUPPORTED` on macOS and FreeBSD; on Windows every name goes with
   * the last mapping. Default: false.
   *
   * @example
   * using map = openSharedMemory('progress', { create: true, temporary: true, length: 4096 })
   */
  readonly temporary?: boolean | undefined
  /**
   * Reserve the memory for all of it first, so that a full `/dev/shm` (Docker gives 64 MiB) is an `ENOSPC` error here
   * instead of a fault later. Needs a protection that can write. `ENOTSUP` on macOS; on Windows the memory is always
   * reserved. Default: false.
   */
  readonly allocate?: boolean | undefined
  /** Permissions of what `create` makes, less the umask, as for files. Default: 0o600, the owner alone. */
  readonly mode?: number | string | undefined
}

const COMMON = ['protection', 'populate', 'reserve', 'address', 'advice', 'backing', 'guard', 'onFault']
const PRIVATE = [...COMMON, 'offset', 'length', 'keepOpen', 'seal']
const SHARED = [...PRIVATE, 'create', 'mode', 'allocate']
const MEMORY = [...COMMON, 'length', 'create', 'exclusive', 'temporary', 'mode', 'allocate']
const ANONYMOUS = [...COMMON, 'shared', 'allocate', 'seal', 'hugePages']

/** The bits of what the native library is told besides. */
export const FLAGS = native.mapFlags()

const SEALS: readonly Seal[] = ['shrink', 'grow', 'write']
const SEAL_FLAGS = [FLAGS.sealShrink, FLAGS.sealGrow, FLAGS.sealWrite] as const

/** Options as the native library takes them. */
export interface Parsed {
  offset: number
  protection: number
  flags: number
  address: bigint | null
  /** Whether the backing is shared. */
  shares: boolean
  /** Whether an anonymous mapping is of a file that other processes can be given. */
  shared: boolean
  advice: Advice | undefined
  onFault: ((fault: MemoryFault) => void) | undefined
}

export interface ParsedFile extends Parsed {
  /** Negative: to the end of the file. */
  length: number
  mode: number
}

/** The number of a protection. */
export function toProtection(value: unknown, name: string): number {
  return toChoice(value, name, PROTECTIONS)
}

/** Whether a protection, by its number, lets stores through. */
export function isWritable(protection: number): boolean {
  return PROTECTIONS[protection]!.startsWith('read-write')
}

/** What calls without options get: looking for each would take a tenth of their time. */
const usual: { shared?: ParsedFile; private?: ParsedFile; anonymous?: ParsedAnonymous } = {}

export function parseShared(options: unknown): ParsedFile {
  if (options === undefined) return (usual.shared ??= parseShared({}))
  const given = check<SharedMapOptions<Backing>>(options, SHARED)
  const parsed = parseMapped(given, 'read')
  parsed.flags |= toChanges(given, parsed, 'file')
  parsed.mode = toMode(given.mode, 0o666)
  return parsed
}

/** The flags of what changes the file, or the memory, which needs a protection that can write. */
function toChanges(given: Pick<SharedMapOptions, 'create' | 'allocate'>, { protection }: Parsed, what: string): number {
  let flags = 0
  for (const [name, flag] of [
    ['create', FLAGS.create],
    ['allocate', FLAGS.allocate],
  ] as const) {
    if (!toBoolean(given[name], `options.${name}`, false)) continue
    if (!isWritable(protection)) {
      throw invalidValue(`options.${name}`, true, `needs the protection 'read-write': it changes the ${what}`)
    }
    flags |= flag
  }
  return flags
}

/** A mode is a number or octal text, as for `fs`. */
function toMode(given: unknown, fallback: number): number {
  if (given === undefined) return fallback
  const mode = typeof given === 'string' && /^[0-7]+$/.test(given) ? Number.parseInt(given, 8) : given
  if (typeof mode !== 'number') throw invalidType('options.mode', "a number or octal text, as '0644'", given)
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) {
    throw outOfRange('options.mode', 'a whole number from 0 to 0o7777', given)
  }
  return mode
}

export interface ParsedMemory extends ParsedFile {
  exclusive: boolean
}

export function parseMemory(options: unknown): ParsedMemory {
  const given = check<SharedMemoryOptions<Backing>>(options, MEMORY)
  const parsed = parseFile(given, 'read-write')
  const exclusive = toBoolean(given.exclusive, 'options.exclusive', false)
  if (given.create && given.length === undefined) {
    throw invalidValue('options.length', undefined, 'is needed with `create`: new memory has no length yet')
  }
  parsed.flags |= toChanges(given, parsed, 'memory')
  if (exclusive && !given.create) throw invalidValue('options.exclusive', exclusive, 'needs `create`')
  if (toBoolean(given.temporary, 'options.temporary', false)) {
    if (!given.create) throw invalidValue('options.temporary', true, 'needs `create`')
    parsed.flags |= FLAGS.temporary
  }
  parsed.exclusive = exclusive
  parsed.mode = toMode(given.mode, 0o600)
  return parsed
}

export function parsePrivate(options: unknown): ParsedFile {
  if (options === undefined) return (usual.private ??= parsePrivate({}))
  return parseMapped(check<FileMapOptions<Backing>>(options, PRIVATE), 'read-write')
}

export interface ParsedAnonymous extends Parsed {
  /** Bytes of a huge page; 0 for none, 1 for transparent ones. */
  hugePages: number
}

export function parseAnonymous(options: unknown): ParsedAnonymous {
  if (options === undefined) return (usual.anonymous ??= parseAnonymous({}))
  const given = check<AnonymousMapOptions<Backing>>(options, ANONYMOUS)
  const parsed = parse(given, 'read-write')
  parsed.shared = toBoolean(given.shared, 'options.shared', false)
  if (toBoolean(given.allocate, 'options.allocate', false)) {
    if (!parsed.shared) {
      throw invalidValue('options.allocate', true, 'needs `shared`; for memory without a file use `populate`')
    }
    parsed.flags |= FLAGS.allocate
  }
  const seals = toSeals(given.seal)
  if (seals !== 0) {
    if (!parsed.shared) throw invalidValue('options.seal', given.seal, 'needs `shared`')
    if (parsed.shares && (seals & FLAGS.sealWrite) !== 0) {
      throw invalidValue('options.seal', given.seal, "needs the backing 'array-buffer' to have 'write'")
    }
    parsed.flags |= seals
  }
  parsed.hugePages = toHugePages(given.hugePages)
  return parsed
}

/** The flags of one seal, or of several. */
function toSeals(value: unknown): number {
  if (value === undefined) return 0
  let flags = 0
  for (const seal of Array.isArray(value) ? value : [value]) {
    flags |= SEAL_FLAGS[toChoice(seal, 'options.seal', SEALS)]!
  }
  return flags
}

function toHugePages(value: unknown): number {
  const name = 'options.hugePages'
  if (value === undefined) return 0
  if (value === 'transparent') return 1
  const expected = "'transparent' or the size of a huge page in bytes (2 ** 21, 2 ** 30)"
  if (typeof value === 'string') throw invalidValue(name, value, `must be ${expected}`)
  if (typeof value !== 'number' && typeof value !== 'bigint') throw invalidType(name, expected, value)
  const size = toBytes(value, name)
  if (size < 2 || !Number.isInteger(Math.log2(size))) throw outOfRange(name, 'a power of two', value)
  return size
}

function parseMapped(given: FileMapOptions<Backing>, protection: Protection): ParsedFile {
  const parsed = parseFile(given, protection)
  if (!toBoolean(given.keepOpen, 'options.keepOpen', true)) {
    if (parsed.shares) throw invalidValue('options.keepOpen', false, "needs the backing 'array-buffer'")
    parsed.flags |= FLAGS.closeFile
  }
  parsed.flags |= toSeals(given.seal)
  return parsed
}

function parseFile(given: FileMapOptions<Backing>, protection: Protection): ParsedFile & ParsedMemory {
  const { offset, length } = given
  const parsed = parse(given, protection)
  if (offset !== undefined) parsed.offset = toBytes(offset, 'options.offset')
  if (length !== undefined) parsed.length = toBytes(length, 'options.length')
  return parsed
}

/** What is called with the faults of a mapping. */
export function toListener(onFault: unknown): Parsed['onFault'] {
  if (onFault === undefined || typeof onFault === 'function') return onFault as Parsed['onFault']
  throw invalidType('options.onFault', 'a function', onFault)
}

/** All fields exist from the start: adding or copying some later would cost more than all the checks. */
function parse(given: MapOptions<Backing>, fallback: Protection): ParsedMemory & ParsedAnonymous {
  const { address, advice, protection = fallback, backing = 'array-buffer', onFault } = given
  if (address !== undefined) {
    if (typeof address !== 'bigint') throw invalidType('options.address', 'of type bigint', address)
    if (address < 0n || address >= 2n ** 64n) {
      throw outOfRange('options.address', 'an address, from 0n to 2n ** 64n - 1n', address)
    }
  }
  if (advice !== undefined) toAdvice(advice, 'options.advice')
  return {
    protection: toProtection(protection, 'options.protection'),
    flags:
      (toBoolean(given.populate, 'options.populate', false) ? FLAGS.populate : 0) |
      (toBoolean(given.reserve, 'options.reserve', true) ? 0 : FLAGS.noReserve) |
      (toBoolean(given.guard, 'options.guard', true) ? FLAGS.guard : 0),
    address: address ?? null,
    shares: toChoice(backing, 'options.backing', BACKINGS) === 1,
    advice,
    onFault: toListener(onFault),
    offset: 0,
    length: -1,
    mode: 0,
    exclusive: false,
    shared: false,
    hugePages: 0,
  }
}

/** Whether others can change the memory: another process, another thread, a write to the file. */
export function isVolatile(kind: Kind, { shares, shared }: Parsed): boolean {
  return kind !== 'anonymous' || shares || shared
}
