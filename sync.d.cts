/// <reference types="node" />
import { inspect } from 'node:util'
import { MemoryMap } from './index.cjs'

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
/** How long an asynchronous wait may take, and what ends it earlier. */
interface WaitOptions {
  /** In milliseconds. Default: for ever. */
  readonly timeout?: number | undefined
  /** Ends the wait: the promise is rejected with an `AbortError`, and nothing was taken. */
  readonly signal?: AbortSignal | undefined
}
/**
 * A barrier in {@link Barrier.byteLength} bytes of a shared mapping, which must be zero before the first use: each of up
 * to 64 parties waits until all of them wait, as at Python's `multiprocessing.Barrier`. Then all go on, and it can be used
 * again.
 *
 * It breaks if a party that waits gives up in time, is killed or closes its mapping, or by {@link abort}: then everyone who
 * waits, or comes before {@link reset}, gets `ERR_MMAP_BROKEN`. The others learn within half a second that a party was
 * killed. Nobody notices that a party was killed before it came, so give the others a timeout.
 *
 * ```js
 * const barrier = new Barrier(map, 1024, 2)
 * await Promise.all([barrier.waitAsync(), barrier.waitAsync()]) // in two processes, usually
 * ```
 */
declare class Barrier extends Handle {
  #private
  /** Bytes that a barrier takes. */
  static readonly byteLength = 536
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @param parties how many, from 1 to 64: the first `Barrier` in these bytes that gives a number sets it
   * @throws `ERR_OUT_OF_RANGE`, also if the barrier has another number of parties; `ERR_MMAP_INVALID` if the bytes are
   *   something else; `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`; the system's error if the file cannot show which
   *   processes are alive (docs/memory-model.md)
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, parties?: number)
  /**
   * Waits until all parties wait, and blocks the thread meanwhile. Returns which of them this is, from 0 to
   * `parties - 1`; each number is returned once. If the time is up first, the barrier is broken for all others.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BROKEN`; `ERR_MMAP_INVALID` if nobody has said how many parties there are, or something else has
   *   overwritten the barrier; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  wait(): number
  wait(timeout: number | undefined): number | 'timed-out'
  /**
   * As {@link wait}, without blocking the event loop. If a signal ends the wait, this party has not come, and the others
   * go on waiting; if all had come by then, the promise resolves all the same.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<number>
  waitAsync(options: number | Readonly<WaitOptions> | undefined): Promise<number | 'timed-out'>
  /**
   * Breaks the barrier: all who wait, and who come before it is reset, get `ERR_MMAP_BROKEN`. Should another process be
   * stopped (SIGSTOP) in the microsecond in which it comes or goes, this blocks until that goes on.
   */
  abort(): void
  /** Makes the barrier as it was at first. Those who wait get `ERR_MMAP_BROKEN`. It can block as {@link abort} does. */
  reset(): void
  /** Whether it is broken. */
  get broken(): boolean
  /** How many parties must come; 0 before anyone has said. */
  get parties(): number
  /** How many wait at the moment. */
  get waiting(): number
  toJSON(): object
}
/** Where a channel or a queue is. */
interface ChannelOptions {
  /** Where it begins, in bytes; a multiple of 64 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
}
/** Where to put a channel or a queue, and its length. */
interface ChannelRange extends ChannelOptions {
  /** Its length in bytes; of a channel or a queue at least 640. Default: to the end of the mapping. */
  readonly length?: number | bigint | undefined
}
/**
 * Receives every message of a {@link Broadcast} since it was made by {@link Broadcast.subscribe}, at its own pace.
 *
 * If senders write over messages that this receiver has not received yet, it goes on with the oldest that is still there
 * (or with the newest, if senders are too fast even for that), and {@link lost} grows by the number that it missed.
 */
declare class BroadcastReceiver extends Handle {
  #private
  private constructor()
  /**
   * How many messages this receiver has lost because it was too slow. It grows when the message after them is received.
   * Always 0 if the broadcast is lossless.
   */
  get lost(): number
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` while a `receiveAsync` is pending or a borrowed message is not released; `ERR_MMAP_INVALID`,
   *   `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined
  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined
  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. For short messages this is several times as fast as one by one. Some Buffers share
   * their memory.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws as {@link receive}
   */
  receiveMany(most: number, timeout?: number): Buffer[]
  /**
   * Receives a message of a lossless broadcast without copying it. The Buffer is a view of the shared memory, valid until
   * {@link release}. Do not change it: the other receivers read the same bytes. Blocks the thread as {@link receive} does.
   * Further messages can be borrowed before the first is released; until all are, the methods that copy messages throw
   * `ERR_MMAP_BUSY`.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_UNSUPPORTED` if the broadcast is not lossless: senders would write over the message; as {@link receive}
   */
  borrow(timeout?: number): Buffer | undefined
  /** Borrows a message if there is one now, and no asynchronous call is pending. */
  tryBorrow(): Buffer | undefined
  /**
   * As {@link borrow}, without blocking the event loop. If the promise rejects, nothing is borrowed.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  borrowAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * Gives back a Buffer that {@link borrow} returned. Do not use it after that: senders reuse its room, as soon as all
   * that were borrowed before it are given back too.
   */
  release(borrowed: Buffer): void
  /** The messages, until the receiver is closed. Lost ones are counted in {@link lost}, and do not end the loop. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer>
  /**
   * Ends pending calls. If the broadcast is lossless, senders do not wait for this receiver any more; do not use what is
   * borrowed after that.
   */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/** Where to put a broadcast, its length, and whether receivers may lose messages. */
interface BroadcastRange extends ChannelRange {
  /**
   * Whether senders wait until the slowest living receiver has room; there can be 64 receivers then. Default: false:
   * senders never wait for receivers, and a receiver that is too slow is told how many messages it has lost.
   */
  readonly lossless?: boolean | undefined
}
/** With which message a receiver begins. */
interface SubscribeOptions {
  /** `'now'`: the next one that is sent. `'oldest'`: the oldest one that is still there. Default: `'now'`. */
  readonly from?: 'now' | 'oldest' | undefined
}
/**
 * Messages with boundaries, from many senders in many processes to many receivers, each of which gets every message since
 * it joined, in the order in which they were sent.
 *
 * By default senders never wait for receivers: one that is too slow loses messages, and {@link BroadcastReceiver.lost}
 * says how many. With `lossless: true` senders wait for the slowest receiver, unless its process has died.
 *
 * ```js
 * const news = Broadcast.create(mapShared('news', { create: true, length: 2 ** 20, protection: 'read-write' }))
 * news.send('hello')
 * // elsewhere
 * const receiver = Broadcast.open(mapShared('news')).subscribe({ from: 'oldest' })
 * for await (const message of receiver) console.log(message.toString(), receiver.lost)
 * ```
 */
declare class Broadcast extends Handle {
  #private
  private constructor()
  /**
   * Makes a broadcast in a shared and writable mapping, over whatever was there. It needs 448 bytes at least, or 4,544 if
   * it is lossless.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<BroadcastRange>): Broadcast
  /**
   * Opens an existing broadcast. Through a mapping that is not writable you can receive, unless the broadcast is lossless;
   * waits then look for a message every 10 ms.
   *
   * @throws `ERR_MMAP_NOT_WRITABLE` if the mapping is not writable and the broadcast is lossless; `ERR_MMAP_INVALID` if
   *   there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Broadcast
  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number
  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number
  /** Whether senders wait for the slowest receiver. */
  get lossless(): boolean
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /**
   * Makes a receiver of all messages from now on, or of all that are still there.
   *
   * @throws `ERR_MMAP_BUSY` if it is lossless and has 64 receivers, or if a sender is stopped in the middle of a message
   *   for ten seconds; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  subscribe(options?: Readonly<SubscribeOptions>): BroadcastReceiver
  /**
   * Sends a message to all receivers. Blocks the thread while another sender copies its own and, if the broadcast is lossless,
   * until every living receiver has room; `false` if the time is up first.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean
  /** Sends a message if that needs no waiting now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean
  /**
   * Sends messages in order, and blocks the thread as {@link send} does. Returns how many were sent before the time
   * was up. For short messages this is several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; if one message is too long, none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number
  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean>
  /** Ends pending calls. Its receivers go on, the broadcast stays in the memory, and the mapping stays open. */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/** What waits in a channel. */
interface Pending {
  /** Messages that were sent, and were not received, or were borrowed and not released. */
  readonly messages: number
  /** How many bytes are in them. */
  readonly bytes: number
}
/**
 * Messages with boundaries, from many senders in many processes to one receiver. The messages of each sender arrive in
 * order. Any `Channel` can send. The first one that receives is the receiver, until it is closed, its mapping is closed,
 * or its process dies.
 *
 * If a sender is killed, only the message that it was writing is lost. If the receiver is killed, another one can take
 * over; it begins with the first message that was not released.
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
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; `ERR_MMAP_BUSY` if another process is making one there, and does not
   *   get on for five seconds; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel
  /**
   * Opens an existing channel.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Channel
  /**
   * Opens the channel that is there, or makes one if the memory is zero. Of processes that call it at the same moment
   * one makes it, and all get the same. If one is killed while it makes it, the next one does.
   *
   * ```js
   * const map = mapShared('letters', { protection: 'read-write', create: true, length: 2 ** 20 })
   * const letters = Channel.openOrCreate(map)
   * ```
   *
   * @param options the length is that of a new channel; one that is there has its own
   * @throws `ERR_MMAP_INVALID` if something else is there; as {@link create} and {@link open}
   */
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel
  /**
   * Opens the channel. Waits until there is one if the memory is still zero; undefined if the time is up first.
   *
   * @param options where it is, the timeout in milliseconds, and an `AbortSignal`
   * @throws as {@link open}
   */
  static openAsync(
    map: MemoryMap<any>,
    options?: Readonly<ChannelOptions & Pick<WaitOptions, 'signal'>>,
  ): Promise<Channel>
  static openAsync(
    map: MemoryMap<any>,
    options: Readonly<ChannelOptions & WaitOptions> | undefined,
  ): Promise<Channel | undefined>
  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number
  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /** What waits in the channel, sent by anybody. It is counted each time, message by message, while others go on. */
  get pending(): Pending
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
   * Sends messages in order, and blocks the thread until there is room for them. Returns how many were sent before
   * the time was up. For short messages this is several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; if one message is too long, none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number
  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean>
  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first. Long messages are
   * received faster by {@link receiveInto}.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if there is another receiver, a `receiveAsync` is pending, or a borrowed message
   *   is not released; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined
  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined
  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * As {@link receive}, into the first bytes of `target`; returns how many bytes the message has, or undefined if the
   * time is up first. A message of 1 MiB is received in a tenth of the time: the system gives memory for a new Buffer page
   * by page.
   *
   * ```js
   * const channel = Channel.create(mapAnonymous(2 ** 20, { shared: true }))
   * channel.send('hello')
   * const target = Buffer.alloc(channel.maxLength) // used again for every message
   * const length = channel.receiveInto(target)
   * target.toString('utf8', 0, length) // 'hello'
   * ```
   *
   * @throws `ERR_OUT_OF_RANGE` if the message is longer than `target`: it is not received then; as {@link receive}
   */
  receiveInto(target: NodeJS.ArrayBufferView): number
  receiveInto(target: NodeJS.ArrayBufferView, timeout: number | undefined): number | undefined
  /** As {@link receiveInto}, if there is a message now and no `receiveAsync` is pending. */
  tryReceiveInto(target: NodeJS.ArrayBufferView): number | undefined
  /**
   * As {@link receiveInto}, without blocking the event loop. Do not use `target` until the promise settles.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveIntoAsync(
    target: NodeJS.ArrayBufferView,
    options?: number | Readonly<WaitOptions>,
  ): Promise<number | undefined>
  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. For short messages this is several times as fast as one by one. Some share their `buffer`.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  receiveMany(most: number, timeout?: number): Buffer[]
  /** The messages, until the channel is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer>
  /**
   * Reserves room for a message of `length` bytes, so that you can write it in place and send it with {@link commit}.
   * Blocks the thread until there is room; returns undefined if the time is up first. Messages that any process sends
   * later arrive after it.
   */
  reserve(length: number | bigint, timeout?: number): Buffer | undefined
  /** Reserves room for a message if there is some now. */
  tryReserve(length: number | bigint): Buffer | undefined
  /**
   * As {@link reserve}, without blocking the event loop, in turn with {@link sendAsync}. If the promise rejects, nothing
   * is reserved.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  reserveAsync(length: number | bigint, options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * Sends the Buffer that {@link reserve} returned, or its first `length` bytes. Do not use the Buffer after that.
   */
  commit(reserved: Buffer, length?: number | bigint): void
  /** Gives back the Buffer that {@link reserve} returned, and sends nothing. */
  abandon(reserved: Buffer): void
  /**
   * Receives a message without copying it. The Buffer is a view of the shared memory, valid until {@link release}.
   * Blocks the thread as {@link receive} does. Further messages can be borrowed before the first is released; until all
   * are, the methods that copy messages throw `ERR_MMAP_BUSY`.
   */
  borrow(timeout?: number): Buffer | undefined
  /** Borrows a message if there is one now, and no asynchronous call is pending. */
  tryBorrow(): Buffer | undefined
  /**
   * As {@link borrow}, without blocking the event loop. If the promise rejects, nothing is borrowed.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  borrowAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined>
  /**
   * Gives back a Buffer that {@link borrow} returned. Do not use it after that: senders reuse its room, as soon as all
   * that were borrowed before it are given back too.
   */
  release(borrowed: Buffer): void
  /**
   * Ends pending calls and lets another receiver take over. The channel stays in the memory, and the mapping stays open.
   * A message that was borrowed and not released is received again.
   */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/** How a lock was acquired: after its last owner released it, or after that owner died. */
type Locked = 'acquired' | 'recovered'
/**
 * A lock in {@link Mutex.byteLength} bytes of a shared mapping, which must be zero before the first use.
 *
 * Its owner is a mapping: everything done through one `MemoryMap` counts as one owner. If the owner's process dies, at
 * any moment, or its mapping is closed, the next `lock` returns `'recovered'`: what the lock protects may be half
 * changed.
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
   *   cannot show which processes are alive (docs/memory-model.md)
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
   * As {@link lock}, without blocking the event loop. It also waits if this mapping holds the lock, because another
   * function can release it. If the promise rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  /** Takes the lock if no living owner holds it. Returns how it was acquired, or `false`. */
  tryLock(): Locked | false
  /**
   * Releases the lock.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if this mapping does not hold it
   */
  unlock(): void
  toJSON(): object
}
/** How a wait for a condition ended: by a notification, with a mutex whose last owner had died, or by its timeout. */
type Wakeup = 'ok' | 'recovered' | 'timed-out'
/**
 * A condition variable in {@link Condition.byteLength} bytes of a shared mapping, which must be zero before the first
 * use: a way to wait for what others change under a mutex, as Python's `multiprocessing.Condition` is.
 *
 * A wait releases the mutex, which the caller holds, and has it again when it returns, also after a timeout. It returns
 * `'recovered'` if the mutex came from an owner that had died, whether there was a notification or not. All that wait at
 * one time use the same mutex, in this mapping or another one.
 *
 * No notification is lost: not one between the release and the sleep, not one whose receiver is killed before it has
 * the mutex again. After a process was killed while it waited, a `notify` may wake one more than it should; so check what
 * you wait for in a loop, or use {@link waitFor}.
 *
 * ```js
 * const [mutex, changed] = [new Mutex(map, 0), new Condition(map, 512)]
 * mutex.lock()
 * if (changed.wait(mutex, 5) === 'recovered') repair() // `changed.notify()` wakes it
 * mutex.unlock()
 * ```
 */
declare class Condition extends Handle {
  #private
  /** Bytes that a condition takes. */
  static readonly byteLength = 8
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint)
  /**
   * Releases the mutex, waits for a notification, and takes the mutex again, which may take longer than the timeout. It
   * blocks the thread: if a `lockAsync` of this mapping is pending, use {@link waitAsync}.
   *
   * @param mutex held by its mapping
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_NOT_OWNER` if the mutex is not held. After any other error that is not about an argument it is not
   *   held any more: `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`, `ERR_MMAP_DEADLOCK` if a `lockAsync` of its mapping got it
   *   meanwhile, `ERR_MMAP_BUSY` if 65,535 are waiting (or the bytes were something else)
   */
  wait(mutex: Mutex): 'ok' | 'recovered'
  wait(mutex: Mutex, timeout: number | undefined): Wakeup
  /**
   * As {@link wait}, without blocking the event loop. The mutex is released when this returns its promise, and held
   * again when that resolves. **If the promise rejects, the mutex is not held**, unless an argument was wrong: a
   * `finally` that unlocks must not run then.
   *
   * @param mutex held by its mapping
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(mutex: Mutex, options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<'ok' | 'recovered'>
  waitAsync(mutex: Mutex, options: number | Readonly<WaitOptions> | undefined): Promise<Wakeup>
  /**
   * Waits until `predicate` returns something true, which is asked with the mutex held: first at once, then after each
   * notification. Returns `'recovered'` as soon as the mutex comes from an owner that died: repair, and call it again.
   *
   * ```js
   * const [mutex, changed] = [new Mutex(map, 0), new Condition(map, 512)]
   * mutex.lock()
   * while (changed.waitFor(mutex, () => true) === 'recovered') repair()
   * mutex.unlock()
   * ```
   *
   * @param mutex held by its mapping
   * @param predicate what is waited for
   * @param timeout for all of it, in milliseconds; for ever if there is none
   * @throws as {@link wait}, and what `predicate` throws: then the mutex is held
   */
  waitFor(mutex: Mutex, predicate: () => unknown): 'ok' | 'recovered'
  waitFor(mutex: Mutex, predicate: () => unknown, timeout: number | undefined): Wakeup
  /**
   * As {@link waitFor}, without blocking the event loop. A promise that `predicate` returns is awaited, with the mutex
   * held. If the wait rejects, the mutex is not held, as with {@link waitAsync}; if `predicate` throws, it is.
   *
   * @param mutex held by its mapping
   * @param predicate what is waited for
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitForAsync(
    mutex: Mutex,
    predicate: () => unknown,
    options?: Readonly<Pick<WaitOptions, 'signal'>>,
  ): Promise<'ok' | 'recovered'>
  waitForAsync(
    mutex: Mutex,
    predicate: () => unknown,
    options: number | Readonly<WaitOptions> | undefined,
  ): Promise<Wakeup>
  /**
   * Wakes up to `count` of those that wait now. The mutex need not be held, but what is waited for must be changed while
   * it is.
   *
   * @param count how many, at most; 1 if not given
   */
  notify(count?: number): void
  /** Wakes all that wait now. */
  notifyAll(): void
  toJSON(): object
}
/**
 * A flag in {@link Event.byteLength} bytes of a shared mapping, which must be zero before the first use. It is set and
 * cleared by any process, and wakes all who wait for it when it is set, as Python's `multiprocessing.Event` does.
 *
 * No wake-up is lost: a wait that began before `set()` ends, even if `clear()` follows at once. A process that is killed
 * leaves nothing behind. Bytes that were something else are an event that is set or not.
 *
 * ```js
 * import { Event } from 'memory-map/sync' // else it is the global one
 *
 * const ready = new Event(map, 128)
 * setTimeout(() => ready.set(), 5) // in another process
 * await ready.waitAsync()
 * ```
 */
declare class Event extends Handle {
  #private
  /** Bytes that an event takes. */
  static readonly byteLength = 8
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint)
  /** Whether it is set. */
  isSet(): boolean
  /** Sets it, and wakes all who wait. */
  set(): void
  /** Clears it: waits that begin from now on wait for the next `set()`. */
  clear(): void
  /**
   * Waits until it is set, and blocks the thread meanwhile; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  wait(timeout?: number): boolean
  /**
   * As {@link wait}, without blocking the event loop. The wait begins with the call, not when it is awaited.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(options?: number | Readonly<WaitOptions>): Promise<boolean>
  toJSON(): object
}
/** Where the newest value is, and how much memory it has. */
interface LatestOptions {
  /** Where it begins, in bytes; a multiple of 8 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
  /**
   * Bytes of memory: {@link Latest.byteLengthFor} says how many values of a length need. All that use it must give the
   * same. Default: to the end of the mapping.
   */
  readonly length?: number | bigint | undefined
}
/**
 * The newest of the values that any process writes: a price, a measurement, a configuration. The memory must be zero
 * before the first use.
 *
 * Writers wait for each other, never for readers. Readers wait for nobody: they get a whole value even while a writer is
 * stopped or killed in the middle of the next one. They need no writable mapping.
 *
 * ```js
 * const map = mapShared('price', { create: true, length: Latest.byteLengthFor(64), protection: 'read-write' })
 * const price = new Latest(map)
 * price.write('1.0843')
 * // elsewhere
 * const seen = price.version // before `read`, so that no later value is missed
 * price.read()?.toString()
 * await price.waitAsync(seen, 1000) // until there is another one
 * ```
 */
declare class Latest extends Handle {
  #private
  /** Bytes of memory that values of up to `maxLength` bytes take. */
  static byteLengthFor(maxLength: number | bigint): number
  /**
   * @param map a mapping that is shared; to write, one that is writable
   * @throws `ERR_MMAP_INVALID` if the memory has something else, or values of another length; `ERR_MMAP_NOT_SHARED`,
   *   `ERR_OUT_OF_RANGE`
   */
  constructor(map: MemoryMap<any>, options?: Readonly<LatestOptions>)
  /** Bytes of the longest value. */
  get maxLength(): number
  /** How many values have been written; 0 before the first. */
  get version(): number
  /**
   * Writes a value. Blocks the thread while another writer copies one; `false` if the time is up first.
   *
   * @param data a string is written as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_NOT_WRITABLE`, `ERR_MMAP_INVALID`,
   *   `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  write(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean
  /**
   * Copies the newest value; undefined before the first.
   *
   * @throws `ERR_MMAP_INVALID` if something else has stored to the memory; `ERR_MMAP_BUSY` if values are written for
   *   seconds faster than one can be copied; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  read(): Buffer | undefined
  /**
   * Copies the newest value to the start of `target`, and returns how many bytes it has; undefined before the first.
   *
   * @throws `ERR_OUT_OF_RANGE` if `target` is too short; otherwise as above
   */
  read(target: NodeJS.ArrayBufferView): number | undefined
  /**
   * Waits until {@link Latest.version} is another one than `version`, and blocks the thread; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  wait(version: number, timeout?: number): boolean
  /**
   * As {@link wait}, without blocking the event loop. It keeps the process alive.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  waitAsync(version: number, options?: number | Readonly<WaitOptions>): Promise<boolean>
  toJSON(): object
}
/** What is in a queue. */
interface QueuePending {
  /** Messages that wait for a receiver. */
  readonly messages: number
  /** The bytes of these messages. */
  readonly bytes: number
  /** Messages that a receiver, living or dead, has got and not released. */
  readonly delivered: number
}
/** A message of a {@link Queue}. It belongs to this receiver until it is released or requeued, or the receiver dies. */
declare class QueueMessage extends Handle {
  #private
  /** Its bytes: a copy, which you may keep. Short ones share their `buffer` with other messages. */
  readonly data: Buffer
  /**
   * How many times it has been delivered, including this time. A message that kills or stops every receiver keeps coming
   * back: put it aside when this gets too high.
   */
  readonly deliveries: number
  private constructor()
  /**
   * Says that the work is done: the message will not be delivered again.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if it was released or requeued before; `ERR_MMAP_CLOSED` if the queue was closed, which
   *   requeued it
   */
  release(): void
  /**
   * Gives the message back. This or another receiver gets it again, before any that was never delivered.
   *
   * @throws as {@link release}
   */
  requeue(): void
  /** Requeues it, unless it was released: for `using`. */
  [Symbol.dispose](): void
  toJSON(): object
}
/**
 * Work for several processes: each message goes to one receiver, which keeps it until it releases it. If the receiver
 * dies or is closed before that, another one gets the message. So work is done at least once, and twice if a receiver is
 * killed between doing it and releasing it.
 *
 * New messages come in the order in which they were sent. Any `Queue` can send and receive.
 *
 * ```js
 * const map = mapShared('jobs', { protection: 'read-write', create: true, length: 2 ** 20 })
 * const jobs = Queue.openOrCreate(map)
 * jobs.send('resize 1.png')
 * // in each worker; a job is released when the loop goes on
 * for await (const job of jobs) handle(job.data)
 * ```
 */
declare class Queue extends Handle {
  #private
  private constructor()
  /**
   * Makes a queue in a shared and writable mapping, over whatever was there.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as `Channel.create`
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Queue
  /**
   * Opens an existing queue.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Queue
  /**
   * Opens the queue that is there, or makes one if the memory is zero. All who call it at the same moment get the same.
   *
   * @param options the length is for a new queue; one that is there has its own
   * @throws `ERR_MMAP_INVALID` if something else is there; as {@link create} and {@link open}
   */
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Queue
  /**
   * Opens the queue. Waits until there is one if the memory is still zero; undefined if the time is up first.
   *
   * @param options where it is, the timeout in milliseconds, and an `AbortSignal`
   * @throws as {@link open}
   */
  static openAsync(
    map: MemoryMap<any>,
    options?: Readonly<ChannelOptions & Pick<WaitOptions, 'signal'>>,
  ): Promise<Queue>
  static openAsync(
    map: MemoryMap<any>,
    options: Readonly<ChannelOptions & WaitOptions> | undefined,
  ): Promise<Queue | undefined>
  /** How many bytes all messages may take, with 32 more for each: those that wait, and those delivered and not released. */
  get capacity(): number
  /** Bytes of the longest message: half the capacity, less 16. */
  get maxLength(): number
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /** What is in the queue, whoever sent it. It is counted anew each time, message by message, while others go on. */
  get pending(): QueuePending
  /**
   * Sends a message, and blocks the thread until there is room for it; `false` if the time is up first.
   *
   * Room is freed in the order of the messages: one that a receiver keeps for a long time holds up all later ones.
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
   * Sends messages in order, and blocks the thread until there is room for them. If they are short, nobody else's come
   * between them. Returns how many were sent before the time was up.
   *
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number
  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean>
  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first. Several can be
   * received before the first is released.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if a `receiveAsync` is pending; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): QueueMessage | undefined
  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): QueueMessage | undefined
  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing was
   * received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<QueueMessage | undefined>
  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. Each belongs to this receiver until it is released or requeued. Their data may share
   * memory. Long messages come in smaller batches: a megabyte in all, or one message.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws as {@link receive}
   */
  receiveMany(most: number, timeout?: number): QueueMessage[]
  /**
   * The messages, until the queue is closed. Each is released when the loop goes on to the next one. A loop that is left
   * by `break` or an error requeues its message, unless that was released.
   */
  [Symbol.asyncIterator](): AsyncGenerator<QueueMessage, undefined, undefined>
  /**
   * Ends pending calls and requeues the messages that were received and not released. The queue stays in the memory, and
   * the mapping stays open.
   */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/** Where to put an {@link Rpc}, its length, and how many can call. */
interface RpcRange extends ChannelRange {
  /** How many clients can call at a time, each through a mapping of its own or an `Rpc` of its own. Default: 16. */
  readonly clients?: number | undefined
}
/** The bytes of a reply; a string is sent as UTF-8. */
type RpcReply = NodeJS.ArrayBufferView | string
/** Answers a request. Its bytes are a copy, which it may keep. */
type RpcHandler = (request: Buffer) => RpcReply | Promise<RpcReply>
/** When to begin and to stop serving, and how many requests to work on at a time. */
interface ServeOptions {
  /**
   * Whether to wait while another server is there, and to begin when it has stopped or its process has died. Default:
   * false: `serve` rejects with `ERR_MMAP_BUSY` if there is another.
   */
  readonly wait?: boolean | undefined
  /** Stops serving when it is aborted. Requests that were received are still answered. */
  readonly signal?: AbortSignal | undefined
  /** How many requests to work on at a time, if the handler is asynchronous. Default: no limit. */
  readonly concurrency?: number | undefined
}
/**
 * Requests from many clients to one server, which replies to each.
 *
 * No request is received twice. If the server dies before it replies, the call is rejected; requests that it has not
 * received wait for the next server. A client that dies disturbs nobody else.
 *
 * ```js
 * const map = mapShared('calls', { protection: 'read-write', create: true, length: 2 ** 20 })
 * const rpc = Rpc.openOrCreate(map)
 * rpc.serve((request) => `hello ${request}`) // in one process
 * const reply = await rpc.call('world') // in others
 * rpc.close() // serves no more
 * ```
 */
declare class Rpc extends Handle {
  #private
  private constructor()
  /**
   * Makes an Rpc in a shared and writable mapping, over whatever was there: a channel for requests, and one of the same
   * length for the replies to each client.
   *
   * @throws `ERR_OUT_OF_RANGE` if they do not fit; `ERR_MMAP_BUSY` if another process takes more than five seconds to make
   *   one there; as `Channel.create`
   */
  static create(map: MemoryMap<any>, options?: Readonly<RpcRange>): Rpc
  /**
   * Opens an existing Rpc.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Rpc
  /**
   * Opens the Rpc that is there, or makes one if the memory is zero. All who call it at the same moment get the same.
   *
   * @param options the length and the clients are for a new one; one that is there has its own
   * @throws `ERR_MMAP_INVALID` if something else is there; as {@link create} and {@link open}
   */
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<RpcRange>): Rpc
  /**
   * Opens the Rpc. Waits until there is one if the memory is still zero; undefined if the time is up first.
   *
   * @param options where it is, the timeout in milliseconds, and an `AbortSignal`
   * @throws as {@link open}
   */
  static openAsync(map: MemoryMap<any>, options?: Readonly<ChannelOptions & Pick<WaitOptions, 'signal'>>): Promise<Rpc>
  static openAsync(
    map: MemoryMap<any>,
    options: Readonly<ChannelOptions & WaitOptions> | undefined,
  ): Promise<Rpc | undefined>
  /** How many clients can call at a time. */
  get clients(): number
  /** Bytes of the longest request, and of the longest reply. */
  get maxLength(): number
  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean
  /**
   * Answers requests until this is closed or the signal is aborted, beginning with those that no server has received.
   * After an abort it resolves once all requests that were received have been answered.
   *
   * To replace a server without an interruption, start the next one with `wait: true`, and then abort the signal of the one
   * that serves. Waiting keeps the process alive.
   *
   * If the handler throws, the client's call is rejected with the message, and serving goes on. If it returns promises,
   * several requests are worked on at a time. Replies that a client does not take wait in this process, and do not hold up
   * other clients.
   *
   * @param handler gets a request, and returns its reply
   * @throws `ERR_MMAP_BUSY` if another server is alive, here or in another process, and this one is not to `wait`;
   *   `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`; `ERR_MMAP_CLOSED` if the mapping is resized
   */
  serve(handler: RpcHandler, options?: Readonly<ServeOptions>): Promise<void>
  /**
   * Sends a request, and resolves to its reply. Any number of calls can wait at a time. They wait for a server if there is
   * none, and keep the process alive.
   *
   * The first call takes one of the places for clients, until this is closed or its process dies.
   *
   * @param data a string is sent as UTF-8
   * @param options the timeout in milliseconds, or that and an `AbortSignal`. A request that was already sent is not taken
   *   back
   * @throws `ERR_MMAP_REMOTE` if the handler threw; `ERR_MMAP_SERVER_GONE` if the server received the request, and was
   *   closed or died before it replied; `ERR_MMAP_TIMED_OUT`; `ERR_MMAP_BUSY` if there are as many clients as
   *   there can be; `ERR_OUT_OF_RANGE` if the request or the reply is longer than {@link maxLength};
   *   `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  call(data: RpcReply, options?: number | Readonly<WaitOptions>): Promise<Buffer>
  /** Stops serving, and rejects the calls that wait. The Rpc stays in the memory, and the mapping stays open. */
  close(): void
  toJSON(): object
  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void
}
/**
 * A lock in {@link RwLock.byteLength} bytes of a shared mapping, which must be zero before the first use. Many readers
 * share it, or one writer has it alone.
 *
 * Its owner is a mapping, as for {@link Mutex}: everything done through one `MemoryMap` counts as one owner, which may
 * share the lock several times and then unlocks as often. Sixty mappings can share it at a time; more wait.
 *
 * Writers are not starved: while one waits, new readers wait too. (Only `lockShared` of a mapping that shares the lock
 * already does not, since the writer waits for that mapping.)
 *
 * A reader that is killed, or whose mapping is closed, no longer has the lock. After the death of a writer that had it,
 * everybody who locks gets `'recovered'` until the next writer unlocks: what the lock protects may be half changed.
 *
 * ```js
 * const lock = new RwLock(map, 0)
 * if (lock.lockExclusive() === 'recovered') repair()
 * change()
 * lock.unlock()
 *
 * await lock.lockSharedAsync()
 * map.read(512, 64)
 * lock.unlock()
 * ```
 */
declare class RwLock extends Handle {
  #private
  /** Bytes that it takes. */
  static readonly byteLength = 512
  /**
   * @param map a mapping that is shared and writable
   * @param byteOffset in bytes; aligned to 8 in memory
   * @throws `ERR_MMAP_NOT_SHARED`, `ERR_MMAP_NOT_WRITABLE`, `ERR_OUT_OF_RANGE`; the system's error if the file
   *   cannot show which processes are alive (docs/memory-model.md)
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint)
  /**
   * Shares the lock, and blocks the thread until no writer has it or waits for it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping has it alone; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lockShared(): Locked
  lockShared(timeout: number | undefined): Locked | 'timed-out'
  /**
   * Takes the lock alone, and blocks the thread until nobody else has it.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_DEADLOCK` if this mapping has it already, alone or shared; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  lockExclusive(): Locked
  lockExclusive(timeout: number | undefined): Locked | 'timed-out'
  /**
   * As {@link lockShared}, without blocking the event loop. It also waits for what this mapping has, because another
   * function can release it: for an exclusive lock, and behind a writer that waits for a shared one. If the promise
   * rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockSharedAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockSharedAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  /**
   * As {@link lockExclusive}, without blocking the event loop. It also waits for what this mapping has. If the promise
   * rejects, the lock was not taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  lockExclusiveAsync(options?: Readonly<Pick<WaitOptions, 'signal'>>): Promise<Locked>
  lockExclusiveAsync(options: number | Readonly<WaitOptions> | undefined): Promise<Locked | 'timed-out'>
  /**
   * Shares the lock if no living writer has it or waits for it. Returns how it was acquired, or `false`; `false` also in
   * the moment in which another reader that had to wait gets it.
   */
  tryLockShared(): Locked | false
  /** Takes the lock alone if no living owner has it or waits for it alone. Returns how it was acquired, or `false`. */
  tryLockExclusive(): Locked | false
  /**
   * Releases the lock, if this mapping has it alone; else one of the times that it shares it.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if it does neither
   */
  unlock(): void
  toJSON(): object
}
/**
 * A count of permits in {@link Semaphore.byteLength} bytes of a shared mapping, which must be zero before the first
 * use. It does not know who took a permit: the permits of a process that dies are lost.
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
   * @param initial how many permits it starts with: the first `Semaphore` in these bytes that gives a number sets it
   */
  constructor(map: MemoryMap<any>, byteOffset: number | bigint, initial?: number)
  /**
   * Takes a permit, and blocks the thread until it has one; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  acquire(timeout?: number): boolean
  /**
   * As {@link acquire}, without blocking the event loop. If the promise rejects, no permit was taken.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  acquireAsync(options?: number | Readonly<WaitOptions>): Promise<boolean>
  /** Takes a permit if there is one. */
  tryAcquire(): boolean
  /**
   * Returns permits, or adds new ones.
   *
   * @throws `ERR_OUT_OF_RANGE` if there would be more than 2,147,483,647
   */
  release(count?: number): void
  toJSON(): object
}
/** How a wait ended, as for `Atomics.wait`. */
type WaitResult = 'ok' | 'not-equal' | 'timed-out'
/**
 * Sleeps while the 32-bit integer at `byteOffset` is `expected`, until {@link notify} wakes it. It is `Atomics.wait`
 * between processes, and blocks the thread. It spins for a moment before it sleeps (docs/memory-model.md).
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
 * As {@link wait}, without blocking the event loop. It returns when the wait sleeps, some 20 µs later, so that a
 * {@link notify} after it is not missed. One thread sleeps for all pending waits where the system can do that
 * (docs/memory-model.md). A pending wait keeps the process alive, and rejects when the mapping is closed, or its file
 * loses the word.
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
  Barrier,
  Broadcast,
  type BroadcastRange,
  BroadcastReceiver,
  Channel,
  type ChannelOptions,
  type ChannelRange,
  Condition,
  Event,
  Latest,
  type LatestOptions,
  type Locked,
  Mutex,
  type Pending,
  Queue,
  QueueMessage,
  type QueuePending,
  Rpc,
  type RpcHandler,
  type RpcRange,
  type RpcReply,
  RwLock,
  Semaphore,
  type ServeOptions,
  type SubscribeOptions,
  type WaitOptions,
  type WaitResult,
  type Wakeup,
  notify,
  wait,
  waitAsync,
}
