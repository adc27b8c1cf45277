import { inspect } from 'node:util'
import { MemoryMap } from './index.cjs'

/**
 * What would be taken for an array of holes (`Buffer.from`, `new Uint8Array`, `Array.from`), or cloned as an object
 * without properties (`structuredClone`, `postMessage`), throws instead.
 */
declare abstract class Handle {
  constructor()
  /** What it is, as `util.inspect` shows it. */
  abstract toJSON(): object
  [inspect.custom](): string
}
/** How long an asynchronous wait may take, and what ends it earlier. */
interface WaitOptions {
  /** In milliseconds. Default: for ever. */
  readonly timeout?: number | undefined
  /** Ends the wait: the promise is rejected with an `AbortError`, and nothing was taken. */
  readonly signal?: AbortSignal | undefined
}
/** Where a channel is. */
interface ChannelOptions {
  /** Where it begins, in bytes; a multiple of 64 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
}
/** Where a channel is to be, and how long. */
interface ChannelRange extends ChannelOptions {
  /** How many bytes it has in all, at least 640. Default: to the end of the mapping. */
  readonly length?: number | bigint | undefined
}
/**
 * Messages with boundaries, from many senders in many processes to one receiver, in order for each sender. Any end
 * can send; the first to receive is the receiver, until it is closed, its mapping is closed, or it dies.
 *
 * If a sender is killed, only the message that it was writing is lost. If a receiver is killed it can be replaced: the
 * next one begins with the message that was not released yet.
 *
 * ```js
 * const inbox = Channel.create(mapShared('inbox', { create: true, length: 2 ** 20, protection: 'read-write' }))
 * for await (const message of inbox) console.log(message.toString())
 * // elsewhere
 * Channel.open(mapShared('inbox', { protection: 'read-write' })).send('hello')
 * ```
 */
declare class Channel extends Handle {
  #private
  private constructor()
  /**
   * Makes a channel in a shared and writable mapping, over whatever was there.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel
  /**
   * Opens an existing channel.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Channel
  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number
  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /**
   * Sends a message, and blocks the thread until there is room for it; `false` if the time is up first.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean
  /** Sends a message if there is room for it now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean
  /**
   * Sends messages in their order, and blocks the thread until there is room for them; says how many were sent before
   * the time was up. Many short messages go several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; where one is too long none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number
  /**
   * As {@link send}, with the event loop free meanwhile. Messages are sent in the order of the calls; the one of a
   * promise that is rejected is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean>
  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if another one is the receiver, a `receiveAsync` is pending, or a borrowed message
   *   is not released; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined
  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined
  /**
   * As {@link receive}, with the event loop free meanwhile. It keeps the process alive. A promise that is rejected
   * has received nothing.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * Receives up to `most` messages that are there, or waits for one as {@link receive} does; none if the time is up first.
   * Many short messages come several times as fast as one by one. Some of them share their `buffer`.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  receiveMany(most: number, timeout?: number): Buffer[]
  /** The messages, until the channel is closed. */
  [Symbol.asyncIterator](): AsyncGenerator<Buffer, void>
  /**
   * Takes room for a message of `length` bytes, to be filled in without a copy and then sent by {@link commit};
   * blocks the thread until there is room, undefined if the time is up first. Messages that are sent later, by any process,
   * arrive after it.
   */
  reserve(length: number | bigint, timeout?: number): Buffer | undefined
  /** Reserves room for a message if there is some now. */
  tryReserve(length: number | bigint): Buffer | undefined
  /**
   * Sends what {@link reserve} returned and you filled in, or its first `length` bytes. Do not use the Buffer any
   * more.
   */
  commit(reserved: Buffer, length?: number | bigint): void
  /** Gives back what {@link reserve} returned: nothing is sent. */
  abandon(reserved: Buffer): void
  /**
   * Receives a message without a copy: a view of the shared memory, until {@link release}. Blocks the thread as
   * {@link receive} does.
   */
  borrow(timeout?: number): Buffer | undefined
  /** Borrows a message if there is one now, and no `receiveAsync` is pending. */
  tryBorrow(): Buffer | undefined
  /** Gives back what {@link borrow} returned. Do not use it any more: senders reuse its room. */
  release(borrowed: Buffer): void
  /**
   * Ends what is pending and lets another receiver take over. The channel stays, and so does the mapping; a message
   * that was borrowed and not released is received again.
   */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/** How a lock was acquired: after its last owner released it, or after that owner died. */
type Locked = 'acquired' | 'recovered'
/**
 * A lock in {@link Mutex.byteLength} bytes of a shared mapping, which are zero before it is used first.
 *
 * Its owner is a mapping: all that is done through one `MemoryMap` counts as one. When the owner's process dies,
 * however and whenever, or its mapping is closed, the next one to lock gets `'recovered'`, and what the lock
 * protects may be half done.
 *
 * ```js
 * const mutex = new Mutex(map, 0)
 * if (mutex.lock() === 'recovered') repair()
 * try {
 *   change()
 * } finally {
 *   mutex.unlock()
 * }
 * ```
 */
declare class Mutex extends Handle {
  #private
  /** Bytes that a mutex takes. */
  static readonly byteLength = 8
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`; the system's error if the file
   *   cannot witness who is alive (docs/memory-model.md)
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint)
  /**
   * Takes the lock, and blocks the thread until it has it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping holds it already; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lock(): Locked
  lock(timeout: number | undefined): Locked | 'timed-out'
  /**
   * As {@link lock}, with the event loop free meanwhile. It waits also while this mapping holds the lock: some
   * other function will give it back. A promise that is rejected has not taken the lock.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  /** Takes the lock if no living owner holds it. Returns how, or `false`. */
  tryLock(): Locked | false
  /**
   * Gives the lock back.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if this mapping does not hold it
   */
  unlock(): void
  toJSON(): object
}
/**
 * A count of permits in {@link Semaphore.byteLength} bytes of a shared mapping, which are zero before it is used
 * first. It does not know who took a permit: those of a process that dies are lost.
 *
 * ```js
 * const connections = new Semaphore(map, 64, 10)
 * await connections.acquireAsync()
 * ```
 */
declare class Semaphore extends Handle {
  #private
  /** Bytes that a semaphore takes. */
  static readonly byteLength = 16
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @param initial how many permits it starts with, unless it was given some before; 0 if nothing ever sets it
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, initial?: number)
  /**
   * Takes a permit, and blocks the thread until it has one; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  acquire(timeout?: number): boolean
  /**
   * As {@link acquire}, with the event loop free meanwhile. A promise that is rejected has taken no permit.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  acquireAsync(options?: number | Readonly<WaitOptions>): Promise<boolean>
  /** Takes a permit if there is one. */
  tryAcquire(): boolean
  /**
   * Gives permits back, or new ones.
   *
   * @throws `ERR_OUT_OF_RANGE` if there would be more than 2,147,483,647
   */
  release(count?: number): void
  toJSON(): object
}
/** How a wait ended, as for `Atomics.wait`. */
type WaitResult = 'ok' | 'not-equal' | 'timed-out'
/**
 * Sleeps while the 32-bit integer at `byteOffset` is `expected`, until {@link notify} wakes it: `Atomics.wait`
 * between processes. It looks at the word for a moment first (docs/memory-model.md), and blocks the thread.
 *
 * ```js
 * const words = map.typedArray(Int32Array)
 * while (Atomics.load(words, 0) === 0) wait(map, 0, 0)
 * ```
 *
 * @param map a mapping that is shared
 * @param byteOffset in bytes; aligned to 4 in memory
 * @param timeout in milliseconds; for ever if there is none
 * @throws `ERR_MMAP_NOT_SHARED`, `ERR_OUT_OF_RANGE`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
 */
declare function wait(map: MemoryMap<any>, byteOffset: number | bigint, expected: number, timeout?: number): WaitResult
/**
 * As {@link wait}, with the event loop free meanwhile. A pending wait has a thread of its own, which sleeps; it
 * keeps the process alive, and is rejected when the mapping is closed.
 *
 * @param options the timeout in milliseconds, or that and an `AbortSignal`
 */
declare function waitAsync(
  map: MemoryMap<any>,
  byteOffset: number | bigint,
  expected: number,
  options?: number | Readonly<WaitOptions>,
): Promise<WaitResult>
/**
 * Wakes threads of any process that {@link wait} on the word at `byteOffset`. Returns how many.
 *
 * @param count how many at most; all if there is none
 */
declare function notify(map: MemoryMap<any>, byteOffset: number | bigint, count?: number): number
export {
  Channel,
  type ChannelOptions,
  type ChannelRange,
  type Locked,
  Mutex,
  Semaphore,
  type WaitOptions,
  type WaitResult,
  notify,
  wait,
  waitAsync,
}
