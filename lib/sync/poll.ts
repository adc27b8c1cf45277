// Looking for something on turns of the event loop before a thread waits for it.

/**
 * How long to look, in milliseconds. To wake a thread and then an event loop takes about 0.1 ms, twice that for both sides;
 * looking for less than that time would stop just before the answer comes.
 */
const LIMIT = 0.5
/** How often to look on each turn: for some microseconds, which other callbacks do not notice. */
const EACH = 16
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
