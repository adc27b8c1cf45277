// Compares what writer.mjs has reported as durable with what is in the file.

import { existsSync, readFileSync } from 'node:fs'

const WORDS = 64

/** By file and slot, the number that the slot must have at least. */
export class Promised {
  readonly #files = new Map<string, number[]>()
  /** How many records were promised. */
  records = 0

  add(path: string, stdout: string): void {
    const least = this.#files.get(path) ?? []
    this.#files.set(path, least)
    // The last line may have been cut off.
    for (const line of stdout
      .slice(0, stdout.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)) {
      const [slot, count, number] = line.split(' ').map(Number) as [number, number, number]
      for (let i = slot; i < slot + count; i++) least[i] = Math.max(least[i] ?? 0, number)
      this.records += count
    }
  }

  /** What is missing in the file. `below` is more than any number that was written. */
  missing(below: number): string[] {
    return [...this.#files].flatMap(([path, least]) => {
      if (least.length === 0) return []
      if (!existsSync(path)) return [`${path} is not there`]
      const bytes = readFileSync(path)
      return least.flatMap((number, slot) => {
        const start = slot * WORDS * 8
        if (start + WORDS * 8 > bytes.length) return [`${path} ends before slot ${slot}, which has ${number}`]
        const words = new BigUint64Array(
          bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + start + WORDS * 8),
        )
        const wrong = words.find((word) => word < BigInt(number) || word >= BigInt(below))
        return wrong === undefined ? [] : [`${path}: slot ${slot} has ${wrong} and not ${number}`]
      })
    })
  }
}
