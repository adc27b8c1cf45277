import type { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { type Advice } from './advice.js';
import { type Bytes, type Range } from './arguments.js';
import type { Token } from './binding.js';
import { type Parsed, type Protection } from './options.js';
import { type ReadStreamOptions } from './read-stream.js';
import { type Needle, type SearchOptions } from './search.js';
/** Where the stores of a mapping go: to the file, to private pages of it, or to no file. */
export type Kind = 'shared' | 'private' | 'anonymous';
/** A part of a mapping to make durable, and how. */
export interface SyncOptions extends Range {
    /** Tell other mappings of the file to read it again (`MS_INVALIDATE` of msync(2)). Default: false. */
    readonly invalidate?: boolean | undefined;
}
/** As {@link SyncOptions}, for the asynchronous form. */
export interface AsyncSyncOptions extends SyncOptions {
    /** Gives the sync up if it has not begun. */
    readonly signal?: AbortSignal | undefined;
}
/** A part of a mapping to have the lines of, and as what. */
export interface LineOptions extends Range {
    /** Gives strings, which are decoded from copies. Default: Buffers, which are views. */
    readonly encoding?: BufferEncoding | undefined;
}
/** A part of a mapping to bring in. */
export interface PrefetchOptions extends Range {
    /** Gives it up: the promise rejects at once, and the work ends soon. */
    readonly signal?: AbortSignal | undefined;
}
/** A part of a mapping to keep in memory, and from when. */
export interface LockOptions extends Range {
    /** Each page from when it is first touched (`MLOCK_ONFAULT` of mlock2(2), Linux). Default: false. */
    readonly onFault?: boolean | undefined;
}
/** Which pages of a range are in memory. */
export interface Residency {
    /** How many pages the range touches. */
    readonly pages: number;
    /** How many of them are in memory. */
    readonly resident: number;
    /** A bit for each: page `i` is bit `i % 8` of byte `Math.floor(i / 8)`. */
    readonly bitmap: Uint8Array;
}
/** A constructor of typed arrays, such as `Float64Array`. */
export interface TypedArrayConstructor<T> {
    readonly BYTES_PER_ELEMENT: number;
    new (buffer: any, byteOffset: number, length: number): T;
}
interface TypedArrays<B extends ArrayBufferLike> {
    Int8Array: Int8Array<B>;
    Uint8Array: Uint8Array<B>;
    Uint8ClampedArray: Uint8ClampedArray<B>;
    Int16Array: Int16Array<B>;
    Uint16Array: Uint16Array<B>;
    Int32Array: Int32Array<B>;
    Uint32Array: Uint32Array<B>;
    Float32Array: Float32Array<B>;
    Float64Array: Float64Array<B>;
    BigInt64Array: BigInt64Array<B>;
    BigUint64Array: BigUint64Array<B>;
}
/** The typed array `T` over memory of the kind `B`; a subclass stays what it is. */
export type Over<T, B extends ArrayBufferLike> = T extends {
    readonly [Symbol.toStringTag]: infer Name;
} ? Name extends keyof TypedArrays<B> ? TypedArrays<ArrayBuffer>[Name] extends T ? TypedArrays<B>[Name] : T : T : T;
/**
 * Pages in memory: of a file, or of none. Made by `mapShared`, `mapPrivate` and `mapAnonymous`.
 *
 * All offsets and lengths are in bytes and count from the start of the mapping; they may be numbers or
 * bigints. No load or store through a view can end the process: see {@link MemoryFault}.
 *
 * ```js
 * using map = mapShared('counters.bin', { protection: 'read-write', create: true, length: 4096 })
 * const counters = map.typedArray(BigUint64Array)
 * counters[0] += 1n
 * await map.sync()
 * ```
 */
export declare class MemoryMap<B extends ArrayBuffer | SharedArrayBuffer = ArrayBuffer> {
    #private;
    private constructor();
    /** Where the stores go. */
    get kind(): Kind;
    /** Bytes of the mapping. */
    get length(): number;
    /** Where in the file it starts, in bytes. */
    get offset(): number;
    /** The file's path, if that is how it was given. */
    get path(): string | undefined;
    /** What may be done with the pages: what the mapping as a whole was given last. */
    get protection(): Protection;
    /** The mapping's own file descriptor; undefined without a file and after `close()`. */
    get fd(): number | undefined;
    /** Where in memory the first byte is; 0n for an empty mapping and after `close()`. */
    get address(): bigint;
    /** Whether `close()` was called. */
    get closed(): boolean;
    /** How many faults were contained; grows at once, before a fault is told. */
    get faults(): number;
    /**
     * What `buffer` is a view of. It may begin up to a page before the mapping, which `buffer.byteOffset`
     * says.
     *
     * @throws `ERR_MMAP_TOO_LARGE` where it exceeds the runtime's largest Buffer (4 GiB on Node 20)
     */
    get arrayBuffer(): B;
    /**
     * The whole mapping, without a copy; the same object each time, until its memory is transferred (`transfer()`, the
     * streams of bytes that the web has).
     *
     * Where others can change the memory, this and every view decodes copies (`toString`), for runtimes overwrite memory
     * when text changes while they decode it. In all else it is the Buffer that it seems; `assert.deepStrictEqual` of
     * Node 20 alone finds it different from an ordinary one.
     *
     * @throws `ERR_MMAP_TOO_LARGE` where it exceeds the runtime's largest Buffer (4 GiB on Node 20)
     */
    get buffer(): Buffer<B>;
    /**
     * A part of the mapping, without a copy, without a system call, and without an ArrayBuffer of its own.
     * Works anywhere in a mapping of any size, on every runtime.
     *
     * `structuredClone` and `postMessage` copy the whole of a view's `buffer`, as of any view: hand them a {@link read}.
     *
     * @throws `ERR_MMAP_TOO_LARGE` for more than the runtime's largest Buffer; in a mapping that is larger than that
     *   itself, for more than 1 GiB
     */
    view(offset?: Bytes, length?: Bytes): Buffer<B>;
    /**
     * A typed array over a part of the mapping, with the arguments of its constructor: `byteOffset` in bytes,
     * `length` in elements.
     *
     * ```js
     * const prices = map.typedArray(Float64Array, 64, 1000)
     *
     * const copied = new Float32Array(1000) // of elements at any byte
     * new Uint8Array(copied.buffer).set(map.view(3, copied.byteLength))
     * ```
     *
     * Where others can change the memory its `sort` sorts a copy and stores that: engines that sort in place leave the
     * array when elements change meanwhile. What others store before it is done is lost.
     *
     * @throws `ERR_OUT_OF_RANGE` where the elements are not aligned in memory, which begins at a page: in a file where
     *   {@link offset} plus `byteOffset` is no multiple of their size
     * @throws `ERR_MMAP_TOO_LARGE` as {@link view} does
     */
    typedArray<T>(constructor: TypedArrayConstructor<T>, byteOffset?: Bytes, length?: Bytes): Over<T, B>;
    /**
     * A DataView over a part of the mapping, aligned or not.
     *
     * @throws `ERR_MMAP_TOO_LARGE` as {@link view} does
     */
    dataView(byteOffset?: Bytes, byteLength?: Bytes): DataView<B>;
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
     * `resize()` end it with `ERR_MMAP_CLOSED`. What it has handed out last, up to a MiB, stays as it was then, so that a
     * destination that is still writing it writes the right bytes (Linux and macOS); chunks from before read zeros, and
     * using them is told as a fault of kind `'closed'`.
     *
     * @throws `ERR_OUT_OF_RANGE` where `start` lies behind `end`; both may lie behind the mapping's end
     */
    createReadStream(options?: Readonly<ReadStreamOptions>): Readable;
    /**
     * Copies bytes out. What is short can share its `buffer` with others, as of `Buffer.allocUnsafe`.
     *
     * @throws {MemoryFaultError} where they cannot be read: the file was truncated, the disk failed
     */
    read(offset?: Bytes, length?: Bytes): Buffer<ArrayBuffer>;
    /**
     * Text of the mapping, as `buffer.toString` gives it, in a mapping of any size. It is decoded from a copy, and so is
     * right whatever others store meanwhile.
     *
     * ```js
     * const header = map.toString('latin1', 0, 80)
     * ```
     *
     * @param start where it begins, in bytes
     * @param end where it ends: before this byte
     * @throws `ERR_STRING_TOO_LONG` for more characters than a string can have; `ENOMEM` where there is no memory
     * @throws {MemoryFaultError} where the bytes cannot be read
     */
    toString(encoding?: BufferEncoding, start?: Bytes, end?: Bytes): string;
    /**
     * Copies bytes in, and says how many.
     *
     * ```js
     * const floats = Float32Array.of(1, 2)
     * map.write(new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength), 8)
     * map.write(Buffer.from('text'), 16)
     * ```
     *
     * @throws `ERR_MMAP_NOT_WRITABLE` where the protection forbids it
     * @throws {MemoryFaultError} where they cannot be written: the file was truncated, the disk is full
     */
    write(data: Uint8Array, offset?: Bytes): number;
    /**
     * Where a value first occurs, or -1. The arguments and the answer are those of `buffer.indexOf`, in a mapping
     * of any size: it begins at `byteOffset`, which counts from the end if it is negative, and what it finds ends
     * before `end`. A string in UTF-16 is found at even offsets only.
     *
     * ```js
     * const end = map.indexOf('\n')
     * ```
     *
     * @throws {MemoryFaultError} where bytes before the answer cannot be read
     */
    indexOf(value: Needle, byteOffset?: Bytes | BufferEncoding, end?: Bytes | BufferEncoding, encoding?: BufferEncoding): number;
    /**
     * Where a value last occurs, at `byteOffset` or before, or -1: as `buffer.lastIndexOf`, and otherwise as
     * {@link indexOf}.
     *
     * @throws {MemoryFaultError} where bytes after the answer cannot be read
     */
    lastIndexOf(value: Needle, byteOffset?: Bytes | BufferEncoding, end?: Bytes | BufferEncoding, encoding?: BufferEncoding): number;
    /** Whether a value occurs: as `buffer.includes`, and with the arguments of {@link indexOf}. */
    includes(value: Needle, byteOffset?: Bytes | BufferEncoding, end?: Bytes | BufferEncoding, encoding?: BufferEncoding): boolean;
    /**
     * How many times a value occurs in a range, counted from its start and without overlaps.
     *
     * ```js
     * const lines = map.count('\n')
     * ```
     *
     * @throws `ERR_INVALID_ARG_VALUE` for a value without bytes
     * @throws {MemoryFaultError} where the bytes cannot be read
     */
    count(value: Needle, range?: Readonly<Range>, encoding?: BufferEncoding): number;
    /**
     * Where a value first occurs in a range, or -1, searched on other threads: on several, where there is much to
     * search.
     *
     * ```js
     * const found = await map.find('needle', { signal: AbortSignal.timeout(1000) })
     * ```
     *
     * Rejects as {@link indexOf} throws, and with `ERR_MMAP_CLOSED` where the mapping is closed meanwhile.
     */
    find(value: Needle, options?: Readonly<SearchOptions>): Promise<number>;
    /** As {@link count}, on other threads: on several, where there is much to search. */
    countAsync(value: Needle, options?: Readonly<SearchOptions>): Promise<number>;
    /**
     * The lines of a range, without a copy and without their `\n` or `\r\n`. What comes after the last `\n` is
     * a line too, unless it is nothing.
     *
     * ```js
     * for (const line of map.lines()) if (line.length > 1000) console.log(line.toString())
     * for (const line of map.lines({ encoding: 'utf8' })) console.log(line) // strings, decoded from copies
     * ```
     *
     * To find the few lines that have something, {@link indexOf} is many times faster than a look at each.
     *
     * @throws {MemoryFaultError} from the iteration, where bytes cannot be read
     * @throws `ERR_MMAP_TOO_LARGE` from the iteration, for a line that is longer than a view can be
     * @throws `ERR_MMAP_CLOSED` from the iteration, where the mapping was closed meanwhile
     */
    lines(range?: Readonly<Range & {
        encoding?: undefined;
    }>): IteratorObject<Buffer<B>, undefined>;
    lines(options: Readonly<LineOptions & {
        encoding: BufferEncoding;
    }>): IteratorObject<string, undefined>;
    lines(options?: Readonly<LineOptions>): IteratorObject<Buffer<B> | string, undefined>;
    /**
     * Makes stores durable: resolves when the bytes of the range are as safe as fsync(2) makes them. The wait
     * is on another thread. A `close()` meanwhile does no harm.
     *
     * Rejects with a {@link MemoryFaultError} where a store was lost since the last call that threw one.
     */
    sync(options?: Readonly<AsyncSyncOptions>): Promise<void>;
    /** As {@link sync}, on this thread. */
    syncSync(options?: Readonly<SyncOptions>): void;
    /**
     * Changes what may be done with the pages of a range (mprotect(2)). The range begins at the start of a
     * page in memory (or of the mapping) and ends at the end of one (or of the mapping).
     *
     * @throws RangeError where it does not; `EACCES` where the file is not open for what is asked
     */
    protect(protection: Protection, range?: Readonly<Range>): void;
    /**
     * Tells the system what the pages of a range are for (madvise(2)). Advice that can lose contents
     * (`dontneed`, `free`, `remove`, `wipeonfork`) takes whole pages only, as {@link protect} does; other advice
     * goes to every page that the range touches.
     *
     * @throws `ERR_MMAP_UNSUPPORTED` where this system lacks it; the OS's errors (`EINVAL`...)
     */
    advise(advice: Advice, range?: Readonly<Range>): void;
    /** Whether this system has an advice. */
    static supports(advice: Advice): boolean;
    /**
     * Brings a range into memory, on another thread: loads from it do not wait for the disk afterwards, for as
     * long as the system can keep it.
     *
     * Rejects with a {@link MemoryFaultError} where a page cannot be had, with `ERR_MMAP_CLOSED` where the
     * mapping is closed meanwhile.
     */
    prefetch(options?: Readonly<PrefetchOptions>): Promise<void>;
    /**
     * Keeps the pages of a range in memory (mlock(2)), all of them from now on, or with `onFault` each from when
     * it is first touched. Ended by {@link unlock} and by `close()`.
     *
     * @throws `ENOMEM`, `EPERM` or `EAGAIN` where RLIMIT_MEMLOCK allows less
     */
    lock(options?: Readonly<LockOptions>): void;
    /** Lets the pages of a range go out of memory again (munlock(2)). Locks do not add up. */
    unlock(range?: Readonly<Range>): void;
    /**
     * Which pages of a range are in memory (mincore(2)); of a file, in the system's cache. Linux tells it only
     * of files that the process may write, and calls all pages of others resident.
     */
    residency(range?: Readonly<Range>): Residency;
    /**
     * Changes the length. Contents up to the smaller length are kept; a shared mapping that is for stores extends
     * its file where it grows beyond the end. Views that were made before have length 0 afterwards, also where
     * they would still fit; a `Mutex`, a `Semaphore` or a `Channel` stays what it was. The file never becomes shorter. If
     * it fails the mapping and its views are as they were.
     *
     * Repeated growth is cheap: the mapping moves only each time that its length has doubled.
     *
     * ```js
     * map.resize(statSync('log.bin').size - map.offset) // what others have appended
     * ```
     *
     * @param length in bytes
     * @throws `ERR_MMAP_BEYOND_END` for a mapping that cannot extend its file; the OS's errors (`ENOMEM`, `ENOSPC`...)
     */
    resize(length: Bytes): void;
    /** Throws the oldest fault of the mapping that no call has thrown yet, if there is one. */
    check(): void;
    /**
     * Unmaps. The file, its blocks and the memory are free when this returns; every view has length 0. Does
     * nothing the second time.
     */
    close(): void;
    /** As {@link close}: for `using`. */
    [Symbol.dispose](): void;
    [inspect.custom](): string;
}
/** Makes a `MemoryMap` of what `make` maps; `subject` is what its errors are about. */
export declare function create(kind: Kind, path: string | undefined, options: Parsed, make: () => Token, subject?: string | undefined): MemoryMap<any>;
export {};
