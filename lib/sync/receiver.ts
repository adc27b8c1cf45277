// A receiver of a broadcast.

import type { NativeReceiver } from '../binding.js'
import { allocate } from '../buffers.js'
import { illegalConstructor } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { type Limit, toTimeout, type WaitOptions } from './arguments.js'
import { Messages } from './iterator.js'
import { Lifetime } from './lifetime.js'
import { explain, type MemoryMap, native } from './main.js'
import { Pool } from './messages.js'
import { call } from './pending.js'
import { Receiving } from './receiving.js'

const FOR_EVER: Limit = { timeout: -1, signal: undefined }

/** Makes a receiver. */
export let receiverOf: (map: MemoryMap<any>, behind: NativeReceiver) => BroadcastReceiver

/**
 * Receives every message of a {@link Broadcast} since it was made by {@link Broadcast.subscribe}, at its own pace.
 *
 * If senders have written over messages before this receiver had received them, it goes on with the oldest that is still
 * there (if senders are faster even then, with the newest), and {@link lost} has grown by those in between.
 */
export class BroadcastReceiver extends Handle {
  static {
    tag(this)
    receiverOf = (map, behind) => new BroadcastReceiver(map, behind)
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeReceiver
  readonly #handle: object
  readonly #life: Lifetime
  readonly #receiving: Receiving
  readonly #pool = new Pool()
  #lost = 0

  private constructor(map: MemoryMap<any>, behind: NativeReceiver) {
    super()
    if (!(behind instanceof native.NativeReceiver)) throw illegalConstructor('`broadcast.subscribe`')
    this.#map = map
    this.#native = behind
    this.#handle = behind.handle()
    this.#life = new Lifetime(map, 'receiver')
    this.#receiving = new Receiving(this.#life, (...wait) => behind.readyAsync(...wait))
  }

  /**
   * How many messages this receiver has lost, because it was too slow. It grows with the message that is received after
   * them. Always 0 if the broadcast is lossless.
   */
  get lost(): number {
    if (!this.closed) this.#lost = call(this.#map, () => this.#native.lost())
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
   * @throws `ERR_MMAP_BUSY` while a `receiveAsync` is pending; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined {
    if (!this.#receiving.turns.busy) return this.#take(0)
    this.#life.check()
    return undefined
  }

  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing
   * was received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async receiveAsync(options?: number | Readonly<WaitOptions>): Promise<Buffer | undefined> {
    return this.#receiving.get(options, () => this.#take(0))
  }

  /** The messages, until the receiver is closed. Lost ones are counted in {@link lost}, and do not end it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const isClosed = (): boolean => this.closed
    const look = () => this.#take(0)
    return new Messages({
      get closed() {
        return isClosed()
      },
      take: () => this.#receiving.now(look),
      wait: () => this.#receiving.wait(FOR_EVER, look),
    }) as unknown as AsyncIterableIterator<Buffer>
  }

  /** Ends pending calls. If the broadcast is lossless, senders do not wait for this receiver any more. */
  close(): void {
    if (!this.closed) {
      this.#lost = this.lost
      call(this.#map, () => this.#native.close())
    }
    this.#life.close()
  }

  toJSON(): object {
    const { lost, closed } = this
    return { lost, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #take(timeout: number): Buffer | undefined {
    this.#life.check()
    try {
      let length = native.broadcastReceive(this.#handle, this.#pool.ready(), this.#pool.used, timeout)
      if (length >= 0) return this.#pool.cut(length)
      // One that does not fit may be written over meanwhile, and the next one longer.
      while (length !== -1) {
        const buffer = allocate(-2 - length)
        length = native.broadcastReceive(this.#handle, buffer, 0, timeout)
        if (length >= 0) return buffer.subarray(0, length)
      }
      return undefined
    } catch (error) {
      throw explain(this.#map, error)
    }
  }
}
