// Numbers that look random and are the same in every run, so that what fails once fails again.

/**
 * Whole numbers from 0 to before `below` (mulberry32).
 *
 * @param {number} seed @returns {(below: number) => number}
 */
export function random(seed) {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
