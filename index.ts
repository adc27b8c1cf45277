// The public API: the functions that make mappings, and their types.

import { type Bytes, type FileSource, toBytes, toSource } from './lib/arguments.js'
import { create } from './lib/create.js'
import type { MemoryMap } from './lib/memory-map.js'
import { native } from './lib/native.js'
import {
  type AnonymousMapOptions,
  type Backing,
  type FileMapOptions,
  isWritable,
  type ParsedFile,
  parseAnonymous,
  parsePrivate,
  parseShared,
  type SharedMapOptions,
} from './lib/options.js'
import { checkPermission } from './lib/permission.js'

export type { Advice } from './lib/advice.js'
export type { Bytes, FileSource, Range } from './lib/arguments.js'
export { MemoryFaultError } from './lib/faults.js'
export type { FaultKind, MemoryFault } from './lib/faults.js'
export type { FromOptions, MemoryMapHandle } from './lib/map-handle.js'
export { MemoryMap } from './lib/memory-map.js'
export type { ReadStreamOptions } from './lib/read-stream.js'
export { listSharedMemory, openSharedMemory, unlinkSharedMemory } from './lib/shared-memory.js'
export type { NamedMemory } from './lib/shared-memory.js'
export type { WriteStreamOptions } from './lib/write-stream.js'
export type {
  AsyncSyncOptions,
  LineOptions,
  LockOptions,
  PrefetchOptions,
  Residency,
  ResidencyOptions,
  SyncOptions,
} from './lib/range-options.js'
export type { TypedArrayConstructor } from './lib/typed-arrays.js'
export type {
  AnonymousMapOptions,
  Backing,
  FileMapOptions,
  Kind,
  MapOptions,
  Protection,
  Seal,
  SharedMapOptions,
  SharedMemoryOptions,
} from './lib/options.js'
export type { Needle, SearchOptions } from './lib/search.js'
export { WasmMapping } from './lib/wasm.js'
export type { WasmMemory } from './lib/wasm.js'

/** Bytes of one page of memory. The ranges of `protect` are multiples of it. */
export const pageSize: number = native.pageSize()

/** The alignment of a mapping's start in memory, in bytes: 65,536 on Windows, otherwise a page. */
export const allocationGranularity: number = native.allocationGranularity()

/**
 * Maps a file so that stores reach it, and every other process that maps it (`MAP_SHARED`).
 *
 * ```js
 * const map = mapShared('model.bin')
 * const weights = map.typedArray(Float32Array, 4096)
 * ```
 *
 * @param file a path, a file descriptor or a FileHandle; a descriptor stays the caller's
 * @throws the OS's errors (`ENOENT`, `EACCES`, `ENODEV`...) and `ERR_MMAP_BEYOND_END`
 */
export function mapShared(file: FileSource, options?: Readonly<SharedMapOptions>): MemoryMap
export function mapShared(
  file: FileSource,
  options: Readonly<SharedMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
export function mapShared(
  file: FileSource,
  options?: Readonly<SharedMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
export function mapShared(file: FileSource, options?: Readonly<SharedMapOptions<Backing>>): MemoryMap<any> {
  return mapFile(true, file, parseShared(options))
}

/**
 * Maps a file copy-on-write: stores stay in this process, and the file never changes (`MAP_PRIVATE`).
 *
 * ```js
 * const map = mapPrivate('image.bin')
 * map.buffer.fill(0, 0, 16) // the file still has what it had
 * ```
 *
 * @param file as for {@link mapShared}
 * @throws as {@link mapShared}
 */
export function mapPrivate(file: FileSource, options?: Readonly<FileMapOptions>): MemoryMap
export function mapPrivate(
  file: FileSource,
  options: Readonly<FileMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
export function mapPrivate(
  file: FileSource,
  options?: Readonly<FileMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
export function mapPrivate(file: FileSource, options?: Readonly<FileMapOptions<Backing>>): MemoryMap<any> {
  return mapFile(false, file, parsePrivate(options))
}

/**
 * Maps zeroed memory without a file (`MAP_ANONYMOUS`).
 *
 * ```js
 * const map = mapAnonymous(2 ** 30, { reserve: false })
 * ```
 *
 * @param length in bytes
 * @throws the OS's errors (`ENOMEM`...)
 */
export function mapAnonymous(length: Bytes, options?: Readonly<AnonymousMapOptions>): MemoryMap
export function mapAnonymous(
  length: Bytes,
  options: Readonly<AnonymousMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
export function mapAnonymous(
  length: Bytes,
  options?: Readonly<AnonymousMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
export function mapAnonymous(length: Bytes, options?: Readonly<AnonymousMapOptions<Backing>>): MemoryMap<any> {
  const bytes = toBytes(length, 'length')
  const parsed = parseAnonymous(options)
  const { shared, protection, flags, address, hugePages } = parsed
  return create('anonymous', undefined, parsed, () =>
    native.mapAnonymous(bytes, shared, protection, flags, address, hugePages),
  )
}

interface OnSharedArrayBuffer {
  readonly backing: 'shared-array-buffer'
}

function mapFile(shared: boolean, file: FileSource, options: ParsedFile): MemoryMap<any> {
  const [source, path] = toSource(file)
  const { offset, length, protection, flags, mode, address } = options
  if (path !== undefined) checkPermission(path, shared && isWritable(protection) ? 'r+' : 'r')
  return create(shared ? 'shared' : 'private', path, options, () =>
    native.mapFile(shared, source, offset, length, protection, flags, mode, address),
  )
}
