// Words of shared memory, and who is alive.

import { fstatSync } from 'node:fs'

import { participants } from '../processes.mjs'

export class Memory {
  #participants

  constructor(map) {
    this.map = map
    this.#participants = map.fd === undefined ? undefined : participants(fstatSync(map.fd).ino)
  }

  get length() {
    return this.map.length
  }

  get knowsAlive() {
    return this.#participants !== undefined
  }

  word(offset) {
    return this.map.read(offset, 8).readBigUInt64LE()
  }

  /** `count` words from an offset on. */
  words(offset, count) {
    const bytes = this.map.read(offset, 8 * count)
    return Array.from({ length: count }, (_, i) => bytes.readBigUInt64LE(8 * i))
  }

  /** A participant by its number: its process, where that may be seen. */
  participant(number) {
    if (number === 0n) return undefined
    const alive = this.#participants?.alive.has(number) ?? 'unknown'
    return { number, alive, pid: this.#participants?.alive.get(number) }
  }

  /** The state of a lock of eight bytes. */
  lock(offset) {
    const word = this.word(offset)
    const isHeld = (word & 2n) === 2n
    return { offset, owner: isHeld ? this.participant(word >> 2n) : undefined, contended: isHeld && (word & 1n) === 1n }
  }

  /** Whether a thread may sleep until an event of eight bytes. */
  maySleep(offset) {
    return (this.word(offset) & 1n) === 1n
  }

  /** Where the words are that say that a living participant holds a mutex. */
  heldWords() {
    return (this.#participants?.ofFile ?? []).flatMap((number) =>
      [2n, 3n].flatMap((state) => {
        const bytes = Buffer.alloc(8)
        bytes.writeBigUInt64LE(number * 4n + state)
        return this.occurrences(bytes, 8)
      }),
    )
  }

  /** Where bytes occur at multiples of `alignment` in memory, or so many bytes behind one. */
  occurrences(bytes, alignment, behind = 0) {
    const found = []
    for (let at = this.map.indexOf(bytes); at !== -1; at = this.map.indexOf(bytes, at + 1)) {
      if (at % alignment === behind) found.push(at - behind)
    }
    return found
  }
}
