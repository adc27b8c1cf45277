// Messages from many processes to one, through shared memory. (Long: a quarter are doc comments, and a class is in one file.)

import { toBytes } from '../arguments.js'
import type { NativeChannel } from '../binding.js'
import { Handle, tag } from '../handle.js'
import { illegalConstructor, invalidValue, KEY, outOfRange } from '../errors.js'
import { Ahead, HEAD, TAIL } from './ahead.js'
import { type Limit, toLimit, toTarget, toTimeout, type WaitOptions } from './arguments.js'
import { Borrowing } from './borrowing.js'
import { Copies } from './copies.js'
import { Messages } from './iterator.js'
import { Lifetime } from './lifetime.js'
import { type MemoryMap, native } from './main.js'
import { type ChannelOptions, type ChannelRange, CREATE, EITHER, make, OPEN, openAsync } from './opening.js'
import { call } from './pending.js'
import { Receiving } from './receiving.js'
import { Sending } from './sending.js'
import { Words } from './words.js'

/** Bytes of a channel's head (docs/channel.md), and half of a word in it. */
const HEAD_SIZE = 512
const RECEIVER = 64
/** The bit of the receiver's word that says that another one waits to become it. */
const CONTENDED = 1

/** What waits in a channel. */
export interface Pending {
  /** Messages that were sent, and were not received, or were borrowed and not released. */
  readonly messages: number
  /** How many bytes are in them. */
  readonly bytes: number
}

/** What the native library has behind a channel. */
export let behindOf: (channel: Channel) => NativeChannel
/** Has a channel become the receiver as soon as no other one is alive. */
export let waitToReceive: (channel: Channel, limit: Limit) => Promise<unknown>

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
export class Channel extends Handle {
  static {
    tag(this)
    behindOf = (channel) => channel.#native
    waitToReceive = (channel, limit) =>
      channel.#receiving.turns.run(limit, 0, (left) =>
        channel.#life.wait(left, (...wait) => native.channelWaitToReceive(channel.#native, ...wait)),
      )
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeChannel
  readonly #max: number
  readonly #words: Words
  /** The halves of the receiver's word while that is this end. */
  readonly #receiver: Int32Array
  /** Where in the mapping the Buffers are that `reserve` gave out, and how long they were then. */
  readonly #reserved = new WeakMap<Buffer, { readonly offset: number; readonly size: number }>()
  readonly #life: Lifetime
  readonly #sending: Sending
  readonly #receiving: Receiving
  readonly #ahead: Ahead
  readonly #copies: Copies
  readonly #borrowing: Borrowing

  private constructor(key: typeof KEY, map: MemoryMap<any>, behind: NativeChannel, offset: number) {
    super()
    if (key !== KEY) throw illegalConstructor('`Channel.create` or `Channel.open`')
    this.#map = map
    this.#native = behind
    this.#max = native.channelMaxLength(behind)
    this.#words = new Words(map, offset, HEAD_SIZE)
    this.#receiver = new Int32Array(new BigInt64Array([native.channelReceiver(behind)]).buffer)
    this.#life = new Lifetime(map, 'channel')
    this.#sending = new Sending(this.#life, {
      max: this.#max,
      send: (bytes, timeout) => native.channelSend(behind, bytes, timeout),
      sendAsync: (...wait) => native.channelSendAsync(behind, ...wait),
    })
    this.#receiving = new Receiving(this.#life, (...wait) => native.channelReadyAsync(behind, ...wait))
    this.#copies = new Copies(this.#life, {
      receive: (...target) => this.#ahead.receive(...target),
      receiveMany: (...target) => native.channelReceiveMany(behind, ...target),
    })
    this.#ahead = new Ahead(this.#words, this.#copies.pool, {
      receive: (target, start, timeout) => native.channelReceive(behind, target, start, timeout),
      receiveAhead: (target, start, places, most, timeout) =>
        native.channelReceiveAhead(behind, target, start, places, most, timeout),
      wakeSenders: () => native.channelWakeSenders(behind),
      isReceiver: () => this.#isReceiver(),
    })
    this.#borrowing = new Borrowing(this.#life, this.#receiving, {
      borrow: (timeout) => native.channelBorrow(behind, timeout),
      release: (place) => native.channelRelease(behind, place),
      putBack: (place) => native.channelPutBack(behind, place),
    })
  }

  /**
   * Makes a channel in a shared and writable mapping, over whatever was there.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; `ERR_MMAP_BUSY` if another process is making one there, and does not
   *   get on for five seconds; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel {
    return make(map, options, CREATE, native.channelOpen, (...behind) => new Channel(KEY, map, ...behind))
  }

  /**
   * Opens an existing channel.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Channel {
    return make(map, options, OPEN, native.channelOpen, (...behind) => new Channel(KEY, map, ...behind))
  }

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
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel {
    return make(map, options, EITHER, native.channelOpen, (...behind) => new Channel(KEY, map, ...behind))
  }

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
  static openAsync(
    map: MemoryMap<any>,
    options?: Readonly<ChannelOptions & WaitOptions>,
  ): Promise<Channel | undefined> {
    const wrap = (behind: NativeChannel, offset: number) => new Channel(KEY, map, behind, offset)
    return openAsync(map, options, native.channelMade, native.channelOpen, wrap)
  }

  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number {
    return native.channelCapacity(this.#native)
  }

  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number {
    return this.#max
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#life.closed
  }

  /** What waits in the channel, sent by anybody. It is counted each time, message by message, while others go on. */
  get pending(): Pending {
    this.#life.check()
    const [messages, bytes] = call(this.#map, () => native.channelPending(this.#native)) as [number, number]
    return { messages, bytes }
  }

  /**
   * Sends a message, and blocks the thread until there is room for it; `false` if the time is up first.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean {
    return this.#sending.send(data, timeout)
  }

  /** Sends a message if there is room for it now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean {
    return this.#sending.trySend(data)
  }

  /**
   * Sends messages in order, and blocks the thread until there is room for them. Returns how many were sent before
   * the time was up. For short messages this is several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; if one message is too long, none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number {
    return this.#sending.sendMany(messages, timeout, (...batch) => native.channelSendMany(this.#native, ...batch))
  }

  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean> {
    return this.#sending.sendAsync(data, options)
  }

  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first. Long messages are
   * received faster by {@link receiveInto}.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if there is another receiver, a `receiveAsync` is pending, or a borrowed message
   *   is not released; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined {
    return this.#receiving.isAwaited ? undefined : this.#look()
  }

  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    return this.#receiving.get(options, () => this.#look())
  }

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
  receiveInto(target: NodeJS.ArrayBufferView, timeout?: number): number | undefined {
    const bytes = toTarget(target)
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#takeInto(bytes, limit)
  }

  /** As {@link receiveInto}, if there is a message now and no `receiveAsync` is pending. */
  tryReceiveInto(target: NodeJS.ArrayBufferView): number | undefined {
    const bytes = toTarget(target)
    return this.#receiving.isAwaited ? undefined : this.#lookInto(bytes)
  }

  /**
   * As {@link receiveInto}, without blocking the event loop. Do not use `target` until the promise settles.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async receiveIntoAsync(
    target: NodeJS.ArrayBufferView,
    options?: number | Readonly<WaitOptions>,
  ): Promise<number | undefined> {
    const bytes = toTarget(target)
    return this.#receiving.get(options, () => this.#lookInto(bytes))
  }

  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. For short messages this is several times as fast as one by one. Some share their `buffer`.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  receiveMany(most: number, timeout?: number): Buffer[] {
    const many = this.#receiving.toMany(most, timeout)
    this.#ahead.drop()
    return this.#copies.takeMany(...many)
  }

  /** The messages, until the channel is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return new Messages(this.#receiving, () => this.#look()) as unknown as AsyncIterableIterator<Buffer>
  }

  /**
   * Reserves room for a message of `length` bytes, so that you can write it in place and send it with {@link commit}.
   * Blocks the thread until there is room; returns undefined if the time is up first. Messages that any process sends
   * later arrive after it.
   */
  reserve(length: number | bigint, timeout?: number): Buffer | undefined {
    const bytes = this.#toLength(length)
    const limit = toTimeout(timeout)
    this.#sending.checkIdle()
    const offset = call(this.#map, () => native.channelReserve(this.#native, bytes, limit))
    return this.#viewReserved(offset, bytes)
  }

  /** Reserves room for a message if there is some now. */
  tryReserve(length: number | bigint): Buffer | undefined {
    this.#life.check()
    return this.#sending.turns.busy ? undefined : this.reserve(length, 0)
  }

  /**
   * As {@link reserve}, without blocking the event loop, in turn with {@link sendAsync}. If the promise rejects, nothing
   * is reserved.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async reserveAsync(length: number | bigint, options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    const bytes = this.#toLength(length)
    const limit = toLimit(options)
    return (
      this.tryReserve(bytes) ??
      (await this.#sending.turns.run(limit, undefined, async (left) => {
        this.#life.check()
        await this.#life.wait(left, (...rest) => native.channelReserveAsync(this.#native, bytes, ...rest))
        return this.#viewReserved(native.channelReserved(this.#native), bytes)
      }))
    )
  }

  /**
   * Sends the Buffer that {@link reserve} returned, or its first `length` bytes. Do not use the Buffer after that.
   */
  commit(reserved: Buffer, length?: number | bigint): void {
    const { size } = this.#find(reserved)
    const bytes = length === undefined ? size : toBytes(length, 'length')
    if (bytes > size) throw outOfRange('length', `at most ${size}, which was reserved`, length)
    this.#settle(reserved, bytes)
  }

  /** Gives back the Buffer that {@link reserve} returned, and sends nothing. */
  abandon(reserved: Buffer): void {
    this.#settle(reserved, -1)
  }

  /**
   * Receives a message without copying it. The Buffer is a view of the shared memory, valid until {@link release}.
   * Blocks the thread as {@link receive} does. Further messages can be borrowed before the first is released; until all
   * are, the methods that copy messages throw `ERR_MMAP_BUSY`.
   */
  borrow(timeout?: number): Buffer | undefined {
    return this.#borrowing.borrow(timeout)
  }

  /** Borrows a message if there is one now, and no asynchronous call is pending. */
  tryBorrow(): Buffer | undefined {
    return this.#borrowing.tryBorrow()
  }

  /**
   * As {@link borrow}, without blocking the event loop. If the promise rejects, nothing is borrowed.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  borrowAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    return this.#borrowing.borrowAsync(options)
  }

  /**
   * Gives back a Buffer that {@link borrow} returned. Do not use it after that: senders reuse its room, as soon as all
   * that were borrowed before it are given back too.
   */
  release(borrowed: Buffer): void {
    this.#borrowing.release(borrowed)
  }

  /**
   * Ends pending calls and lets another receiver take over. The channel stays in the memory, and the mapping stays open.
   * A message that was borrowed and not released is received again.
   */
  close(): void {
    if (!this.#life.close()) return
    this.#borrowing.clear()
    if (this.#map.closed) return
    const stop = () => native.channelStopReceiving(this.#native)
    const { turns } = this.#receiving
    // The receiving thread has to see first that it is to end.
    if (!turns.busy) call(this.#map, stop)
    else void turns.ended.then(() => this.#map.closed || call(this.#map, stop)).catch(() => {}) // a fault, which the mapping tells
  }

  toJSON(): object {
    const { capacity, maxLength, closed } = this
    return { capacity, maxLength, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #toLength(length: number | bigint): number {
    return this.#sending.checkLength(toBytes(length, 'length'), 'length', length)
  }

  #viewReserved(offset: number, size: number): Buffer | undefined {
    if (offset < 0) return undefined
    let buffer: Buffer
    try {
      buffer = this.#map.view(offset, size)
    } catch (error) {
      native.channelCommit(this.#native, offset, -1) // or it would hold up all messages after it
      throw error
    }
    this.#reserved.set(buffer, { offset, size })
    return buffer
  }

  #look(): Buffer | undefined {
    return this.#takeAhead() ?? (this.#isEmpty() ? undefined : this.#copies.take(0))
  }

  #lookInto(target: Buffer): number | undefined {
    this.#life.check()
    return this.#isEmpty() ? undefined : this.#takeInto(target, 0)
  }

  #takeInto(target: Buffer, timeout: number): number | undefined {
    this.#life.check()
    const length = this.#words.call(() => native.channelReceive(this.#native, target, 0, timeout))
    if (length >= 0) return length
    if (length === -1) return undefined
    throw outOfRange('target', `of at least ${-2 - length} bytes, which the message has`, target.length)
  }

  #take(timeout: number): Buffer | undefined {
    return this.#takeAhead() ?? this.#copies.take(timeout)
  }

  #takeAhead(): Buffer | undefined {
    this.#life.check()
    return this.#borrowing.count > 0 ? undefined : this.#ahead.take()
  }

  /** Whether this is the receiver, and there is nothing: where it is not known there may be something. */
  #isEmpty(): boolean {
    const { halves, isReady } = this.#words
    // A ring is shorter than a half counts.
    if (!isReady || halves.length === 0 || this.#borrowing.count > 0 || this.#max >= 2 ** 30) return false
    return Atomics.load(halves, HEAD) === halves[TAIL] && this.#isReceiver() && this.#words.intact
  }

  #isReceiver(): boolean {
    const { halves } = this.#words
    return (halves[RECEIVER]! & ~CONTENDED) === this.#receiver[0] && halves[RECEIVER + 1] === this.#receiver[1]
  }

  #find(reserved: Buffer): { offset: number; size: number } {
    const found = this.#reserved.get(reserved)
    if (found === undefined) throw invalidValue('reserved', reserved, 'must be a Buffer that `reserve` returned')
    return found
  }

  #settle(reserved: Buffer, length: number): void {
    const { offset } = this.#find(reserved)
    this.#reserved.delete(reserved)
    call(this.#map, () => native.channelCommit(this.#native, offset, length))
  }
}
