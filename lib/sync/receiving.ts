// Waiting for messages: the same for channels, queues and the receivers of broadcasts.

import type { NativeWait } from '../binding.js'
import { aborted, resizedError } from '../errors.js'
import { now } from '../timers.js'
import { type Limit, toCount, toLimit, toTimeout } from './arguments.js'
import { checkIdle, type Lifetime } from './lifetime.js'
import { native, placeOf, tokenOf } from './main.js'
import { Pace, Poll } from './poll.js'
import { Turns } from './turns.js'

/** Receives messages in the order of the calls. */
export class Receiving {
  readonly #life: Lifetime
  /** Waits until there may be a message: 0, or another number where there is none in time. */
  readonly #ready: (timeout: number, wait: NativeWait) => Promise<number>
  readonly #poll = new Poll(() => native.ipcYield())
  readonly #pace = new Pace()
  readonly turns = new Turns()

  constructor(life: Lifetime, ready: (timeout: number, wait: NativeWait) => Promise<number>) {
    this.#life = life
    this.#ready = ready
  }

  /** Whether nothing comes any more. */
  get closed(): boolean {
    return this.#life.closed
  }

  /** Throws if it was closed, and where this call would overtake one that is pending. */
  checkIdle(): void {
    this.#life.check()
    checkIdle(this.turns.busy, 'An asynchronous call is pending, and the next message is for that')
  }

  /** The arguments of `receiveMany`, once it may receive. */
  toMany(most: unknown, timeout: unknown): [most: number, timeout: number] {
    const many: [number, number] = [toCount(most, 'most', 1), toTimeout(timeout)]
    this.checkIdle()
    return many
  }

  /** Whether the next message is for a call that is pending. Throws if there is one, and it was closed. */
  get isAwaited(): boolean {
    if (!this.turns.busy) return false
    this.#life.check()
    return true
  }

  /** A message that `look` finds now, unless the event loop is to go on first, or a call is pending. */
  now<T>(look: () => T | undefined): T | undefined {
    return this.#pace.isDue || this.isAwaited ? undefined : look()
  }

  /** The next message that `look` finds; undefined if there is none in time. */
  async get<T>(options: unknown, look: () => T | undefined): Promise<T | undefined> {
    const limit = toLimit(options)
    return this.now(look) ?? (await this.wait(limit, look))
  }

  /** The same, after `now` was asked. */
  wait<T>(limit: Limit, look: () => T | undefined): Promise<T | undefined> {
    const place = placeOf(this.#life.map)
    return this.turns.run(limit, undefined, (left) => this.#next(left, place, look))
  }

  /** Waits for a message: first on turns of the event loop, then on a thread. */
  async #next<T>({ timeout, signal }: Limit, place: unknown, look: () => T | undefined): Promise<T | undefined> {
    this.#checkPlace(place)
    if (this.#pace.isOver) {
      await this.#pace.rest()
      if (signal?.aborted) throw aborted(signal)
      this.#checkPlace(place)
      const message = look()
      if (message !== undefined) return message
    }
    const start = now()
    const end = timeout < 0 ? Infinity : start + timeout
    for (;;) {
      const remaining = Math.max(0, end - now())
      const goesOn = () => !signal?.aborted && placeOf(this.#life.map) === place
      const message = await this.#poll.until(look, remaining, goesOn)
      if (message !== undefined) return message
      if (signal?.aborted) throw aborted(signal)
      this.#checkPlace(place)
      this.#life.check() // or nothing would end the wait
      const limit = { timeout: end === Infinity ? -1 : Math.max(0, end - now()), signal }
      if ((await this.#life.wait(limit, this.#ready)) !== 0) return undefined
      if (signal?.aborted) throw aborted(signal) // in the moment in which there was one: it is left to others
      const late = look()
      this.#poll.learn(now() - start)
      if (late !== undefined) return late
    }
  }

  /** Throws if the mapping is not where it was when the call began, as a wait on a thread does that was under way. */
  #checkPlace(place: unknown): void {
    if (placeOf(this.#life.map) === place) return
    tokenOf(this.#life.map) // throws if the mapping is closed
    throw resizedError()
  }
}
