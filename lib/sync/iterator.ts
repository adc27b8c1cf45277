// The messages of a channel or of a receiver of a broadcast, for `for await`.

import type { Limit } from './arguments.js'
import type { Receiving } from './receiving.js'

/** What async generators inherit from. */
const AsyncIterator = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype) as object

const FOR_EVER: Limit = { timeout: -1, signal: undefined }

/**
 * Gives out the messages that `look` finds, until there will be no more. A message that is there costs one promise: an
 * async generator would wait three turns of the microtask queue for it.
 */
export class Messages {
  /** Undefined when the loop is over. */
  #receiving: Receiving | undefined
  readonly #look: () => Buffer | undefined

  constructor(receiving: Receiving, look: () => Buffer | undefined) {
    this.#receiving = receiving
    this.#look = look
  }

  static {
    Object.setPrototypeOf(this.prototype, AsyncIterator)
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const message = this.#receiving?.now(this.#look)
      return message === undefined ? this.#wait() : Promise.resolve({ value: message, done: false })
    } catch (error) {
      return this.#end(error)
    }
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#receiving = undefined
    return Promise.resolve({ value: undefined, done: true })
  }

  async #wait(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const message = await this.#receiving?.wait(FOR_EVER, this.#look)
      return message === undefined ? await this.return() : { value: message, done: false }
    } catch (error) {
      return await this.#end(error)
    }
  }

  #end(error: unknown): Promise<IteratorResult<Buffer, undefined>> {
    const isOver = this.#receiving?.closed !== false
    const end = this.return()
    return isOver ? end : Promise.reject(error)
  }
}
