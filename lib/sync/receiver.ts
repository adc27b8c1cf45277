// A receiver of a broadcast.

import type { NativeReceiver } from '../binding.js'
import { illegalConstructor, KEY } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toTimeout, type WaitOptions } from './arguments.js'
import { Borrowing } from './borrowing.js'
import { Copies } from './copies.js'
import { Messages } from './iterator.js'
import { Lifetime } from './lifetime.js'
import { type MemoryMap, native } from './main.js'
import { call } from './pending.js'
import { Receiving } from './receiving.js'

/** Makes a receiver. */
export let receiverOf: (map: MemoryMap<any>, behind: NativeReceiver) => BroadcastReceiver

/**
 * Receives every message of a {@link Broadcast} since it was made by {@link Broadcast.subscribe}, at its own pace.
 *
 * If senders write over messages that this receiver has not received yet, it goes on with the oldest that is still there
 * (or with the newest, if senders are too fast even for that), and {@link lost} grows by the number that it missed.
 */
export class BroadcastReceiver extends Handle {
  static {
    tag(this)
    receiverOf = (map, behind) => new BroadcastReceiver(KEY, map, behind)
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeReceiver
  readonly #life: Lifetime
  readonly #receiving: Receiving
  readonly #copies: Copies
  readonly #borrowing: Borrowing
  #lost = 0

  private constructor(key: typeof KEY, map: MemoryMap<any>, behind: NativeReceiver) {
    super()
    if (key !== KEY) throw illegalConstructor('`broadcast.subscribe`')
    this.#map = map
    this.#native = behind
    this.#life = new Lifetime(map, 'receiver')
    this.#receiving = new Receiving(this.#life, (...wait) => native.receiverReadyAsync(behind, ...wait))
    this.#copies = new Copies(this.#life, {
      receive: (...target) => native.broadcastReceive(behind, ...target),
      receiveMany: (...target) => native.broadcastReceiveMany(behind, ...target),
    })
    this.#borrowing = new Borrowing(this.#life, this.#receiving, {
      borrow: (timeout) => native.receiverBorrow(behind, timeout),
      release: (place) => native.receiverRelease(behind, place),
      putBack: (place) => native.receiverPutBack(behind, place),
    })
  }

  /**
   * How many messages this receiver has lost because it was too slow. It grows when the message after them is received.
   * Always 0 if the broadcast is lossless.
   */
  get lost(): number {
    if (!this.closed) this.#lost = call(this.#map, () => native.receiverLost(this.#native))
    return this.#lost
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#life.closed
  }

  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` while a `receiveAsync` is pending or a borrowed message is not released; `ERR_MMAP_INVALID`,
   *   `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#copies.take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined {
    return this.#receiving.isAwaited ? undefined : this.#copies.take(0)
  }

  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    return this.#receiving.get(options, () => this.#copies.take(0))
  }

  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. For short messages this is several times as fast as one by one. Some Buffers share
   * their memory.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws as {@link receive}
   */
  receiveMany(most: number, timeout?: number): Buffer[] {
    return this.#copies.takeMany(...this.#receiving.toMany(most, timeout))
  }

  /**
   * Receives a message of a lossless broadcast without copying it. The Buffer is a view of the shared memory, valid until
   * {@link release}. Do not change it: the other receivers read the same bytes. Blocks the thread as {@link receive} does.
   * Further messages can be borrowed before the first is released; until all are, the methods that copy messages throw
   * `ERR_MMAP_BUSY`.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_UNSUPPORTED` if the broadcast is not lossless: senders would write over the message; as {@link receive}
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
  async borrowAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    return this.#borrowing.borrowAsync(options)
  }

  /**
   * Gives back a Buffer that {@link borrow} returned. Do not use it after that: senders reuse its room, as soon as all
   * that were borrowed before it are given back too.
   */
  release(borrowed: Buffer): void {
    this.#borrowing.release(borrowed)
  }

  /** The messages, until the receiver is closed. Lost ones are counted in {@link lost}, and do not end the loop. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return new Messages(this.#receiving, () => this.#copies.take(0)) as unknown as AsyncIterableIterator<Buffer>
  }

  /**
   * Ends pending calls. If the broadcast is lossless, senders do not wait for this receiver any more; do not use what is
   * borrowed after that.
   */
  close(): void {
    this.#lost = this.lost
    if (!this.#life.close()) return
    this.#borrowing.clear()
    if (!this.#map.closed) call(this.#map, () => native.receiverClose(this.#native))
  }

  toJSON(): object {
    const { lost, closed } = this
    return { lost, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}
