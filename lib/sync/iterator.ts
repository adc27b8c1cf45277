// The messages of a channel, for `for await`.

/** What async generators inherit from. */
const AsyncIterator = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype) as object

interface Source {
  /** Whether nothing comes any more. */
  readonly closed: boolean
  /** A message that is there. */
  take(): Buffer | undefined
  /** The next one. */
  wait(): Promise<Buffer | undefined>
}

/**
 * Gives out messages until there are none any more. Where one is there it costs a promise: an async generator that
 * awaits it takes three turns of the queue of promises.
 */
export class Messages {
  #source: Source | undefined

  constructor(source: Source) {
    this.#source = source
  }

  static {
    Object.setPrototypeOf(this.prototype, AsyncIterator)
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const message = this.#source?.take()
      return message === undefined ? this.#wait() : Promise.resolve({ value: message, done: false })
    } catch (error) {
      return this.#end(error)
    }
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#source = undefined
    return Promise.resolve({ value: undefined, done: true })
  }

  async #wait(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const message = await this.#source?.wait()
      return message === undefined ? await this.return() : { value: message, done: false }
    } catch (error) {
      return await this.#end(error)
    }
  }

  #end(error: unknown): Promise<IteratorResult<Buffer, undefined>> {
    const isOver = this.#source?.closed !== false
    const end = this.return()
    return isOver ? end : Promise.reject(error)
  }
}
