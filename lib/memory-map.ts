// The public class. (Long: a third are doc comments, and a class is in one file.)

import { constants, isUtf8 } from 'node:buffer'
import type { Readable, Writable } from 'node:stream'
import { isTypedArray } from 'node:util/types'

import { abortable } from './abort.js'
import { type Advice, supports, toAdvice } from './advice.js'
import {
  type Bytes,
  checkPages,
  checkText,
  type Range,
  toBoolean,
  toBytes,
  toBytesOf,
  toEncoding,
  toIndex,
  toLength,
  toOffset,
  toRange,
} from './arguments.js'
import type { Token } from './binding.js'
import { allocate, allocateAlone, allocateForText, cut, isDetached } from './buffers.js'
import { check } from './choices.js'
import { closedError, illegalConstructor, KEY, notText, outOfRange, resizedError } from './errors.js'
import { FaultLog, type Origin } from './fault-log.js'
import { beforeTelling, known, listen, tellsLast } from './faults.js'
import { Handle, refuse, tag } from './handle.js'
import { InFlight, isRuntimeBusy } from './in-flight.js'
import { INTERNALS, type Internals } from './internals.js'
import { linesAsText, linesAsViews } from './lines.js'
import { adopt, type FromOptions, type MemoryMapHandle, toHandle } from './map-handle.js'
import { native } from './native.js'
import {
  isVolatile,
  type Kind,
  type Parsed,
  PROTECTIONS,
  type Protection,
  toListener,
  toProtection,
} from './options.js'
import {
  type AsyncSyncOptions,
  type LineOptions,
  type LockOptions,
  type PrefetchOptions,
  type Residency,
  type ResidencyOptions,
  SYNC_OPTIONS,
  type SyncOptions,
} from './range-options.js'
import { type ReadStreamOptions, ReadStreams } from './read-stream.js'
import {
  countInParts,
  findInParts,
  type Needle,
  type SearchOptions,
  toQuery,
  toRangeQuery,
  toSearch,
} from './search.js'
import { watchListeners } from './signals.js'
import {
  checkAligned,
  elementSize,
  makeVolatile,
  notTypedArrays,
  type Over,
  toElements,
  type TypedArrayConstructor,
} from './typed-arrays.js'
import { cutVolatile, toVolatileBuffer } from './volatile-buffer.js'
import { endAll, forgetGone, layOver, type WasmMapping, type WasmMemory } from './wasm.js'
import { checkMovable, readTooLarge, Windows } from './windows.js'
import { createWriteStream, giveRoomBack, type StreamedFile, type WriteStreamOptions } from './write-stream.js'
import { watchZlib } from './zlib-input.js'

const { mapping } = native

/** A mapping that was never closed is closed when it is collected, and its faults are told. */
const collected = new FinalizationRegistry<Token>((token) => {
  if (tellsLast(token)) return
  known.delete(token)
  mapping.forget(token)
})

/**
 * The mapping that was made last, until the next one is, or what runs now has ended: then it is registered. Many mappings
 * are closed before that, and to register one and take that back is a tenth of all that it costs to map and close.
 */
let newest: MemoryMap<any> | undefined
let isAwaited = false
const soon = Promise.resolve()

/** Makes the object of a mapping; for `create` alone. */
export let construct: (token: Token, kind: Kind, path: string | undefined, options: Parsed) => MemoryMap<any>

/** Makes an object again of a mapping that was collected. */
let revive: (origin: Origin) => FaultLog

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
export class MemoryMap<B extends ArrayBuffer | SharedArrayBuffer = ArrayBuffer> extends Handle {
  readonly #token: Token
  #closed = false
  readonly #kind: Kind
  #length = 0
  readonly #path: string | undefined
  /** Bytes between the start of the first page and the mapping's own first byte. */
  #pageOffset = 0
  #protection: Protection
  /** Whether that may have changed since it was mapped. */
  #isProtected = false
  readonly #options: Parsed
  #madeWindows: Windows | undefined
  /** Where it is in memory, once that was asked for by what ends when it moves. */
  #place: bigint | undefined
  #buffer: Buffer<B> | undefined
  #inFlight: InFlight | undefined
  #streams: ReadStreams | undefined
  #streamedFile: StreamedFile | undefined
  #madeLog: FaultLog | undefined

  private constructor(key: unknown, token: Token, kind: Kind, path: string | undefined, options: Parsed) {
    super()
    if (key !== KEY) throw illegalConstructor('`mapShared`, `mapPrivate`, `mapAnonymous` or `openSharedMemory`')
    this.#kind = kind
    this.#options = options
    this.#path = path
    this.#token = token
    this.#measure()
    this.#protection = PROTECTIONS[options.protection]!
  }

  static {
    construct = (token, kind, path, options) => {
      const map = new MemoryMap(KEY, token, kind, path, options)
      register()
      newest = map
      if (!isAwaited) {
        void soon.then(registerLast)
        isAwaited = true
      }
      return map
    }
    revive = (origin) => {
      const map = construct(origin.token, origin.kind, origin.path, origin.options)
      const log = (map.#madeLog = new FaultLog(map, origin, false))
      map.#beShared() // which it may have been
      register()
      return log
    }
    const register = () => {
      if (newest === undefined) return
      collected.register(newest, newest.#token, newest)
      newest.#madeLog?.register()
      newest = undefined
    }
    beforeTelling(register) // whoever turns the event loop may run no microtasks
    const registerLast = () => {
      isAwaited = false
      register()
    }
    const internals: Internals = {
      // `instanceof` is also true of what has no token: an object that was made of the prototype, a Proxy.
      isMap: (value): value is MemoryMap<any> => typeof value === 'object' && value !== null && #token in value,
      tokenOf: (map) => map.#checkOpen(),
      placeOf: (map) => (map.#closed ? undefined : (map.#place ??= mapping.address(map.#token))),
      explain: (map, error) => map.#log.explain(error),
    }
    Object.defineProperty(MemoryMap, INTERNALS, { value: internals })
    tag(MemoryMap)
  }

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
  static from(handle: MemoryMapHandle, options?: Readonly<FromOptions>): MemoryMap<any> {
    const { onFault } = check<FromOptions>(options, ['onFault'])
    const listener = toListener(onFault)
    const { token, kind, path, offset, shares, memory } = adopt(handle)
    const protection = mapping.protection(token)
    const rest = { flags: 0, address: null, advice: undefined, shared: true }
    const map = construct(token, kind, path, { offset, shares, protection, onFault: listener, ...rest })
    watchListeners()
    map.#beShared()
    try {
      map.#windows.borrow(memory)
    } catch (error) {
      map.close()
      throw error
    }
    return map
  }

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
  get handle(): MemoryMapHandle<B extends SharedArrayBuffer ? 'shared-array-buffer' : 'array-buffer'> {
    const token = this.#checkOpen()
    this.#beShared()
    return toHandle(token, { path: this.#path, shares: this.#windows.shares }, this.#windows.lent)
  }

  /** Where stores go. */
  get kind(): Kind {
    return this.#kind
  }

  /** Its length in bytes. */
  get length(): number {
    return this.#length
  }

  /** Where in the file it starts, in bytes. */
  get offset(): number {
    return this.#options.offset
  }

  /** The file's path, if it was mapped by path. */
  get path(): string | undefined {
    return this.#path
  }

  /** What may be done with the pages: the last protection that was set for the whole mapping, on any thread. */
  get protection(): Protection {
    if (this.#isProtected && !this.#closed) this.#protection = PROTECTIONS[mapping.protection(this.#token)]!
    return this.#protection
  }

  /**
   * The mapping's own file descriptor, which is the system's: Deno's functions take others. undefined without a file,
   * with `keepOpen: false`, and after `close()`.
   */
  get fd(): number | undefined {
    return this.#closed ? undefined : (mapping.fd(this.#token) ?? undefined)
  }

  /** Where in memory the first byte is; 0n for an empty mapping and after `close()`. */
  get address(): bigint {
    return this.#closed ? 0n : mapping.address(this.#token)
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed
  }

  /** How many faults were contained. It grows at once, before a fault is reported. */
  get faults(): number {
    return this.#log.count
  }

  /**
   * The memory under `buffer`. It may begin up to a page before the mapping: `buffer.byteOffset` says how far.
   *
   * @throws `ERR_MMAP_TOO_LARGE` if it exceeds the runtime's largest Buffer (4 GiB on Node 20)
   */
  get arrayBuffer(): B {
    this.#checkOpen()
    return this.#windows.whole() as B
  }

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
  get buffer(): Buffer<B> {
    this.#checkOpen()
    const made = this.#buffer
    if (made?.length === this.#length && (made.length > 0 || !isDetached(made.buffer))) return made
    return (this.#buffer = this.#windows.cut(this.#windows.whole(), this.#pageOffset, this.#length))
  }

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
  view(offset: Bytes = 0, length?: Bytes): Buffer<B> {
    this.#checkOpen()
    const start = toOffset(offset, this.#length, 'offset')
    return this.#windows.view(start, start + toLength(length, start, this.#length, 'length'))
  }

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
  typedArray<T>(constructor: TypedArrayConstructor<T>, byteOffset: Bytes = 0, length?: Bytes): Over<T, B> {
    const size = elementSize(constructor)
    this.#checkOpen() // after the caller's own code, which that may be
    const [start, count] = toElements(byteOffset, length, size, this.#length)
    checkAligned(start, size, {
      pageOffset: this.#pageOffset,
      fileOffset: this.#kind === 'anonymous' ? undefined : this.offset,
    })
    const window = this.#windows.over(start, start + count * size)
    const { memory } = window
    const at = start - window.start
    const array =
      this.#windows.cut === cut
        ? new constructor(memory, at, count)
        : makeVolatile(constructor as TypedArrayConstructor<any>, memory, at, count)
    if (!isTypedArray(array)) throw notTypedArrays(constructor)
    return array as Over<T, B>
  }

  /**
   * A DataView over a part of the mapping, aligned or not.
   *
   * @throws `ERR_MMAP_TOO_LARGE` as {@link view} does
   */
  dataView(byteOffset: Bytes = 0, byteLength?: Bytes): DataView<B> {
    this.#checkOpen()
    const start = toOffset(byteOffset, this.#length, 'byteOffset')
    const count = toLength(byteLength, start, this.#length, 'byteLength')
    const window = this.#windows.over(start, start + count)
    return new DataView(window.memory, start - window.start, count) as DataView<B>
  }

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
  createReadStream(options?: Readonly<ReadStreamOptions>): Readable {
    this.#checkOpen()
    this.#streams ??= new ReadStreams({
      length: () => this.#length,
      chunk: (start, end) => this.#windows.chunk(start, end),
      prefetch: (start, end, stop) => this.#track(mapping.prefetch(this.#checkOpen(), start, end, stop)),
      touch: (start, end) => mapping.touch(this.#checkOpen(), start, end),
      explain: (error) => this.#log.explain(error),
      close: () => this.close(),
    })
    return this.#streams.create(options)
  }

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
  createWriteStream(options?: Readonly<WriteStreamOptions>): Writable {
    this.#checkOpen()
    this.#streamedFile ??= {
      length: () => this.#call(() => mapping.fileLength(this.#checkOpen())),
      endOfData: (start: number, end: number) => this.#call(() => mapping.endOfData(this.#checkOpen(), start, end)),
      cut: (length: number, kept: number) => this.#call(() => mapping.cutFile(this.#checkOpen(), length, kept)),
    }
    return createWriteStream(this, this.#streamedFile, options)
  }

  /**
   * Copies bytes out of the mapping. A short copy can share its `buffer` with others, as with `Buffer.allocUnsafe`.
   *
   * @throws {MemoryFaultError} if the bytes cannot be read: the file was truncated, the disk failed
   */
  read(offset: Bytes = 0, length?: Bytes): Buffer<ArrayBuffer> {
    const token = this.#checkOpen()
    const [start, end] = toRange(offset, length, this.#length)
    if (end - start > constants.MAX_LENGTH) throw readTooLarge(end - start)
    const bytes = allocate(end - start)
    this.#call(() => mapping.read(token, bytes, start))
    return bytes
  }

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
  readTyped<T>(constructor: TypedArrayConstructor<T>, byteOffset: Bytes = 0, length?: Bytes): Over<T, ArrayBuffer> {
    const size = elementSize(constructor)
    const token = this.#checkOpen() // after the caller's own code, which that may be
    const [start, count] = toElements(byteOffset, length, size, this.#length)
    if (count * size > constants.MAX_LENGTH) throw readTooLarge(count * size)
    const bytes = allocateAlone(count * size)
    this.#call(() => mapping.read(token, bytes, start))
    const array = new constructor(bytes.buffer, 0, count)
    if (!isTypedArray(array)) throw notTypedArrays(constructor)
    return array as Over<T, ArrayBuffer>
  }

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
  override toString(encoding?: BufferEncoding, start?: Bytes, end?: Bytes): string {
    const token = this.#checkOpen()
    const first = toIndex(start, 0, this.#length, 'start')
    const last = toIndex(end, this.#length, this.#length, 'end')
    if (first >= last) return ''
    const name = toEncoding(encoding)
    return this.#copyForText(token, name, first, last).toString(name)
  }

  #copyForText(token: Token, encoding: BufferEncoding, start: number, end: number): Buffer {
    checkText(end - start, encoding)
    const bytes = allocateForText(end - start)
    this.#call(() => mapping.read(token, bytes, start))
    return bytes
  }

  /**
   * Text of it where something makes text of anything: `${map}`, `console.log('%s', map)`, and also `new Blob([map])`,
   * which should have been given `map.buffer`, and cannot be told from them. So it throws if the bytes are not UTF-8, where
   * other bytes would come of them.
   */
  [Symbol.toPrimitive](hint: string): string {
    const token = this.#checkOpen()
    if (hint === 'number') refuse(this)
    const bytes = this.#copyForText(token, 'utf8', 0, this.#length)
    if (!isUtf8(bytes)) throw notText()
    return bytes.toString()
  }

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
  write(data: NodeJS.ArrayBufferView, offset: Bytes = 0): number {
    const token = this.#checkOpen()
    const bytes = toBytesOf(data, 'data')
    const start = toOffset(offset, this.#length, 'offset')
    const room = this.#length - start
    if (bytes.length > room)
      throw outOfRange('data', `at most ${room} bytes, which are left from ${start} on`, bytes.length)
    this.#call(() => mapping.write(token, bytes, start))
    return bytes.length
  }

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
  ): number {
    const token = this.#checkOpen()
    const query = toQuery(true, this.#length, value, byteOffset, end, encoding)
    return typeof query === 'number' ? query : this.#call(() => mapping.find(token, ...query))
  }

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
  ): number {
    const token = this.#checkOpen()
    const query = toQuery(false, this.#length, value, byteOffset, end, encoding)
    return typeof query === 'number' ? query : this.#call(() => mapping.findLast(token, ...query))
  }

  /** Whether a value occurs: as `buffer.includes`, and with the arguments of {@link indexOf}. */
  includes(
    value: Needle,
    byteOffset?: Bytes | BufferEncoding,
    end?: Bytes | BufferEncoding,
    encoding?: BufferEncoding,
  ): boolean {
    return this.indexOf(value, byteOffset, end, encoding) !== -1
  }

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
  count(value: Needle, range?: Readonly<Range>, encoding?: BufferEncoding): number {
    const token = this.#checkOpen()
    const query = toRangeQuery(value, range, encoding, this.#length)
    return this.#call(() => mapping.count(token, ...query))
  }

  /**
   * Where a value first occurs in a range, or -1. Searches on other threads: on several, if the range is large.
   *
   * ```js
   * const found = await map.find('needle', { signal: AbortSignal.timeout(1000) })
   * ```
   *
   * Rejects as {@link indexOf} throws, and with `ERR_MMAP_CLOSED` if the mapping is closed meanwhile.
   */
  async find(value: Needle, options?: Readonly<SearchOptions>): Promise<number> {
    return this.#search(value, options, findInParts)
  }

  /** As {@link count}, on other threads: on several, if the range is large. */
  async countAsync(value: Needle, options?: Readonly<SearchOptions>): Promise<number> {
    return this.#search(value, options, countInParts)
  }

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
  lines(range?: Readonly<Range & { encoding?: undefined }>): IteratorObject<Buffer<B>, undefined>
  lines(options: Readonly<LineOptions & { encoding: BufferEncoding }>): IteratorObject<string, undefined>
  lines(options?: Readonly<LineOptions>): IteratorObject<Buffer<B> | string, undefined>
  lines(options?: Readonly<LineOptions>): IteratorObject<Buffer<B> | string, undefined> {
    this.#checkOpen()
    const { offset, length, encoding } = check<LineOptions>(options, ['offset', 'length', 'encoding'])
    const [start, end] = toRange(offset, length, this.#length)
    const text = {
      fill: (from: number, to: number, bounds: Float64Array) => mapping.lines(this.#checkOpen(), from, to, bounds),
      explain: (error: unknown) => this.#log.explain(error),
      windows: this.#windows,
    }
    if (encoding !== undefined) {
      const read = (from: number, size: number) => this.read(from, size)
      const readUnits = (from: number, count: number) => this.readTyped(Uint16Array, from, count)
      return linesAsText({ ...text, read, readUnits }, toEncoding(encoding), start, end)
    }
    const over = (from: number, to: number) => {
      this.#checkOpen()
      if (to > this.#length) throw outOfRange('range', 'inside the mapping, which was resized', to)
      return this.#windows.over(from, to)
    }
    return linesAsViews<B>({ ...text, over }, start, end)
  }

  /**
   * Makes stores durable: resolves when the bytes of the range are as safe as after fsync(2). It waits on another
   * thread, and finishes even if the mapping is closed meanwhile.
   *
   * Rejects with a {@link MemoryFaultError} if a store was lost since the last call that threw one.
   */
  async sync(options?: Readonly<AsyncSyncOptions>): Promise<void> {
    const token = this.#checkOpen()
    const { offset, length, invalidate, signal } = check<AsyncSyncOptions>(options, [...SYNC_OPTIONS, 'signal'])
    const [start, end] = toRange(offset, length, this.#length)
    try {
      await abortable(signal, (stop) => {
        this.check()
        return this.#track(mapping.sync(token, start, end, toBoolean(invalidate, 'options.invalidate', false), stop))
      })
    } catch (error) {
      throw this.#log.explain(error)
    }
    this.#log.collect()
    this.#log.throwOldest()
  }

  /** As {@link sync}, on this thread. */
  syncSync(options?: Readonly<SyncOptions>): void {
    const token = this.#checkOpen()
    const { offset, length, invalidate } = check<SyncOptions>(options, SYNC_OPTIONS)
    const [start, end] = toRange(offset, length, this.#length)
    this.check()
    this.#call(() => mapping.syncSync(token, start, end, toBoolean(invalidate, 'options.invalidate', false)))
    this.check()
  }

  /**
   * Changes what may be done with the pages of a range (mprotect(2)). The range must begin at the start of a page in
   * memory, or of the mapping, and end at the end of a page, or of the mapping.
   *
   * @throws RangeError if it does not; `EACCES` if the file is not open for what is asked
   */
  protect(protection: Protection, range?: Readonly<Range>): void {
    const token = this.#checkOpen()
    const index = toProtection(protection, 'protection')
    const [start, end] = this.#range(range)
    checkPages([start, end], this.#pageOffset, this.#length, native.pageSize())
    this.#isProtected = true
    this.#call(() => mapping.protect(token, index, start, end))
  }

  /**
   * Tells the system how the pages of a range will be used (madvise(2)). Advice that can lose contents
   * (`dontneed`, `free`, `remove`, `wipeonfork`) takes whole pages only, as {@link protect} does; other advice
   * goes to every page that the range touches.
   *
   * @throws `ERR_MMAP_UNSUPPORTED` if this system lacks it; the OS's errors (`EINVAL`...)
   */
  advise(advice: Advice, range?: Readonly<Range>): void {
    const token = this.#checkOpen()
    const index = toAdvice(advice)
    const [start, end] = this.#range(range)
    this.#call(() => mapping.advise(token, index, start, end))
  }

  /** Whether this system supports an advice. */
  static supports(advice: Advice): boolean {
    return supports(advice)
  }

  /**
   * Brings a range into memory, on another thread. Loads from it then do not wait for the disk, for as long as the
   * system keeps it.
   *
   * Rejects with a {@link MemoryFaultError} if a page cannot be read, and with `ERR_MMAP_CLOSED` if the mapping is
   * closed meanwhile.
   */
  async prefetch(options?: Readonly<PrefetchOptions>): Promise<void> {
    const token = this.#checkOpen()
    const { offset, length, signal } = check<PrefetchOptions>(options, ['offset', 'length', 'signal'])
    const [start, end] = toRange(offset, length, this.#length)
    try {
      await abortable(signal, (stop) => this.#track(mapping.prefetch(token, start, end, stop)))
    } catch (error) {
      throw this.#log.explain(error)
    }
  }

  /**
   * Keeps the pages of a range in memory (mlock(2)): all of them from now on, or with `onFault` each one from when it is
   * first touched. {@link unlock} and `close()` end that.
   *
   * @throws `ENOMEM`, `EPERM` or `EAGAIN` if RLIMIT_MEMLOCK allows less
   */
  lock(options?: Readonly<LockOptions>): void {
    const token = this.#checkOpen()
    const { offset, length, onFault } = check<LockOptions>(options, ['offset', 'length', 'onFault'])
    const [start, end] = toRange(offset, length, this.#length)
    const lazy = toBoolean(onFault, 'options.onFault', false)
    this.#call(() => mapping.lock(token, start, end, lazy))
  }

  /** Allows the pages of a range to leave memory again (munlock(2)). Locks do not nest. */
  unlock(range?: Readonly<Range>): void {
    const token = this.#checkOpen()
    const [start, end] = this.#range(range)
    this.#call(() => mapping.unlock(token, start, end))
  }

  /**
   * Which pages of a range are in memory (mincore(2)); pages of a file, in the system's cache. Linux tells the truth only
   * for files that the process may write. For others it reports every page as resident.
   *
   * @throws `ENOMEM` if there is no memory for the bitmap
   */
  residency(options: Readonly<ResidencyOptions> & { readonly bitmap: false }): Omit<Residency, 'bitmap'>
  residency(options?: Readonly<ResidencyOptions>): Residency
  residency(options?: Readonly<ResidencyOptions>): Residency {
    const token = this.#checkOpen()
    const { offset, length, bitmap } = check<ResidencyOptions>(options, ['offset', 'length', 'bitmap'])
    const withBitmap = toBoolean(bitmap, 'options.bitmap', true)
    const [start, end] = toRange(offset, length, this.#length)
    return this.#call(() => mapping.residency(token, start, end, withBitmap) as Residency)
  }

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
  resize(length: Bytes): void {
    const token = this.#checkOpen()
    const bytes = toBytes(length, 'length')
    this.#log.collect()
    if (bytes === this.#length) return
    checkMovable(this.#windows.shares)
    this.#keepTails()
    if (this.#windows.areUsed) watchZlib()
    this.#call(() => mapping.resize(token, bytes, isRuntimeBusy()))
    if (this.#place !== undefined) this.#place = mapping.address(token)
    this.#streams?.fail(resizedError())
    this.#measure()
  }

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
  into(memory: WasmMemory, offset: Bytes): WasmMapping {
    const token = this.#checkOpen()
    listen()
    const [map, log] = [this, this.#log]
    log.expect('laid')
    const layable = {
      token,
      length: this.#length,
      collect: () => map.#closed || log.collect(),
      explain: (error: unknown) => log.explain(error),
    }
    return layOver(layable, memory, offset)
  }

  /** Throws the oldest fault of the mapping that no call has thrown yet, if any. */
  check(): void {
    this.#checkOpen()
    this.#log.collect()
    this.#log.throwOldest()
  }

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
  close(): void {
    if (this.#closed) return
    if (this.#streamedFile) giveRoomBack(this.#streamedFile)
    const token = this.#token
    this.#keepTails()
    if (this.#madeWindows?.areUsed) watchZlib()
    void this.protection // as it was last
    forgetGone(token)
    const reports = mapping.close(token, this.#madeWindows?.wereUsed === true && isRuntimeBusy())
    const log = reports === null ? this.#madeLog : this.#log
    this.#closed = true
    endAll(token)
    // What was transferred away may fault later still.
    if (reports === null && !log?.lasts) {
      if (newest === this) newest = undefined
      else collected.unregister(this)
    }
    log?.end(reports)
    this.#streams?.fail(closedError())
    this.#buffer = undefined
    this.#madeWindows?.end()
  }

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
  async closeAsync(): Promise<void> {
    while (this.#inFlight?.isEmpty === false || this.#streams?.areClosed === false) {
      await Promise.all([this.#inFlight?.settled(), this.#streams?.closed()])
    }
    this.close()
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** As {@link closeAsync}: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeAsync()
  }

  toJSON(): object {
    const { kind, length, offset, protection, path, fd, address, closed, faults } = this
    return { kind, length, offset, protection, path, fd, address: `0x${address.toString(16)}`, closed, faults }
  }

  /** Made when it is first needed, as `#log`: a mapping that is only read needs neither. */
  get #windows(): Windows {
    const made = this.#madeWindows
    if (made !== undefined) return made
    const { shares } = this.#options
    const windows = new Windows(
      this.#token,
      shares,
      isVolatile(this.#kind, this.#options) ? cutVolatile : cut,
      this.#log,
    )
    windows.measure(this.#pageOffset, this.#length)
    return (this.#madeWindows = windows)
  }

  get #log(): FaultLog {
    const made = this.#madeLog
    if (made !== undefined) return made
    const options = this.#options
    const { onFault } = options
    const origin: Origin = {
      token: this.#token,
      kind: this.#kind,
      path: this.#path,
      options: onFault === undefined ? options : { ...options, onFault: undefined },
      listens: onFault !== undefined,
      onFault,
      revive,
      hasWarned: false,
    }
    const log = new FaultLog(this, origin, newest !== this)
    if (this.#closed) log.end(null)
    return (this.#madeLog = log)
  }

  #checkOpen(): Token {
    if (this.#closed) throw closedError()
    return this.#token
  }

  #track<T>(work: Promise<T>): Promise<T> {
    return (this.#inFlight ??= new InFlight()).add(work)
  }

  /** Keeps the bytes of the last chunks of streams when the pages go. */
  #keepTails(): void {
    if (this.#streams !== undefined && !this.#windows.copies) mapping.leaveSnapshots(this.#token, this.#streams.tails())
  }

  #range(range: unknown): [start: number, end: number] {
    const { offset, length } = check<Range>(range, ['offset', 'length'], 'range')
    return toRange(offset, length, this.#length)
  }

  async #search(value: Needle, options: unknown, run: typeof findInParts): Promise<number> {
    const token = this.#checkOpen()
    const [query, signal] = toSearch(value, options, this.#length)
    try {
      return await abortable(signal, (stop) => this.#track(run(token, query, stop)))
    } catch (error) {
      throw this.#log.explain(error)
    } finally {
      this.#log.collect() // what other threads have met that the answer does not depend on
    }
  }

  /** Other threads may have the mapping from now on: they change its memory, and fault in it. */
  #beShared(): void {
    listen()
    this.#isProtected = true
    this.#log.expect('lasting')
    this.#windows.cut = cutVolatile
    if (this.#buffer !== undefined) toVolatileBuffer(this.#buffer)
  }

  /** Runs a call of the native library, with its errors made the user's. */
  #call<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw this.#log.explain(error)
    }
  }

  /** Reads the mapping's length, and forgets the views of its previous length. */
  #measure(): void {
    this.#length = mapping.length(this.#token)
    this.#pageOffset = this.#options.offset === 0 ? 0 : mapping.pageOffset(this.#token)
    this.#madeWindows?.measure(this.#pageOffset, this.#length)
    this.#buffer = undefined
  }
}
