// A receiver of a broadcast.

import type { NativeReceiver } from '../binding.js'
import { allocate } from '../buffers.js'
import { aborted, illegalConstructor, withCode } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { type Limit, toLimit, toTimeout, type WaitOptions } from './arguments.js'
import { Messages } from './iterator.js'
import { explain, type MemoryMap, native } from './main.js'
import { Pool } from './messages.js'
import { call, waitFor } from './pending.js'
import { Pace, Poll } from './poll.js'
import { Turns } from './turns.js'

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
  readonly #receives = new Turns()
  readonly #ends = new Set<() => void>()
  readonly #pool = new Pool()
  readonly #poll = new Poll()
  readonly #pace = new Pace()
  #lost = 0
  #closed = false

  private constructor(map: MemoryMap<any>, behind: NativeReceiver) {
    super()
    if (!(behind instanceof native.NativeReceiver)) throw illegalConstructor('`broadcast.subscribe`')
    this.#map = map
    this.#native = behind
    this.#handle = behind.handle()
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
    return this.#closed || this.#map.closed
  }

  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` while a `receiveAsync` is pending; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): Buffer | undefined {
    const limit = toTimeout(timeout)
    if (this.#receives.busy) {
      throw withCode(new Error('A receiveAsync is pending, and the next message is for that'), 'ERR_MMAP_BUSY')
    }
    return this.#take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): Buffer | undefined {
    if (!this.#receives.busy) return this.#take(0)
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
    return this.#now() ?? (await this.#receives.run(limit, undefined, (left) => this.#next(left)))
  }

  /** The messages, until the receiver is closed. Lost ones are counted in {@link lost}, and do not end it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const isClosed = (): boolean => this.closed
    return new Messages({
      get closed() {
        return isClosed()
      },
      take: () => this.#now(),
      wait: () => this.#receives.run(FOR_EVER, undefined, (left) => this.#next(left)),
    }) as unknown as AsyncIterableIterator<Buffer>
  }

  /** Ends pending calls. If the broadcast is lossless, senders do not wait for this receiver any more. */
  close(): void {
    if (this.#closed) return
    if (!this.#map.closed) {
      this.#lost = this.lost
      call(this.#map, () => this.#native.close())
    }
    this.#closed = true
    for (const end of this.#ends) end()
  }

  toJSON(): object {
    const { lost, closed } = this
    return { lost, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw withCode(new Error('The receiver is closed'), 'ERR_MMAP_CLOSED')
  }

  #take(timeout: number): Buffer | undefined {
    this.#checkOpen()
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

  /** A message that is there now, unless the event loop is to go on first. */
  #now(): Buffer | undefined {
    return this.#pace.isDue ? undefined : this.tryReceive()
  }

  /** Waits for a message: first on turns of the event loop, then on a thread. */
  async #next({ timeout, signal }: Limit): Promise<Buffer | undefined> {
    if (this.#pace.isOver) await this.#pace.rest()
    const start = performance.now()
    const end = timeout < 0 ? Infinity : start + timeout
    const remaining = (): number => Math.max(0, end - performance.now())
    for (;;) {
      if (signal?.aborted) throw aborted(signal)
      const message = await this.#poll.until(
        () => this.#take(0),
        remaining(),
        () => !signal?.aborted,
      )
      if (message !== undefined) return message
      if (signal?.aborted) throw aborted(signal)
      this.#checkOpen() // or nothing would end the wait
      const limit = { timeout: end === Infinity ? -1 : remaining(), signal }
      if ((await this.#wait(limit)) !== 0) return undefined
      const late = this.#take(0)
      this.#poll.learn(performance.now() - start)
      if (late !== undefined) return late
    }
  }

  async #wait(limit: Limit): Promise<number> {
    try {
      return await waitFor(this.#map, limit, (...rest) => this.#native.readyAsync(...rest), this.#ends)
    } catch (error) {
      this.#checkOpen() // says so if `close` has ended it
      throw error
    }
  }
}
