// How long a channel, a queue, a broadcast or a receiver is open, and the waits that end with it.

import { closedError, withCode } from '../errors.js'
import type { Limit } from './arguments.js'
import type { MemoryMap } from './main.js'
import { waitFor } from './pending.js'

/** From when it is made here until `close()`, of it or of its mapping. */
export class Lifetime {
  readonly map: MemoryMap<any>
  readonly #what: string
  /** What ends the waits. */
  readonly #ends = new Set<() => void>()
  #closed = false

  constructor(map: MemoryMap<any>, what: string) {
    this.map = map
    this.#what = what
  }

  get closed(): boolean {
    return this.#closed || this.map.closed
  }

  /** Throws if it was closed, or its mapping. */
  check(): void {
    if (this.#closed) throw withCode(new Error(`The ${this.#what} is closed`), 'ERR_MMAP_CLOSED')
    if (this.map.closed) throw closedError()
  }

  /** Ends all waits. Returns whether it was open. */
  close(): boolean {
    if (this.#closed) return false
    this.#closed = true
    for (const end of this.#ends) end()
    return true
  }

  async wait(limit: Limit, start: Parameters<typeof waitFor>[2]): Promise<number> {
    try {
      return await waitFor(this.map, limit, start, this.#ends)
    } catch (error) {
      this.check() // says so if `close` has ended it
      throw error
    }
  }
}

/** Throws where another call is pending that this one would overtake. */
export function checkIdle(isBusy: boolean, message: string): void {
  if (isBusy) throw withCode(new Error(message), 'ERR_MMAP_BUSY')
}

/** Closes all of them, then throws the first error there was. */
export function closeAll(all: Iterable<{ close(): void } | undefined>): void {
  const errors: unknown[] = []
  for (const one of all) {
    try {
      one?.close()
    } catch (error) {
      errors.push(error) // its memory may be gone
    }
  }
  if (errors.length > 0) throw errors[0]
}
