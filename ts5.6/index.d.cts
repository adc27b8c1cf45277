/// <reference types="node" />
import { Readable, Writable } from 'node:stream'
import { inspect } from 'node:util'

/** A count of bytes, or an offset in bytes. Results are always numbers. */
type Bytes = number | bigint
/** A part of a mapping. */
interface Range {
  /** Where it begins, in bytes from the start of the mapping. Default: 0. */
  readonly offset?: Bytes | undefined
  /** How many bytes it has. Default: to the end of the mapping. */
  readonly length?: Bytes | undefined
}
/** The file to map: a path, or a descriptor or FileHandle, which the caller still owns. */
type FileSource =
  | string
  | Buffer
  | URL
  | number
  | {
      /** The descriptor. */ readonly fd: number
    }
/**
 * Advice on pages, as `MADV_*` of madvise(2), which says what each does. `MemoryMap.supports` tells which of
 * them a system has: Linux nearly all, macOS and the BSDs the first six, Windows `'willneed'`.
 *
 * - `normal`, `random`, `sequential`: how much to read ahead
 * - `willneed`: read it in soon; `dontneed`: drop it (private pages lose what was stored); `free`: it may be
 *   dropped when memory is short; `cold`: the first to go; `pageout`: it goes now
 * - `mergeable`, `unmergeable`: whether equal pages may be merged into one
 * - `hugepage`, `nohugepage`: whether to use huge pages; `collapse`: put it into huge pages now (Linux 6.1)
 * - `dontdump`, `dodump`: whether it is in a core dump
 * - `dontfork`, `dofork`, `wipeonfork`, `keeponfork`: what a forked child gets
 * - `remove`: punches a hole in the file: the bytes read zeros, and their blocks are free
 * - `populate-read`, `populate-write`: bring it in now, to be read or to be stored to
 */
type Advice =
  | 'normal'
  | 'random'
  | 'sequential'
  | 'willneed'
  | 'dontneed'
  | 'free'
  | 'cold'
  | 'pageout'
  | 'mergeable'
  | 'unmergeable'
  | 'hugepage'
  | 'nohugepage'
  | 'dontdump'
  | 'dodump'
  | 'dontfork'
  | 'dofork'
  | 'remove'
  | 'wipeonfork'
  | 'keeponfork'
  | 'populate-read'
  | 'populate-write'
  | 'collapse'
/** Of a module that is not loaded for this alone. */
declare const custom: typeof inspect.custom
/** What no runtime clones, and engines make as fast as an object of a class without a parent. */
declare const Uncloneable: new () => object
/**
 * Makes functions throw that would otherwise take the object for an array of holes (`Buffer.from`, `new Uint8Array`,
 * `Array.from`), or clone it as an object without properties (`structuredClone`, `postMessage`).
 */
declare abstract class Handle extends Uncloneable {
  /** What it is, as `util.inspect` shows it. */
  abstract toJSON(): object
  /** What `console.log` shows. */
  [custom](): string
  /** What it is, as `util.inspect` shows it. */
  toString(): string
}
/** Why an access to mapped memory failed. */
type FaultKind = 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'
/** A load or store of mapped memory that failed, and did not end the process. */
interface MemoryFault {
  /**
   * - `'beyond-end'`: the file ends before the page (it was truncated)
   * - `'protection'`: a store to a read-only page, or any access to a `'none'` page
   * - `'io'`: the device could not deliver the page
   * - `'no-space'`: the file system had no block for the page
   * - `'closed'`: the mapping was closed
   */
  readonly kind: FaultKind
  /** Start of the page whose access failed first, in bytes from the start of the mapping. */
  readonly offset: number
  /**
   * How many bytes from there the fault is known to affect. Until it is reported, stores to other pages that fail
   * for the same reason can be contained by the same overlay, without a fault of their own.
   */
  readonly length: number
  /** Whether every lost store was rolled back, in memory and in the file. */
  readonly contained: boolean
  /** The mapping. */
  readonly map: MemoryMap<any>
}
/** A load or store of mapped memory failed, and was contained. */
declare class MemoryFaultError extends Error {
  /** Which error it is. */
  readonly code = 'ERR_MMAP_FAULT'
  /** What failed. */
  readonly fault: MemoryFault
  constructor(fault: MemoryFault)
}
/** What may be done with pages, as `PROT_*` of mmap(2). */
type Protection = 'none' | 'read' | 'read-write' | 'read-execute' | 'read-write-execute'
/** Where the stores of a mapping go: to the file, to private pages of it, or to no file. */
type Kind = 'shared' | 'private' | 'anonymous'
/** What nobody can do to memory any more, whoever has its descriptor: make it shorter or longer, or store to it. */
type Seal = 'shrink' | 'grow' | 'write'
/** What lies under the views of a mapping. */
type Backing = 'array-buffer' | 'shared-array-buffer'
/** The options of every mapping. */
interface MapOptions<B extends Backing = 'array-buffer'> {
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
interface FileMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
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
interface SharedMapOptions<B extends Backing = 'array-buffer'> extends FileMapOptions<B> {
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
interface AnonymousMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
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
interface SharedMemoryOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
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
/**
 * What {@link MemoryMap.from} makes a mapping of, in another thread: `map.handle`. It can be cloned, and so be posted. It
 * keeps nothing open, and means nothing in another process.
 */
interface MemoryMapHandle<B extends Backing = Backing> {
  /** What the mapping is called in this process. */
  readonly mapping: string
  /** What lies under the views. */
  readonly backing: B
  /** The memory itself, where the runtime can put a mapping under a SharedArrayBuffer only once (Node 20, Deno). */
  readonly memory?: SharedArrayBuffer
}
/** The options of {@link MemoryMap.from}. */
interface FromOptions {
  /** Called with every fault, on this thread, on the next turn of its event loop. Default: a process warning, once. */
  readonly onFault?: ((fault: MemoryFault) => void) | undefined
}
/** A part of a mapping to make durable, and how. */
interface SyncOptions extends Range {
  /** Makes other mappings of the file read it again (`MS_INVALIDATE` of msync(2)). Default: false. */
  readonly invalidate?: boolean | undefined
}
/** As {@link SyncOptions}, for the asynchronous form. */
interface AsyncSyncOptions extends SyncOptions {
  /** Cancels the sync if it has not begun. */
  readonly signal?: AbortSignal | undefined
}
/** Which part of a mapping to split into lines, and what the lines are. */
interface LineOptions extends Range {
  /**
   * Makes the lines strings, decoded from copies. Lines of `'utf16le'` end with the character `\n`, all others with that
   * byte. Default: Buffers, which are views.
   */
  readonly encoding?: BufferEncoding | undefined
}
/** A part of a mapping to bring into memory. */
interface PrefetchOptions extends Range {
  /** Cancels it: the promise rejects at once, and the work ends soon. */
  readonly signal?: AbortSignal | undefined
}
/** A part of a mapping to keep in memory, and from when on. */
interface LockOptions extends Range {
  /** Lock each page when it is first touched (`MLOCK_ONFAULT` of mlock2(2), Linux). Default: false. */
  readonly onFault?: boolean | undefined
}
/** Which pages of a range are in memory. */
interface Residency {
  /** How many pages the range touches. */
  readonly pages: number
  /** How many of them are in memory. */
  readonly resident: number
  /** A bit for each: page `i` is bit `i % 8` of byte `Math.floor(i / 8)`. */
  readonly bitmap: Uint8Array
}
/** A part of a mapping to ask about, and how much. */
interface ResidencyOptions extends Range {
  /** Also say which pages are in memory, not only how many: takes 32 MiB for each TiB. Default: true. */
  readonly bitmap?: boolean | undefined
}
/** Which bytes to stream, and how. */
interface ReadStreamOptions {
  /** The first byte. Default: 0. */
  readonly start?: Bytes | undefined
  /** The last byte, inclusive as in `fs.createReadStream`; at most what the mapping has. Default: its last. */
  readonly end?: Bytes | undefined
  /** Bytes of each chunk, and how many bytes the stream buffers. Default: 65,536. */
  readonly highWaterMark?: number | undefined
  /** Gives strings, decoded from copies, as `setEncoding` does. Default: Buffers. */
  readonly encoding?: BufferEncoding | undefined
  /** Destroys the stream with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Close the mapping when the stream has ended or failed, or is destroyed. Default: false. */
  readonly autoClose?: boolean | undefined
}
/** What to search for: text, bytes, or the value of one byte. */
type Needle = string | Uint8Array | number
/** A part of a mapping to search on other threads. */
interface SearchOptions extends Range {
  /** Of the string to search for. Default: `'utf8'`. */
  readonly encoding?: BufferEncoding | undefined
  /** Cancels it: the promise rejects at once, and the search ends soon. */
  readonly signal?: AbortSignal | undefined
}
/** A constructor of typed arrays, such as `Float64Array`. */
interface TypedArrayConstructor<T> {
  /** Bytes of one element. */
  readonly BYTES_PER_ELEMENT: number
  new (buffer: any, byteOffset: number, length: number): T
}
interface TypedArrays<B extends ArrayBufferLike> {
  Int8Array: Int8Array
  Uint8Array: Uint8Array
  Uint8ClampedArray: Uint8ClampedArray
  Int16Array: Int16Array
  Uint16Array: Uint16Array
  Int32Array: Int32Array
  Uint32Array: Uint32Array
  Float32Array: Float32Array
  Float64Array: Float64Array
  BigInt64Array: BigInt64Array
  BigUint64Array: BigUint64Array
}
/** The typed array `T` over memory of the kind `B`; a subclass stays what it is. */
type Over<T, B extends ArrayBufferLike> = T extends {
  readonly [Symbol.toStringTag]: infer Name
}
  ? Name extends keyof TypedArrays<B>
    ? TypedArrays<ArrayBuffer>[Name] extends T
      ? TypedArrays<B>[Name]
      : T
    : T
  : T
/** A `WebAssembly.Memory`, as far as TypeScript has to know one: the type of that name is the browser's. */
interface WasmMemory {
  /** All of its bytes; another object after it has grown. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  /** Makes it longer by so many pages of 64 KiB; gives how many it had. */
  grow(pages: number): number
}
/**
 * The pages of a mapping in a WebAssembly memory; made by {@link MemoryMap.into}. They stay there until this is closed, or the
 * mapping, or nothing can reach the memory any more.
 */
declare class WasmMapping extends Handle {
  #private
  private constructor()
  /** Where in the memory the mapping begins, in bytes. */
  get offset(): number
  /** How many bytes of the mapping are there. They take up the whole of their last page. */
  get length(): number
  /** Whether the pages are not there any more: this was closed, or the mapping. */
  get closed(): boolean
  /**
   * Takes the pages out, and puts zeros there, on every thread that has the memory. A second call does nothing.
   *
   * @throws the OS's errors (`ENOMEM`), after which the pages are there still
   */
  close(): void
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
  toJSON(): object
}
/** Where to write, and how. */
interface WriteStreamOptions {
  /** Where the first byte goes. Beyond the mapping's end, zeros come before it. Default: 0. */
  readonly start?: Bytes | undefined
  /** How many bytes may wait in the stream before `write` returns `false`. Default: Node's, 16 or 64 KiB. */
  readonly highWaterMark?: number | undefined
  /** Destroys the stream with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Write to the disk, as `map.sync()` does, before the stream emits `'finish'`. Default: false. */
  readonly flush?: boolean | undefined
  /** Close the mapping when the stream has finished or failed, or is destroyed. Default: false. */
  readonly autoClose?: boolean | undefined
}
/**
 * A mapping: pages of a file, or memory without a file. Made by `mapShared`, `mapPrivate`, `mapAnonymous` and
 * `openSharedMemory`.
 *
 * All offsets and lengths are in bytes and count from the start of the mapping; they may be numbers or
 * bigints. No load or store through a view can end the process: see {@link MemoryFault}.
 *
 * ```js
 * const map = mapShared('counters.bin', { protection: 'read-write', create: true, length: 4096 })
 * const counters = map.typedArray(BigUint64Array)
 * Atomics.add(counters, 0, 1n) // `counters[0] += 1n` would lose updates of other processes
 * await map.sync()
 * map.close()
 * ```
 */
declare class MemoryMap<B extends ArrayBuffer | SharedArrayBuffer = ArrayBuffer> extends Handle {
  #private
  private constructor()
  /**
   * The mapping of a {@link MemoryMap.handle}: the same pages, at the same addresses, on this thread. It has its own views, locks,
   * waits, faults and `close()`. The pages are there for as long as one of the threads has its mapping open; a thread
   * that ends, or whose mapping is collected, has it open no more.
   *
   * ```js
   * // in the worker
   * const map = MemoryMap.from(workerData)
   * const words = map.typedArray(Int32Array)
   * ```
   *
   * What `protect` and `advise` do, all threads see. `resize` throws `ERR_MMAP_BUSY` while another thread has the mapping
   * open. After `close()` on one thread, views that it cannot empty (of a `'shared-array-buffer'`) show the pages until
   * the other threads have closed theirs, too.
   *
   * @throws `ERR_MMAP_CLOSED` if no thread has the mapping open any more; `ERR_INVALID_ARG_VALUE` for a handle of another
   *   process, of another version of this package, or from before a `resize` (with a shared backing on Node 20 and Deno)
   */
  static from(handle: MemoryMapHandle<'array-buffer'>, options?: Readonly<FromOptions>): MemoryMap
  static from(
    handle: MemoryMapHandle<'shared-array-buffer'>,
    options?: Readonly<FromOptions>,
  ): MemoryMap<SharedArrayBuffer>
  static from(handle: MemoryMapHandle, options?: Readonly<FromOptions>): MemoryMap<ArrayBuffer | SharedArrayBuffer>
  /**
   * What another thread of this process makes the same mapping of, with {@link MemoryMap.from}. It can be posted to any
   * thread, and by way of others. It keeps nothing open.
   *
   * ```js
   * const worker = new Worker('./worker.mjs', { workerData: map.handle })
   * ```
   *
   * If the memory was this thread's alone until now (a mapping without a file), make views anew: only those that are made
   * after this decode copies, as `buffer` does.
   */
  get handle(): MemoryMapHandle<B extends SharedArrayBuffer ? 'shared-array-buffer' : 'array-buffer'>
  /** Where stores go. */
  get kind(): Kind
  /** Its length in bytes. */
  get length(): number
  /** Where in the file it starts, in bytes. */
  get offset(): number
  /** The file's path, if it was mapped by path. */
  get path(): string | undefined
  /** What may be done with the pages: the last protection that was set for the whole mapping, on any thread. */
  get protection(): Protection
  /**
   * The mapping's own file descriptor, which is the system's: Deno's functions take others. undefined without a file,
   * with `keepOpen: false`, and after `close()`.
   */
  get fd(): number | undefined
  /** Where in memory the first byte is; 0n for an empty mapping and after `close()`. */
  get address(): bigint
  /** Whether `close()` was called. */
  get closed(): boolean
  /** How many faults were contained. It grows at once, before a fault is reported. */
  get faults(): number
  /**
   * The memory under `buffer`. It may begin up to a page before the mapping: `buffer.byteOffset` says how far.
   *
   * @throws `ERR_MMAP_TOO_LARGE` if it exceeds the runtime's largest Buffer (4 GiB on Node 20)
   */
  get arrayBuffer(): B
  /**
   * The whole mapping, without a copy; the same object each time, until its memory is transferred (`transfer()`, a
   * web stream of bytes).
   *
   * If others can change the memory, `toString` of this Buffer and of every view decodes a copy, because runtimes
   * overwrite memory when text changes while they decode it. Otherwise it is like any Buffer; only Node 20's
   * `assert.deepStrictEqual` finds it different. Functions that decode bytes themselves, such as TextDecoder, can
   * crash: docs/changing-memory.md says which. Pass them a {@link read} or a string from {@link toString}.
   *
   * @throws `ERR_MMAP_TOO_LARGE` if it exceeds the runtime's largest Buffer (4 GiB on Node 20)
   */
  get buffer(): Buffer
  /**
   * A part of the mapping, without a copy and without a system call. Works anywhere in a mapping of any size, on every
   * runtime.
   *
   * Views share ArrayBuffers, each over a part of the mapping, or over all of it once views are spread over
   * all of it. So `view.buffer` is not always {@link arrayBuffer}. `structuredClone` and `postMessage` copy all of
   * `view.buffer`, as for any view: pass them a {@link read}. docs/changing-memory.md says what else needs a copy
   * while others change the memory.
   *
   * @throws `ERR_MMAP_TOO_LARGE` for more than the runtime's largest Buffer; for more than 1 GiB if the mapping
   *   itself is larger than that
   */
  view(offset?: Bytes, length?: Bytes): Buffer
  /**
   * A typed array over a part of the mapping, with the arguments of its constructor: `byteOffset` in bytes,
   * `length` in elements.
   *
   * ```js
   * const prices = map.typedArray(Float64Array, 64, 1000)
   * ```
   *
   * If others can change the memory, `sort` sorts a copy and stores that, because engines that sort in place leave
   * the array's memory when elements change meanwhile. What others store in it during the sort is lost. If the mapping
   * is read-only, so is the result: it is a store without permission, told as any other (`'protection'`).
   *
   * @throws `ERR_OUT_OF_RANGE` if the elements are not aligned in memory, which begins at a page: in a file where
   *   {@link offset} plus `byteOffset` is no multiple of their size: {@link readTyped} copies those
   * @throws `ERR_MMAP_TOO_LARGE` as {@link view} does
   */
  typedArray<T>(constructor: TypedArrayConstructor<T>, byteOffset?: Bytes, length?: Bytes): Over<T, B>
  /**
   * A DataView over a part of the mapping, aligned or not.
   *
   * @throws `ERR_MMAP_TOO_LARGE` as {@link view} does
   */
  dataView(byteOffset?: Bytes, byteLength?: Bytes): DataView
  /**
   * A stream of the mapping's bytes, as `fs.createReadStream` of its file, in chunks that are views of the mapping.
   *
   * ```js
   * await pipeline(map.createReadStream({ start: 100, end: 199 }), response)
   * map.close()
   * ```
   *
   * The next bytes are brought in on another thread, so that a slow disk does not hold up the event loop. A page that
   * cannot be read ends the stream with a {@link MemoryFaultError} before the chunk that has it. `close()` and
   * `resize()` end it with `ERR_MMAP_CLOSED`, unless its reader has the last byte. The last chunks, up to 1 MiB, keep
   * their bytes, so that a destination that is still writing them writes the right ones (Linux and macOS). Earlier
   * chunks read zeros, which is reported as a fault of kind `'closed'`.
   *
   * Each chunk has an ArrayBuffer of its own, so a web stream of bytes or `structuredClone` can transfer it without
   * emptying anything else. Chunks are copies in a worker, which can end before the threads that it transfers them to,
   * and with the shared backing, which cannot be transferred.
   *
   * @throws `ERR_OUT_OF_RANGE` if `start` lies beyond `end`; both may lie beyond the mapping's end
   */
  createReadStream(options?: Readonly<ReadStreamOptions>): Readable
  /**
   * A stream into the mapping, from `start` on. If what is written does not fit, the mapping is resized in steps of
   * 1 to 32 MiB, and its file with it; in the end both have the length that was needed, and at least the one they had.
   * What others store in that room meanwhile stays, up to the last byte that is not zero.
   *
   * ```js
   * const map = mapShared('copy.bin', { create: true, length: 0, protection: 'read-write' })
   * await pipeline(request, map.createWriteStream({ flush: true, autoClose: true }))
   * ```
   *
   * The length is set back also when the stream fails or is destroyed, or the mapping is closed while no other thread
   * has it open. If the process is killed before, the file ends with zeros. Each step detaches earlier views, as {@link
   * resize} does. The stream fails with `ERR_MMAP_CLOSED` if a view that it is to write was emptied, by this or by
   * `close()` of its mapping, or if someone else resizes or closes the mapping meanwhile. Several streams can write to
   * one mapping: when one of them ends, the length is that which all have needed so far. On Windows, where a mapped
   * file cannot be made shorter, it grows by what is written. A private mapping, and one without a descriptor, cannot
   * grow beyond its file.
   *
   * @throws `ERR_MMAP_NOT_WRITABLE` if the protection forbids it
   */
  createWriteStream(options?: Readonly<WriteStreamOptions>): Writable
  /**
   * Copies bytes out of the mapping. A short copy can share its `buffer` with others, as with `Buffer.allocUnsafe`.
   *
   * @throws {MemoryFaultError} if the bytes cannot be read: the file was truncated, the disk failed
   */
  read(offset?: Bytes, length?: Bytes): Buffer
  /**
   * Copies elements out of the mapping, from any byte on, with the arguments of {@link typedArray}. The bytes of an
   * element are in the machine's order.
   *
   * ```js
   * const weights = map.readTyped(Float32Array, 3, 1000)
   * ```
   *
   * @param byteOffset in bytes
   * @param length in elements; to the end of the mapping if there is none
   * @throws {MemoryFaultError} if the bytes cannot be read
   */
  readTyped<T>(constructor: TypedArrayConstructor<T>, byteOffset?: Bytes, length?: Bytes): Over<T, ArrayBuffer>
  /**
   * Text of the mapping, as `buffer.toString` gives it, in a mapping of any size. It is decoded from a copy, so it
   * is safe while others change the memory.
   *
   * ```js
   * const header = map.toString('latin1', 0, 80)
   * ```
   *
   * @param start where it begins, in bytes
   * @param end where it ends: before this byte
   * @throws `ERR_STRING_TOO_LONG` for more characters than a string can have; `ENOMEM` if there is no memory
   * @throws {MemoryFaultError} if the bytes cannot be read
   */
  toString(encoding?: BufferEncoding, start?: Bytes, end?: Bytes): string
  /**
   * Text of it where something makes text of anything: `${map}`, `console.log('%s', map)`, and also `new Blob([map])`,
   * which should have been given `map.buffer`, and cannot be told from them. So it throws if the bytes are not UTF-8, where
   * other bytes would come of them.
   */
  [Symbol.toPrimitive](hint: string): string
  /**
   * Copies bytes into the mapping. Returns how many.
   *
   * ```js
   * map.write(Float32Array.of(1, 2), 8)
   * map.write(Buffer.from('text'), 16)
   * ```
   *
   * @throws `ERR_MMAP_NOT_WRITABLE` if the protection forbids it
   * @throws {MemoryFaultError} if they cannot be written: the file was truncated, the disk is full
   */
  write(data: NodeJS.ArrayBufferView, offset?: Bytes): number
  /**
   * Where a value first occurs, or -1. The arguments and the answer are those of `buffer.indexOf`, in a mapping
   * of any size: it begins at `byteOffset`, which counts from the end if it is negative, and what it finds ends
   * before `end`. A string in UTF-16 is found at even offsets only.
   *
   * ```js
   * const end = map.indexOf('\n')
   * ```
   *
   * @throws {MemoryFaultError} if bytes before the answer cannot be read
   */
  indexOf(
    value: Needle,
    byteOffset?: Bytes | BufferEncoding,
    end?: Bytes | BufferEncoding,
    encoding?: BufferEncoding,
  ): number
  /**
   * Where a value last occurs, at `byteOffset` or before, or -1: as `buffer.lastIndexOf`, and otherwise as
   * {@link indexOf}.
   *
   * @throws {MemoryFaultError} if bytes after the answer cannot be read
   */
  lastIndexOf(
    value: Needle,
    byteOffset?: Bytes | BufferEncoding,
    end?: Bytes | BufferEncoding,
    encoding?: BufferEncoding,
  ): number
  /** Whether a value occurs: as `buffer.includes`, and with the arguments of {@link indexOf}. */
  includes(
    value: Needle,
    byteOffset?: Bytes | BufferEncoding,
    end?: Bytes | BufferEncoding,
    encoding?: BufferEncoding,
  ): boolean
  /**
   * How many times a value occurs in a range, counted from its start and without overlaps.
   *
   * ```js
   * const lines = map.count('\n')
   * ```
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a value without bytes
   * @throws {MemoryFaultError} if the bytes cannot be read
   */
  count(value: Needle, range?: Readonly<Range>, encoding?: BufferEncoding): number
  /**
   * Where a value first occurs in a range, or -1. Searches on other threads: on several, if the range is large.
   *
   * ```js
   * const found = await map.find('needle', { signal: AbortSignal.timeout(1000) })
   * ```
   *
   * Rejects as {@link indexOf} throws, and with `ERR_MMAP_CLOSED` if the mapping is closed meanwhile.
   */
  find(value: Needle, options?: Readonly<SearchOptions>): Promise<number>
  /** As {@link count}, on other threads: on several, if the range is large. */
  countAsync(value: Needle, options?: Readonly<SearchOptions>): Promise<number>
  /**
   * The lines of a range, without a copy and without their `\n` or `\r\n`. What follows the last `\n` is a line
   * too, unless it is empty.
   *
   * ```js
   * for (const line of map.lines()) if (line.length > 1000) console.log(line.toString())
   * for (const line of map.lines({ encoding: 'utf8' })) console.log(line) // strings, decoded from copies
   * ```
   *
   * To find a few lines that contain something, {@link indexOf} is many times faster than checking each line.
   *
   * @throws {MemoryFaultError} from the iteration, if bytes cannot be read
   * @throws `ERR_MMAP_TOO_LARGE` from the iteration, for a line that is longer than a view can be
   * @throws `ERR_MMAP_CLOSED` from the iteration, if the mapping was closed meanwhile
   */
  lines(
    range?: Readonly<
      Range & {
        encoding?: undefined
      }
    >,
  ): IterableIterator<Buffer>
  lines(
    options: Readonly<
      LineOptions & {
        encoding: BufferEncoding
      }
    >,
  ): IterableIterator<string>
  lines(options?: Readonly<LineOptions>): IterableIterator<Buffer | string>
  /**
   * Makes stores durable: resolves when the bytes of the range are as safe as after fsync(2). It waits on another
   * thread, and finishes even if the mapping is closed meanwhile.
   *
   * Rejects with a {@link MemoryFaultError} if a store was lost since the last call that threw one.
   */
  sync(options?: Readonly<AsyncSyncOptions>): Promise<void>
  /** As {@link sync}, on this thread. */
  syncSync(options?: Readonly<SyncOptions>): void
  /**
   * Changes what may be done with the pages of a range (mprotect(2)). The range must begin at the start of a page in
   * memory, or of the mapping, and end at the end of a page, or of the mapping.
   *
   * @throws RangeError if it does not; `EACCES` if the file is not open for what is asked
   */
  protect(protection: Protection, range?: Readonly<Range>): void
  /**
   * Tells the system how the pages of a range will be used (madvise(2)). Advice that can lose contents
   * (`dontneed`, `free`, `remove`, `wipeonfork`) takes whole pages only, as {@link protect} does; other advice
   * goes to every page that the range touches.
   *
   * @throws `ERR_MMAP_UNSUPPORTED` if this system lacks it; the OS's errors (`EINVAL`...)
   */
  advise(advice: Advice, range?: Readonly<Range>): void
  /** Whether this system supports an advice. */
  static supports(advice: Advice): boolean
  /**
   * Brings a range into memory, on another thread. Loads from it then do not wait for the disk, for as long as the
   * system keeps it.
   *
   * Rejects with a {@link MemoryFaultError} if a page cannot be read, and with `ERR_MMAP_CLOSED` if the mapping is
   * closed meanwhile.
   */
  prefetch(options?: Readonly<PrefetchOptions>): Promise<void>
  /**
   * Keeps the pages of a range in memory (mlock(2)): all of them from now on, or with `onFault` each one from when it is
   * first touched. {@link unlock} and `close()` end that.
   *
   * @throws `ENOMEM`, `EPERM` or `EAGAIN` if RLIMIT_MEMLOCK allows less
   */
  lock(options?: Readonly<LockOptions>): void
  /** Allows the pages of a range to leave memory again (munlock(2)). Locks do not nest. */
  unlock(range?: Readonly<Range>): void
  /**
   * Which pages of a range are in memory (mincore(2)); pages of a file, in the system's cache. Linux tells the truth only
   * for files that the process may write. For others it reports every page as resident.
   *
   * @throws `ENOMEM` if there is no memory for the bitmap
   */
  residency(
    options: Readonly<ResidencyOptions> & {
      readonly bitmap: false
    },
  ): Omit<Residency, 'bitmap'>
  residency(options?: Readonly<ResidencyOptions>): Residency
  /**
   * Changes the length. Contents up to the smaller length are kept; a writable shared mapping extends its file if it
   * grows beyond the end. Earlier views are emptied, as by {@link close}, even if they would still fit: first await what
   * you started with them. What `memory-map/sync` has in it stays what it was.
   * The file never becomes shorter. If it fails, the mapping and its views are as they were.
   *
   * Repeated growth is cheap: the mapping moves only when its length has doubled.
   *
   * ```js
   * map.resize(statSync('log.bin').size - map.offset) // what others have appended
   * ```
   *
   * @param length in bytes
   * @throws `ERR_MMAP_BEYOND_END` for a mapping that cannot extend its file; `ERR_MMAP_BUSY` while another thread has the
   *   mapping open (see {@link handle}); the OS's errors (`ENOMEM`, `ENOSPC`...)
   */
  resize(length: Bytes): void
  /**
   * Lays the mapping's pages over a part of a WebAssembly memory, without a copy and however large they are: a module
   * reads the file there, and stores to it if the mapping is shared and writable. What the memory had there is gone.
   * The mapping goes on as before; a second place has the same pages, under the same guard.
   *
   * ```js
   * const { memory, records } = instance.exports
   * using map = mapPrivate('access.log')
   * const pages = Math.ceil(map.length / 65_536)
   * using laid = map.into(memory, memory.grow(pages) * 65_536)
   * records(laid.offset, laid.length)
   * ```
   *
   * The module must not use that part for anything else: have it allocate there, or grow the memory first and use
   * the new end. A mapping of a private file shows the file's bytes there, without what was stored through its views.
   * docs/webassembly.md has the rest.
   *
   * @param offset where in the memory, in bytes: the start of a page of {@link pageSize} bytes. The memory must have
   *   whole pages for all of the mapping
   * @throws `ERR_OUT_OF_RANGE` if the memory has not; for a mapping that begins inside a page of the file, and for one that
   *   ends inside a page before the file does
   * @throws `ERR_MMAP_BUSY` if another mapping lies in that part
   * @throws `ERR_MMAP_UNSUPPORTED` on Bun, whose memories can move, and on Windows; for memory without a file
   */
  into(memory: WasmMemory, offset: Bytes): WasmMapping
  /** Throws the oldest fault of the mapping that no call has thrown yet, if any. */
  check(): void
  /**
   * Closes the mapping. The file, its blocks and the memory are free when this returns. A second call does nothing.
   * If other threads have the mapping open (see {@link handle}), it is closed for this one alone, and the pages stay.
   *
   * First await what you started with a view. A system call that still uses its memory (`fs.writeFile`, a socket)
   * fails with `EFAULT`; anything else that does (zlib, crypto) reads zeros, which is reported as a fault of kind
   * `'closed'`. {@link closeAsync} waits for what this library knows of.
   *
   * Every view has length 0 afterwards, unless it may be in use: views of a `'shared-array-buffer'` keep their
   * length, and so do all views while an operation of Node's is under way on this thread, because some of those
   * abort if their view is emptied (up to 16,384 mappings or 64 TiB). What has only queued a view finds it empty and
   * is not told: a PassThrough writes nothing, a UDP socket sends an empty datagram. docs/lifetimes.md has the list.
   */
  close(): void
  /**
   * Waits for everything under way that this library knows of, and closes: syncs, prefetches, searches on other
   * threads, and streams of {@link createReadStream}, which must end or be destroyed. `pipe` does not destroy a stream
   * when its destination goes; `pipeline` does.
   *
   * ```js
   * pipeline(map.createReadStream(), response).catch(() => {}) // of `node:stream/promises`
   * await map.closeAsync()
   * ```
   */
  closeAsync(): Promise<void>
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
  /** As {@link closeAsync}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  toJSON(): object
}
/** Named memory, as {@link listSharedMemory} finds it. */
interface NamedMemory {
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
declare function openSharedMemory(name: string, options?: Readonly<SharedMemoryOptions>): MemoryMap
declare function openSharedMemory(
  name: string,
  options: Readonly<SharedMemoryOptions<'shared-array-buffer'>> & {
    readonly backing: 'shared-array-buffer'
  },
): MemoryMap<SharedArrayBuffer>
declare function openSharedMemory(
  name: string,
  options?: Readonly<SharedMemoryOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
/**
 * Takes the name of shared memory away (shm_unlink(3)). Mappings of it stay as they are; the memory goes with the
 * last of them. On Windows this does nothing and never fails: the name goes with the last mapping, and not before.
 *
 * @throws `ENOENT` and the OS's other errors
 */
declare function unlinkSharedMemory(name: string): void
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
declare function listSharedMemory(): NamedMemory[]
/** Bytes of one page of memory. The ranges of `protect` are multiples of it. */
declare const pageSize: number
/** The alignment of a mapping's start in memory, in bytes: 65,536 on Windows, otherwise a page. */
declare const allocationGranularity: number
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
declare function mapShared(file: FileSource, options?: Readonly<SharedMapOptions>): MemoryMap
declare function mapShared(
  file: FileSource,
  options: Readonly<SharedMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
declare function mapShared(
  file: FileSource,
  options?: Readonly<SharedMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
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
declare function mapPrivate(file: FileSource, options?: Readonly<FileMapOptions>): MemoryMap
declare function mapPrivate(
  file: FileSource,
  options: Readonly<FileMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
declare function mapPrivate(
  file: FileSource,
  options?: Readonly<FileMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
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
declare function mapAnonymous(length: Bytes, options?: Readonly<AnonymousMapOptions>): MemoryMap
declare function mapAnonymous(
  length: Bytes,
  options: Readonly<AnonymousMapOptions<'shared-array-buffer'> & OnSharedArrayBuffer>,
): MemoryMap<SharedArrayBuffer>
declare function mapAnonymous(
  length: Bytes,
  options?: Readonly<AnonymousMapOptions<Backing>>,
): MemoryMap<ArrayBuffer | SharedArrayBuffer>
interface OnSharedArrayBuffer {
  readonly backing: 'shared-array-buffer'
}
export {
  type Advice,
  type AnonymousMapOptions,
  type AsyncSyncOptions,
  type Backing,
  type Bytes,
  type FaultKind,
  type FileMapOptions,
  type FileSource,
  type FromOptions,
  type Kind,
  type LineOptions,
  type LockOptions,
  type MapOptions,
  type MemoryFault,
  MemoryFaultError,
  MemoryMap,
  type MemoryMapHandle,
  type NamedMemory,
  type Needle,
  type PrefetchOptions,
  type Protection,
  type Range,
  type ReadStreamOptions,
  type Residency,
  type ResidencyOptions,
  type Seal,
  type SearchOptions,
  type SharedMapOptions,
  type SharedMemoryOptions,
  type SyncOptions,
  type TypedArrayConstructor,
  WasmMapping,
  type WasmMemory,
  type WriteStreamOptions,
  allocationGranularity,
  listSharedMemory,
  mapAnonymous,
  mapPrivate,
  mapShared,
  openSharedMemory,
  pageSize,
  unlinkSharedMemory,
}
