// Messages from many processes to one, through shared memory. (Long: a fifth are doc comments.)

import { toBytes } from '../arguments.js'
import type { NativeChannel } from '../binding.js'
import { allocate, copyOf } from '../buffers.js'
import { Handle, tag } from '../handle.js'
import { check } from '../choices.js'
import { aborted, illegalConstructor, invalidType, invalidValue, outOfRange, withCode } from '../errors.js'
import { type Limit, toCount, toLimit, toMessage, toToken, toTimeout, type WaitOptions } from './arguments.js'
import { Messages } from './iterator.js'
import { explain, type MemoryMap, native } from './main.js'
import { Batch, MOST, Pool } from './messages.js'
import { call, waitFor } from './pending.js'
import { Pace, Poll } from './poll.js'
import { Turns } from './turns.js'
import { Words } from './words.js'

/** Where a channel is. */
export interface ChannelOptions {
  /** Where it begins, in bytes; a multiple of 64 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
}

/** Where to put a channel, and its length. */
export interface ChannelRange extends ChannelOptions {
  /** Its length in bytes, at least 640. Default: to the end of the mapping. */
  readonly length?: number | bigint | undefined
}

/** Bytes of a channel's head (docs/channel.md), and halves of words in it. */
const HEAD_SIZE = 512
const HEAD = 32
const TAIL = 48
const RECEIVER = 64
/** The bit of the receiver's word that says that another one waits to become it. */
const CONTENDED = 1

/** Where the messages end that were received in one call. */
const ENDS = new Uint32Array(MOST)

const FOR_EVER: Limit = { timeout: -1, signal: undefined }

/** What is pending. */
class Pending {
  readonly sends = new Turns()
  readonly receives = new Turns()
  /** What ends the waits. */
  readonly ends = new Set<() => void>()
  readonly poll = new Poll()
  readonly pace = new Pace()
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
export class Channel extends Handle {
  static {
    tag(this)
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeChannel
  readonly #handle: object
  readonly #max: number
  readonly #words: Words
  /** The halves of the receiver's word while that is this end. */
  readonly #receiver: Int32Array
  /** Where in the mapping the Buffers are that `reserve` gave out, and how long they were then. */
  #reserved = new WeakMap<Buffer, { readonly offset: number; readonly size: number }>()
  #borrowed: Buffer | undefined
  /** V8 looks the fields of an object up in a table when it has more than twelve. */
  readonly #pending = new Pending()
  readonly #memory = { pool: new Pool(), batch: new Batch() }
  #closed = false

  private constructor(map: MemoryMap<any>, behind: NativeChannel, offset: number) {
    super()
    if (!(behind instanceof native.NativeChannel)) throw illegalConstructor('`Channel.create` or `Channel.open`')
    this.#map = map
    this.#native = behind
    this.#handle = behind.handle()
    this.#max = behind.maxLength
    this.#words = new Words(map, offset, HEAD_SIZE)
    this.#receiver = new Int32Array(new BigInt64Array([behind.receiver()]).buffer)
  }

  /**
   * Makes a channel in a shared and writable mapping, over whatever was there.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel {
    const token = toToken(map)
    const { offset, length } = check<ChannelRange>(options, ['offset', 'length'])
    const start = toBytes(offset ?? 0, 'options.offset')
    const size = length === undefined ? Math.max(0, map.length - start) : toBytes(length, 'options.length')
    return new Channel(
      map,
      call(map, () => new native.NativeChannel(token, start, size)),
      start,
    )
  }

  /**
   * Opens an existing channel.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Channel {
    const token = toToken(map)
    const { offset } = check<ChannelOptions>(options, ['offset'])
    const start = toBytes(offset ?? 0, 'options.offset')
    return new Channel(
      map,
      call(map, () => new native.NativeChannel(token, start, -1)),
      start,
    )
  }

  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number {
    return this.#native.capacity
  }

  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number {
    return this.#max
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#closed || this.#map.closed
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
    const bytes = this.#message(data)
    const limit = toTimeout(timeout)
    if (this.#pending.sends.busy) throw busy('A sendAsync is pending, and this would overtake it')
    return this.#send(bytes, limit)
  }

  /** Sends a message if there is room for it now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean {
    const bytes = this.#message(data)
    return !this.#pending.sends.busy && this.#send(bytes, 0)
  }

  /**
   * Sends messages in their order, and blocks the thread until there is room for them. Returns how many were sent before
   * the time was up. Many short messages are several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; if one message is too long, none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number {
    const limit = toTimeout(timeout)
    this.#checkOpen()
    if (typeof Object(messages)[Symbol.iterator] !== 'function') throw invalidType('messages', 'an Iterable', messages)
    const all = Array.from(messages, (message) => this.#message(message))
    if (this.#pending.sends.busy) throw busy('A sendAsync is pending, and this would overtake it')
    const end = limit > 0 ? performance.now() + limit : 0
    const remaining = (): number => (limit > 0 ? Math.max(0, end - performance.now()) : limit)
    let sent = 0
    for (let next = 0; sent === next && next < all.length;) {
      next = this.#memory.batch.pack(all, sent)
      sent += next > sent ? this.#sendBatch(next - sent, remaining()) : Number(this.#send(all[next++]!, remaining()))
    }
    return sent
  }

  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean> {
    const limit = toLimit(options)
    if (this.trySend(data)) return true
    // The caller may change its bytes meanwhile.
    const bytes = copyOf(this.#message(data))
    return await this.#pending.sends.run(limit, false, async (left) => {
      this.#checkOpen()
      return (await this.#wait(left, (...rest) => this.#native.sendAsync(bytes, ...rest))) === 0
    })
  }

  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if there is another receiver, a `receiveAsync` is pending, or a borrowed message
   *   is not released; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    if (this.#pending.receives.busy) throw busy('A receiveAsync is pending, and the next message is for that')
    return this.#take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined {
    if (!this.#pending.receives.busy) return this.#look()
    this.#checkOpen()
    return undefined
  }

  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    const limit = toLimit(options)
    return this.#now() ?? (await this.#pending.receives.run(limit, undefined, (left) => this.#next(left)))
  }

  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. Many short messages are several times as fast as one by one. Some share their `buffer`.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  receiveMany(most: number, timeout?: number): Buffer[] {
    const count = toCount(most, 'most', 1)
    const limit = toTimeout(timeout)
    this.#checkOpen()
    if (this.#pending.receives.busy) throw busy('A receiveAsync is pending, and the next message is for that')
    const messages: Buffer[] = []
    try {
      while (this.#takeMany(messages, count, messages.length === 0 ? limit : 0) && messages.length < count) continue
    } catch (error) {
      if (messages.length === 0) throw error // else the next call says so
    }
    return messages
  }

  /** The messages, until the channel is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const isClosed = (): boolean => this.closed
    return new Messages({
      get closed() {
        return isClosed()
      },
      take: () => this.#now(),
      wait: () => this.#pending.receives.run(FOR_EVER, undefined, (left) => this.#next(left)),
    }) as unknown as AsyncIterableIterator<Buffer>
  }

  /**
   * Reserves room for a message of `length` bytes, so that you can write it in place and send it with {@link commit}.
   * Blocks the thread until there is room; returns undefined if the time is up first. Messages that any process sends
   * later arrive after it.
   */
  reserve(length: number | bigint, timeout?: number): Buffer | undefined {
    const bytes = this.#length(toBytes(length, 'length'), 'length', length)
    const limit = toTimeout(timeout)
    this.#checkOpen()
    if (this.#pending.sends.busy) throw busy('A sendAsync is pending, and this would overtake it')
    const offset = call(this.#map, () => this.#native.reserve(bytes, limit))
    if (offset < 0) return undefined
    const buffer: Buffer = this.#map.view(offset, bytes)
    this.#reserved.set(buffer, { offset, size: bytes })
    return buffer
  }

  /** Reserves room for a message if there is some now. */
  tryReserve(length: number | bigint): Buffer | undefined {
    return this.#pending.sends.busy ? undefined : this.reserve(length, 0)
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
   * Blocks the thread as {@link receive} does.
   */
  borrow(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    this.#checkOpen()
    if (this.#pending.receives.busy) throw busy('A receiveAsync is pending, and the next message is for that')
    const place = call(this.#map, () => this.#native.borrow(limit))
    if (!place) return undefined
    return (this.#borrowed = this.#map.view(place[0], place[1]))
  }

  /** Borrows a message if there is one now, and no `receiveAsync` is pending. */
  tryBorrow(): Buffer | undefined {
    return this.#pending.receives.busy ? undefined : this.borrow(0)
  }

  /** Gives back the Buffer that {@link borrow} returned. Do not use it after that: senders reuse its room. */
  release(borrowed: Buffer): void {
    if (borrowed === undefined || borrowed !== this.#borrowed) {
      throw invalidValue('borrowed', borrowed, 'must be the Buffer that `borrow` returned last')
    }
    this.#borrowed = undefined
    call(this.#map, () => this.#native.release())
  }

  /**
   * Ends pending calls and lets another receiver take over. The channel stays in the memory, and the mapping stays open.
   * A message that was borrowed and not released is received again.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const end of this.#pending.ends) end()
    this.#borrowed = undefined
    if (this.#map.closed) return
    const stop = () => this.#native.stopReceiving()
    // The receiving thread has to see first that it is to end.
    if (!this.#pending.receives.busy) call(this.#map, stop)
    else void this.#pending.receives.ended.then(() => this.#map.closed || call(this.#map, stop)).catch(() => {}) // a fault, which the mapping tells
  }

  toJSON(): object {
    const { capacity, maxLength, closed } = this
    return { capacity, maxLength, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw withCode(new Error('The channel is closed'), 'ERR_MMAP_CLOSED')
  }

  #message(data: unknown): Uint8Array {
    this.#checkOpen()
    const bytes = toMessage(data)
    this.#length(bytes.length, 'data', bytes.length)
    return bytes
  }

  #length(length: number, name: string, value: unknown): number {
    if (length > this.#max) throw outOfRange(name, `at most ${this.#max} bytes, half the capacity`, value)
    return length
  }

  #send(bytes: Uint8Array, timeout: number): boolean {
    try {
      return native.channelSend(this.#handle, bytes, timeout)
    } catch (error) {
      throw explain(this.#map, error)
    }
  }

  #look(): Buffer | undefined {
    this.#checkOpen()
    return this.#isEmpty() ? undefined : this.#take(0)
  }

  #take(timeout: number): Buffer | undefined {
    this.#checkOpen()
    const { pool } = this.#memory
    try {
      let length = native.channelReceive(this.#handle, pool.ready(), pool.used, timeout)
      if (length >= 0) return pool.cut(length)
      this.#words.prepare()
      if (length === -1) return undefined
      for (;;) {
        const buffer = allocate(-2 - length)
        length = native.channelReceive(this.#handle, buffer, 0, timeout)
        if (length >= 0) return buffer.subarray(0, length)
        if (length === -1) return undefined
      }
    } catch (error) {
      throw explain(this.#map, error)
    }
  }

  /** Whether this is the receiver, and there is nothing: where it is not known there may be something. */
  #isEmpty(): boolean {
    const { halves } = this.#words
    // A ring is shorter than a half counts.
    if (halves.length === 0 || this.#borrowed !== undefined || this.#max >= 2 ** 30) return false
    return (
      Atomics.load(halves, HEAD) === halves[TAIL] &&
      (halves[RECEIVER]! & ~CONTENDED) === this.#receiver[0] &&
      halves[RECEIVER + 1] === this.#receiver[1] &&
      this.#words.intact
    )
  }

  #sendBatch(count: number, timeout: number): number {
    const { bytes, ends } = this.#memory.batch
    return call(this.#map, () => native.channelSendMany(this.#handle, bytes, ends, count, timeout))
  }

  /** Adds available messages to `messages`, up to `most` in all. Returns whether there were any. */
  #takeMany(messages: Buffer[], most: number, timeout: number): boolean {
    const { pool } = this.#memory
    const memory = pool.ready()
    const count = call(this.#map, () => {
      return native.channelReceiveMany(this.#handle, memory, pool.used, ENDS, most - messages.length, timeout)
    })
    if (count < -1) {
      const message = this.#take(timeout)
      if (message !== undefined) messages.push(message)
      return message !== undefined
    }
    const first = pool.used
    for (let i = 0; i < count; i++) messages.push(pool.cut(first + ENDS[i]! - pool.used))
    return count > 0
  }

  /** A message that is there now, unless the event loop is to go on first. */
  #now(): Buffer | undefined {
    return this.#pending.pace.isDue ? undefined : this.tryReceive()
  }

  /** Waits for a message: first on turns of the event loop, then on a thread. */
  async #next({ timeout, signal }: Limit): Promise<Buffer | undefined> {
    if (this.#pending.pace.isOver) {
      await this.#pending.pace.rest()
      if (signal?.aborted) throw aborted(signal)
      const message = this.#look()
      if (message !== undefined) return message
    }
    const start = performance.now()
    const end = timeout < 0 ? Infinity : start + timeout
    for (;;) {
      const remaining = Math.max(0, end - performance.now())
      const message = await this.#pending.poll.until(
        () => this.#look(),
        remaining,
        () => !signal?.aborted,
      )
      if (message !== undefined) return message
      if (signal?.aborted) throw aborted(signal)
      this.#checkOpen() // or nothing would end the wait
      const limit = { timeout: end === Infinity ? -1 : Math.max(0, end - performance.now()), signal }
      if ((await this.#wait(limit, (...rest) => this.#native.readyAsync(...rest))) !== 0) return undefined
      const late = this.#take(0)
      this.#pending.poll.learn(performance.now() - start)
      if (late !== undefined) return late
    }
  }

  async #wait(limit: Limit, start: Parameters<typeof waitFor>[2]): Promise<number> {
    try {
      return await waitFor(this.#map, limit, start, this.#pending.ends)
    } catch (error) {
      this.#checkOpen() // says so if `close` has ended it
      throw error
    }
  }

  #find(reserved: Buffer): { offset: number; size: number } {
    const found = this.#reserved.get(reserved)
    if (found === undefined) throw invalidValue('reserved', reserved, 'must be a Buffer that `reserve` returned')
    return found
  }

  #settle(reserved: Buffer, length: number): void {
    const { offset } = this.#find(reserved)
    this.#reserved.delete(reserved)
    call(this.#map, () => this.#native.commit(offset, length))
  }
}

function busy(message: string): Error {
  return withCode(new Error(message), 'ERR_MMAP_BUSY')
}
