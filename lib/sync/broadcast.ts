// Messages from many processes to many, through shared memory: each receiver gets all.

import { toBytes } from '../arguments.js'
import type { NativeBroadcast } from '../binding.js'
import { copyOf } from '../buffers.js'
import { check } from '../choices.js'
import { illegalConstructor, invalidType, invalidValue, outOfRange, withCode } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toLimit, toMessage, toTimeout, toToken, type WaitOptions } from './arguments.js'
import type { ChannelOptions, ChannelRange } from './opening.js'
import { explain, type MemoryMap, native } from './main.js'
import { call, waitFor } from './pending.js'
import { BroadcastReceiver, receiverOf } from './receiver.js'
import { Turns } from './turns.js'

/** Where to put a broadcast, its length, and whether receivers may lose messages. */
export interface BroadcastRange extends ChannelRange {
  /**
   * Whether senders wait until the slowest living receiver has room, of at most 64. Default: false, senders never wait
   * for receivers, and a receiver that is too slow is told how many messages it has lost.
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
 * const receiver = Broadcast.open(mapShared('news', { protection: 'read-write' })).subscribe({ from: 'oldest' })
 * for await (const message of receiver) console.log(message.toString(), receiver.lost)
 * ```
 */
export class Broadcast extends Handle {
  static {
    tag(this)
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeBroadcast
  readonly #handle: object
  readonly #max: number
  readonly #sends = new Turns()
  readonly #ends = new Set<() => void>()
  #closed = false

  private constructor(map: MemoryMap<any>, behind: NativeBroadcast) {
    super()
    if (!(behind instanceof native.NativeBroadcast)) {
      throw illegalConstructor('`Broadcast.create` or `Broadcast.open`')
    }
    this.#map = map
    this.#native = behind
    this.#handle = behind.handle()
    this.#max = behind.maxLength
  }

  /**
   * Makes a broadcast in a shared and writable mapping, over whatever was there. It needs 448 bytes at least, or 4,544 if
   * it is lossless.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as for a {@link Mutex}
   */
  static create(map: MemoryMap<any>, options?: Readonly<BroadcastRange>): Broadcast {
    const token = toToken(map)
    const { offset, length, lossless = false } = check<BroadcastRange>(options, ['offset', 'length', 'lossless'])
    const start = toBytes(offset ?? 0, 'options.offset')
    const size = length === undefined ? Math.max(0, map.length - start) : toBytes(length, 'options.length')
    if (typeof lossless !== 'boolean') throw invalidType('options.lossless', 'of type boolean', lossless)
    return new Broadcast(
      map,
      call(map, () => new native.NativeBroadcast(token, start, size, lossless)),
    )
  }

  /**
   * Opens an existing broadcast.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Broadcast {
    const token = toToken(map)
    const { offset } = check<ChannelOptions>(options, ['offset'])
    const start = toBytes(offset ?? 0, 'options.offset')
    return new Broadcast(
      map,
      call(map, () => new native.NativeBroadcast(token, start, -1, false)),
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

  /** Whether senders wait for the slowest receiver. */
  get lossless(): boolean {
    return this.#native.lossless
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#closed || this.#map.closed
  }

  /**
   * Makes a receiver of all messages from now on, or of all that are still there.
   *
   * @throws `ERR_MMAP_BUSY` if it is lossless and has 64 receivers, or for ten seconds a sender is stopped in the middle
   *   of a message; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  subscribe(options?: Readonly<SubscribeOptions>): BroadcastReceiver {
    const { from = 'now' } = check<SubscribeOptions>(options, ['from'])
    if (from !== 'now' && from !== 'oldest') throw invalidValue('options.from', from, "must be 'now' or 'oldest'")
    this.#checkOpen()
    return receiverOf(
      this.#map,
      call(this.#map, () => this.#native.subscribe(from === 'oldest')),
    )
  }

  /**
   * Sends a message to all receivers. Blocks the thread while another sender copies one and, if the broadcast is lossless,
   * until every living receiver has room; `false` if the time is up first.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean {
    const bytes = this.#message(data)
    const limit = toTimeout(timeout)
    if (this.#sends.busy) {
      throw withCode(new Error('A sendAsync is pending, and this would overtake it'), 'ERR_MMAP_BUSY')
    }
    return this.#send(bytes, limit)
  }

  /** Sends a message if that needs no waiting now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean {
    const bytes = this.#message(data)
    return !this.#sends.busy && this.#send(bytes, 0)
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
    return await this.#sends.run(limit, false, async (left) => {
      this.#checkOpen()
      try {
        return (await waitFor(this.#map, left, (...rest) => this.#native.sendAsync(bytes, ...rest), this.#ends)) === 0
      } catch (error) {
        this.#checkOpen() // says so if `close` has ended it
        throw error
      }
    })
  }

  /** Ends pending calls. The receivers that it made go on, the broadcast stays in the memory, and the mapping open. */
  close(): void {
    this.#closed = true
    for (const end of this.#ends) end()
  }

  toJSON(): object {
    const { capacity, maxLength, lossless, closed } = this
    return { capacity, maxLength, lossless, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw withCode(new Error('The broadcast is closed'), 'ERR_MMAP_CLOSED')
  }

  #message(data: unknown): Uint8Array {
    this.#checkOpen()
    const bytes = toMessage(data)
    if (bytes.length <= this.#max) return bytes
    throw outOfRange('data', `at most ${this.#max} bytes, half the capacity`, bytes.length)
  }

  #send(bytes: Uint8Array, timeout: number): boolean {
    try {
      return native.broadcastSend(this.#handle, bytes, timeout)
    } catch (error) {
      throw explain(this.#map, error)
    }
  }
}
