// Looking for something on turns of the event loop before a thread waits for it.

/**
 * How long to look, in milliseconds. To wake a thread and then an event loop takes about 0.1 ms, twice that for both sides;
 * looking for less than that time would stop just before the answer comes.
 */
const LIMIT = 0.5
/** How often to look on each turn: for a few microseconds, which other callbacks do not notice. */
const EACH = 64
/** How many waits that were short, or half as many that were long, it takes to think otherwise. */
const MEMORY = 4

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Looks again and again for a while, and lets the event loop go on meanwhile. It does so while the waits before were
 * short, however they ended: so a wait that lasts costs half a millisecond of a processor at first, and then nothing.
 */
export class Poll {
  /** Above 0 where the waits were short. */
  #score = 1

  /** What `look` finds, for `most` milliseconds at most and while `goesOn`. */
  async until<T>(look: () => T | undefined, most: number, goesOn: () => boolean): Promise<T | undefined> {
    if (this.#score <= 0) return undefined
    const end = performance.now() + Math.min(most, LIMIT)
    do {
      for (let i = 0; i < EACH; i++) {
        const found = look()
        if (found !== undefined) return found
      }
      await turn()
    } while (goesOn() && performance.now() < end)
    return look()
  }

  /** Learns how long a wait has lasted, in milliseconds. */
  learn(lasted: number): void {
    this.#score = lasted < LIMIT ? Math.min(this.#score + 1, MEMORY) : Math.max(this.#score - 2, -MEMORY)
  }
}

/** How long messages are given out without a turn of the event loop, in milliseconds. */
const SPAN = 0.5
/** After how many messages to ask for the time, which takes longer than a look. */
const OFTEN = 8

/** Has the event loop go on while messages come faster than they are used: promises alone would hold it up. */
export class Pace {
  #count = 0
  #since = 0
  /** Whether the time is up. */
  isOver = false

  /** Counts a message; whether the event loop is to go on before it. */
  get isDue(): boolean {
    if (++this.#count % OFTEN === 0 && performance.now() - this.#since > SPAN) this.isOver = true
    return this.isOver
  }

  /** Resolves on the next turn. */
  async rest(): Promise<void> {
    this.isOver = false
    await turn()
    this.#since = performance.now()
  }
}
