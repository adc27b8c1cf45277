// Looking for something on turns of the event loop before a thread waits for it.

import { now, setImmediate } from '../timers.js'

/**
 * How long to look, in milliseconds. To wake a thread and then an event loop takes about 0.1 ms, twice that for both sides;
 * looking for less than that time would stop just before the answer comes.
 */
const LIMIT = 0.5
/** How often to look on each turn: for a few microseconds, which other callbacks do not notice. */
const EACH = 64
/**
 * After how many messages in a row that were there when the first turn had passed to look only once before it, and how
 * often to look more often all the same. What this thread sends itself cannot come earlier, and looking takes longer than
 * all else then; what others send soon comes while it looks.
 */
const [LATE, AGAIN] = [4, 16]
/**
 * After how many turns to let other threads have the processor. The sender may wait for just this one: systems leave a
 * thread for a while on the processor that it last ran on, although another one is idle.
 */
const ALONE = 2
/** Another thread has run if that took longer, in milliseconds: then this one gives way at once the next time. */
const NOBODY = 0.002
/**
 * A wait that ends so soon, in milliseconds, after looking in vain, might have ended without it earlier: whoever was to
 * send had no processor meanwhile, perhaps because of the looking.
 */
const SOON = 5
/** What looking in vain costs where it was in the way, and where nothing came: it gains one when it finds something. */
const IN_THE_WAY = 9
const IN_VAIN = 2
/** The most that it can gain. */
const MOST_CREDIT = 18
/** For how many short waits it is given up when all is lost: twice as many each time. */
const [SHORTEST_PAUSE, LONGEST_PAUSE] = [4, 1024]

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Looks again and again for a while, and lets the event loop go on meanwhile. It does so while that pays: a process that
 * looks takes half a millisecond of a processor, which the sender may need, to save a tenth. So a wait that lasts costs
 * that a few times, and then nothing. Where both sides share a processor they take turns; where others need it too, a thread
 * waits instead.
 */
export class Poll {
  /** Has other threads run first that wait for this processor. */
  readonly #giveWay: () => void
  /** How many messages in a row were there when the first turn had passed, and not before. */
  #late = 0
  /** After how many turns. */
  #alone = ALONE
  #credit = IN_THE_WAY
  /** How many more short waits pass without looking, and how many it will be the next time. */
  #paused = 0
  #pause = SHORTEST_PAUSE

  constructor(giveWay: () => void) {
    this.#giveWay = giveWay
  }

  /** What `look` finds, for `most` milliseconds at most and while `goesOn`. */
  async until<T>(look: () => T | undefined, most: number, goesOn: () => boolean): Promise<T | undefined> {
    if (this.#paused > 0) return undefined
    let at = now()
    const end = at + Math.min(most, LIMIT)
    for (let turns = 0; ; turns++) {
      let found = look()
      const isLate = turns === 1 && found !== undefined
      // A look may itself wait for a process that is stopped while it looks: then one is enough.
      if (found === undefined && (turns > 0 || this.#looksBefore) && now() - at <= LIMIT) {
        for (let i = 1; i < EACH && found === undefined; i++) found = look()
      }
      if (found !== undefined) {
        this.#late = isLate ? this.#late + 1 : 0
        this.#gain()
        return found
      }
      if (at >= end) return undefined
      if (turns >= this.#alone && this.#isBusy()) {
        this.#lose(IN_THE_WAY)
        return look()
      }
      await turn()
      if (!goesOn()) return undefined
      at = now()
    }
  }

  /** Whether to look more than once before the first turn. */
  get #looksBefore(): boolean {
    return this.#late < LATE || this.#late % AGAIN === 0
  }

  /** Learns from a wait of so many milliseconds, in which `until` has found nothing. */
  learn(lasted: number): void {
    if (this.#paused === 0) this.#lose(lasted < SOON ? IN_THE_WAY : IN_VAIN)
    else if (lasted < LIMIT) this.#paused--
  }

  /** Gives way to other threads; whether they keep the processor for longer than it takes to be woken. */
  #isBusy(): boolean {
    const start = now()
    this.#giveWay()
    const lasted = now() - start
    this.#alone = lasted > NOBODY ? 0 : ALONE
    return lasted > LIMIT
  }

  #lose(credit: number): void {
    this.#credit -= credit
    if (this.#credit > 0) return
    this.#credit = 0
    this.#paused = this.#pause
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE)
  }

  #gain(): void {
    if (++this.#credit < MOST_CREDIT) return
    this.#credit = MOST_CREDIT
    this.#pause = Math.max(this.#pause / 2, SHORTEST_PAUSE)
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
    if (++this.#count % OFTEN === 0 && now() - this.#since > SPAN) this.isOver = true
    return this.isOver
  }

  /** Resolves on the next turn. */
  async rest(): Promise<void> {
    this.isOver = false
    await turn()
    this.#since = now()
  }
}
