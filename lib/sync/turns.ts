// Operations that are started together and run one after the other.

import { aborted } from '../errors.js'
import { onAbort } from '../signal.js'
import { clearTimeout, now, setTimeout } from '../timers.js'
import type { Limit } from './arguments.js'

/** The longest delay that a timer accepts; it would take a longer one for none. */
export const LONGEST = 2 ** 31 - 1

/** Runs operations in the order of the calls, each when the one before has ended. */
export class Turns {
  /** Settles with the last operation, and never rejects. */
  #last: Promise<void> | undefined

  /** Whether an operation is under way. */
  get busy(): boolean {
    return this.#last !== undefined
  }

  /** Resolves when the operations that are under way have ended, with or without an error. */
  get ended(): Promise<void> {
    return this.#last ?? Promise.resolve()
  }

  /** Runs an operation in its turn, with what is left of its timeout; gives `late` if nothing is left when it could begin. */
  run<T>(limit: Limit, late: T, operation: (limit: Limit) => Promise<T>): Promise<T> {
    const before = this.#last
    if (before === undefined) return this.#track(operation(limit))
    const { timeout, signal } = limit
    const start = now()
    return new Promise<T>((resolve, reject) => {
      let waiting = true
      const leave = (): void => {
        waiting = false
        clearTimeout(timer)
        forget?.()
      }
      const giveUp = (): void => {
        leave()
        resolve(late)
      }
      const forget = onAbort(signal, () => {
        leave()
        reject(aborted(signal!))
      })
      const timer = timeout < 0 || timeout > LONGEST ? undefined : setTimeout(giveUp, timeout)
      const turn = before.then(() => {
        if (!waiting) return late
        leave()
        const remaining = timeout < 0 ? -1 : Math.max(0, timeout - (now() - start))
        return operation({ timeout: remaining, signal })
      })
      // The turn ends before the caller gets the result.
      this.#track(turn).then(resolve, reject)
    })
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    const done = (): void => {
      if (this.#last === last) this.#last = undefined
    }
    const last: Promise<void> = promise.then(done, done)
    this.#last = last
    return promise
  }
}
