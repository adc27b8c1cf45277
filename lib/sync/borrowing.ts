// Messages that are used where they lie in the ring: the same for channels and the receivers of broadcasts.

import { invalidValue } from '../errors.js'
import { toTimeout } from './arguments.js'
import type { Lifetime } from './lifetime.js'
import { call } from './pending.js'
import type { Receiving } from './receiving.js'

/** What the native library does. */
export interface Lender {
  borrow(timeout: number): number[] | null
  release(offset: number): boolean
  /** Has the message that was borrowed last be received again. */
  putBack(offset: number): void
}

/** What must not be collected while its messages are in use: others would take it for dead. */
const lenders = new WeakMap<Buffer, Lender>()

/** Borrows messages, in turn with what else receives, until they are released. */
export class Borrowing {
  readonly #life: Lifetime
  readonly #receiving: Receiving
  readonly #native: Lender
  /** Where in the mapping the Buffers are. */
  readonly #borrowed = new Map<Buffer, number>()

  constructor(life: Lifetime, receiving: Receiving, behind: Lender) {
    this.#life = life
    this.#receiving = receiving
    this.#native = behind
  }

  /** How many are not released. */
  get count(): number {
    return this.#borrowed.size
  }

  borrow(timeout: unknown): Buffer | undefined {
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#take(limit)
  }

  tryBorrow(): Buffer | undefined {
    return this.#receiving.isAwaited ? undefined : this.borrow(0)
  }

  borrowAsync(options: unknown): Promise<Buffer | undefined> {
    return this.#receiving.get(options, () => {
      this.#life.check()
      return this.#take(0)
    })
  }

  release(borrowed: Buffer): void {
    const offset = this.#borrowed.get(borrowed)
    if (offset === undefined) {
      throw invalidValue('borrowed', borrowed, 'must be a Buffer that `borrow` returned and that is not released')
    }
    this.#borrowed.delete(borrowed)
    call(this.#life.map, () => this.#native.release(offset))
  }

  /** Forgets all: they are not to be used any more. */
  clear(): void {
    this.#borrowed.clear()
  }

  #take(timeout: number): Buffer | undefined {
    const { map } = this.#life
    const place = call(map, () => this.#native.borrow(timeout))
    if (!place) return undefined
    const [offset, length] = place as [number, number]
    let buffer: Buffer
    try {
      buffer = map.view(offset, length)
    } catch (error) {
      this.#native.putBack(offset)
      throw error
    }
    this.#borrowed.set(buffer, offset)
    lenders.set(buffer, this.#native)
    return buffer
  }
}
