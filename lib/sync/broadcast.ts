// Messages from many processes to many, through shared memory: each receiver gets all.

import type { NativeBroadcast } from '../binding.js'
import { toBoolean } from '../arguments.js'
import { check } from '../choices.js'
import { illegalConstructor, invalidValue, KEY } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toExtent, toOffset, toToken, type WaitOptions } from './arguments.js'
import { Lifetime } from './lifetime.js'
import { type MemoryMap, native } from './main.js'
import type { ChannelOptions, ChannelRange } from './opening.js'
import { call } from './pending.js'
import { BroadcastReceiver, receiverOf } from './receiver.js'
import { Sending } from './sending.js'

/** Where to put a broadcast, its length, and whether receivers may lose messages. */
export interface BroadcastRange extends ChannelRange {
  /**
   * Whether senders wait until the slowest living receiver has room; there can be 64 receivers then. Default: false:
   * senders never wait for receivers, and a receiver that is too slow is told how many messages it has lost.
   */
  readonly lossless?: boolean | undefined
}

/** With which message a receiver begins. */
export interface SubscribeOptions {
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
export class Broadcast extends Handle {
  static {
    tag(this)
  }

  readonly #life: Lifetime
  readonly #native: NativeBroadcast
  readonly #sending: Sending

  private constructor(key: typeof KEY, map: MemoryMap<any>, behind: NativeBroadcast) {
    super()
    if (key !== KEY) throw illegalConstructor('`Broadcast.create` or `Broadcast.open`')
    this.#life = new Lifetime(map, 'broadcast')
    this.#native = behind
    this.#sending = new Sending(this.#life, {
      max: native.broadcastMaxLength(behind),
      send: (bytes, timeout) => native.broadcastSend(behind, bytes, timeout),
      sendAsync: (...wait) => native.broadcastSendAsync(behind, ...wait),
    })
  }

  /**
   * Makes a broadcast in a shared and writable mapping, over whatever was there. It needs 448 bytes at least, or 4,544 if
   * it is lossless.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<BroadcastRange>): Broadcast {
    const token = toToken(map)
    const { offset, length, lossless } = check<BroadcastRange>(options, ['offset', 'length', 'lossless'])
    const [start, size] = toExtent(map, offset, length)
    const isLossless = toBoolean(lossless, 'options.lossless', false)
    return new Broadcast(
      KEY,
      map,
      call(map, () => native.broadcastOpen(token, start, size, isLossless)),
    )
  }

  /**
   * Opens an existing broadcast. Through a mapping that is not writable you can receive, unless the broadcast is lossless;
   * waits then look for a message every 10 ms.
   *
   * @throws `ERR_MMAP_NOT_WRITABLE` if the mapping is not writable and the broadcast is lossless; `ERR_MMAP_INVALID` if
   *   there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Broadcast {
    const token = toToken(map)
    const { offset } = check<ChannelOptions>(options, ['offset'])
    const start = toOffset(offset)
    return new Broadcast(
      KEY,
      map,
      call(map, () => native.broadcastOpen(token, start, -1, false)),
    )
  }

  /** How many bytes messages may take in all, with 16 more for each. */
  get capacity(): number {
    return native.broadcastCapacity(this.#native)
  }

  /** Bytes of the longest message: half the capacity. */
  get maxLength(): number {
    return native.broadcastMaxLength(this.#native)
  }

  /** Whether senders wait for the slowest receiver. */
  get lossless(): boolean {
    return native.broadcastLossless(this.#native)
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#life.closed
  }

  /**
   * Makes a receiver of all messages from now on, or of all that are still there.
   *
   * @throws `ERR_MMAP_BUSY` if it is lossless and has 64 receivers, or if a sender is stopped in the middle of a message
   *   for ten seconds; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  subscribe(options?: Readonly<SubscribeOptions>): BroadcastReceiver {
    const { from = 'now' } = check<SubscribeOptions>(options, ['from'])
    if (from !== 'now' && from !== 'oldest') throw invalidValue('options.from', from, "must be 'now' or 'oldest'")
    this.#life.check()
    const { map } = this.#life
    return receiverOf(
      map,
      call(map, () => native.broadcastSubscribe(this.#native, from === 'oldest')),
    )
  }

  /**
   * Sends a message to all receivers. Blocks the thread while another sender copies its own and, if the broadcast is lossless,
   * until every living receiver has room; `false` if the time is up first.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean {
    return this.#sending.send(data, timeout)
  }

  /** Sends a message if that needs no waiting now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean {
    return this.#sending.trySend(data)
  }

  /**
   * Sends messages in order, and blocks the thread as {@link send} does. Returns how many were sent before the time
   * was up. For short messages this is several times as fast as one by one.
   *
   * @param messages strings are sent as UTF-8; if one message is too long, none is sent
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number {
    return this.#sending.sendMany(messages, timeout, (...batch) => native.broadcastSendMany(this.#native, ...batch))
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

  /** Ends pending calls. Its receivers go on, the broadcast stays in the memory, and the mapping stays open. */
  close(): void {
    this.#life.close()
  }

  toJSON(): object {
    const { capacity, maxLength, lossless, closed } = this
    return { capacity, maxLength, lossless, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}
