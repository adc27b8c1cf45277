// Sending messages: the same for channels, queues and broadcasts.

import { copyOf } from '../buffers.js'
import type { NativeWait } from '../binding.js'
import { invalidType, outOfRange } from '../errors.js'
import { now } from '../timers.js'
import { toLimit, toMessage, toTimeout } from './arguments.js'
import { checkIdle, type Lifetime } from './lifetime.js'
import { Batch } from './messages.js'
import { call } from './pending.js'
import { Turns } from './turns.js'

/** The functions of the native library. */
export interface Sender {
  /** The longest message. */
  readonly max: number
  send(bytes: Uint8Array, timeout: number): boolean
  sendAsync(bytes: Uint8Array, timeout: number, wait: NativeWait): Promise<number>
}

/** Sends messages that lie one after the other in `bytes`; returns how many were sent. */
export type SendBatch = (bytes: Uint8Array, ends: Uint32Array, count: number, timeout: number) => number

/** Sends messages in the order of the calls. */
export class Sending {
  readonly #life: Lifetime
  readonly #native: Sender
  readonly #batch = new Batch()
  readonly turns = new Turns()

  constructor(life: Lifetime, behind: Sender) {
    this.#life = life
    this.#native = behind
  }

  send(data: unknown, timeout: unknown): boolean {
    const bytes = this.#message(data)
    const limit = toTimeout(timeout)
    this.checkIdle()
    return this.#send(bytes, limit)
  }

  trySend(data: unknown): boolean {
    const bytes = this.#message(data)
    return !this.turns.busy && this.#send(bytes, 0)
  }

  sendMany(messages: unknown, timeout: unknown, sendBatch: SendBatch): number {
    const limit = toTimeout(timeout)
    this.#life.check()
    if (typeof Object(messages)[Symbol.iterator] !== 'function') throw invalidType('messages', 'an Iterable', messages)
    const all: Uint8Array[] = []
    for (const message of messages as Iterable<unknown>) all.push(this.#message(message))
    this.checkIdle()
    const end = limit > 0 ? now() + limit : 0
    const remaining = (): number => (limit > 0 ? Math.max(0, end - now()) : limit)
    let sent = 0
    for (let next = 0; sent === next && next < all.length;) {
      next = this.#batch.pack(all, sent)
      if (next === sent) {
        sent += Number(this.#send(all[next++]!, remaining()))
      } else {
        const { bytes, ends } = this.#batch
        sent += call(this.#life.map, () => sendBatch(bytes, ends, next - sent, remaining()))
      }
    }
    return sent
  }

  async sendAsync(data: unknown, options: unknown): Promise<boolean> {
    const limit = toLimit(options)
    if (this.trySend(data)) return true
    // The caller may change its bytes meanwhile.
    const bytes = copyOf(this.#message(data))
    return await this.turns.run(limit, false, async (left) => {
      this.#life.check()
      return (await this.#life.wait(left, (...rest) => this.#native.sendAsync(bytes, ...rest))) === 0
    })
  }

  /** Throws if it was closed, and if this call would overtake a pending one. */
  checkIdle(): void {
    this.#life.check()
    checkIdle(this.turns.busy, 'An asynchronous call is pending to send or to reserve, and this would overtake it')
  }

  checkLength(length: number, name: string, value: unknown): number {
    const { max } = this.#native
    if (length > max) throw outOfRange(name, `at most ${max} bytes, those of the longest message`, value)
    return length
  }

  #message(data: unknown): Uint8Array {
    this.#life.check()
    const bytes = toMessage(data)
    this.checkLength(bytes.length, 'data', bytes.length)
    return bytes
  }

  #send(bytes: Uint8Array, timeout: number): boolean {
    return call(this.#life.map, () => this.#native.send(bytes, timeout))
  }
}
