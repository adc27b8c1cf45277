// Lines of a mapping, cut from it without a copy.

import { MemoryFaultError } from './errors.js'

/** How many lines are fetched at a time. */
const BATCH = 2048

/** What has lines. */
export interface Text<T> {
  /**
   * Puts where the lines of a range begin and end into `bounds`, by turns, and where the one after them begins
   * into its last element; says how many lines those are. What comes after the last `\n` is no line here.
   */
  fill(start: number, end: number, bounds: Float64Array): number
  /** The bytes of a range. */
  cut(start: number, end: number): T
  /** How many bytes can be cut at most. */
  readonly longest: number
}

/** The lines of a range; what comes after the last `\n` is one too, unless it is nothing. */
export function* lines<T>(text: Text<T>, start: number, end: number): Generator<T, void, undefined> {
  const bounds = new Float64Array(2 * BATCH + 1)
  while (start < end) {
    const limit = Math.min(end, start + text.longest)
    let count: number
    let fault: MemoryFaultError | undefined
    try {
      count = text.fill(start, limit, bounds)
    } catch (error) {
      if (!(error instanceof MemoryFaultError)) throw error
      // The lines before the page that failed are good.
      fault = error
      count = text.fill(start, Math.max(start, Math.min(limit, fault.fault.offset)), bounds)
    }
    for (let i = 0; i < count; i++) yield text.cut(bounds[2 * i]!, bounds[2 * i + 1]!)
    if (fault !== undefined) throw fault
    start = bounds[2 * BATCH]!
    if (count === BATCH) continue
    // There is no other `\n` before the limit.
    if (limit === end) {
      if (start < end) yield text.cut(start, end)
      return
    }
    if (count === 0) text.cut(start, limit + 1) // is too large, and says so
  }
}
