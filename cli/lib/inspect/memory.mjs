// Words of shared memory, and who is alive.

import { fstatSync } from 'node:fs'

import { participants } from '../processes.mjs'

/** Bytes that are looked through at a time. */
const BLOCK = 2 ** 20

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
    const words = new Set((this.#participants?.ofFile ?? []).flatMap((number) => [number * 4n + 2n, number * 4n + 3n]))
    if (words.size === 0) return []
    const isLowest = new Uint8Array(2 ** 16)
    for (const word of words) isLowest[Number(word & 0xffffn)] = 1
    return this.wordsWith((lowest) => isLowest[lowest] === 1).filter((at) => words.has(this.word(at)))
  }

  /** Where bytes occur at multiples of `alignment` in memory. They should be rare: each is a search of its own. */
  occurrences(bytes, alignment) {
    const found = []
    for (let at = this.map.indexOf(bytes); at !== -1; at = this.map.indexOf(bytes, at + 1)) {
      if (at % alignment === 0) found.push(at)
    }
    return found
  }

  /** Where the words are whose lowest and highest two bytes pass a test. */
  wordsWith(passes) {
    const found = []
    const end = this.length - (this.length % 8)
    for (let start = 0; start < end; start += BLOCK) {
      const halves = this.map.readTyped(Uint16Array, start, Math.min(BLOCK, end - start) / 2)
      for (let i = 0; i < halves.length; i += 4) if (passes(halves[i], halves[i + 3])) found.push(start + 2 * i)
    }
    return found
  }
}
