// How often tests do again what they do, where that only makes what is rare more likely.

/**
 * The second where the environment has `MEMORY_MAP_LONG`, as docs/testing.md says; else the first, which takes seconds.
 *
 * @template T @param {T} short @param {T} long @returns {T}
 */
export function orLong(short, long) {
  return process.env.MEMORY_MAP_LONG ? long : short
}
