// What programs do with numbers. Each process runs these over one kind of memory only.

import { generator } from './statistics.mjs'

export function sum(numbers) {
  let total = 0
  for (let i = 0; i < numbers.length; i++) total += numbers[i]
  return total
}

/** Loads elements all over the place, as limits.c does. */
export function randomly(numbers, count) {
  const next = generator()
  const scale = numbers.length / 2 ** 32
  let total = 0
  for (let i = 0; i < count; i++) total += numbers[Math.floor(next() * scale)]
  return total
}

/** As `randomly`, over pieces of the same length. */
export function randomlyInPieces(pieces, total, count) {
  const next = generator()
  const scale = total / 2 ** 32
  const length = pieces[0].length
  let sum = 0
  for (let i = 0; i < count; i++) {
    const at = Math.floor(next() * scale)
    sum += pieces[Math.floor(at / length)][at % length]
  }
  return sum
}

/** Calls `load` with byte offsets of elements all over the place. */
export function randomCalls(load, size, count) {
  const next = generator()
  const scale = size / 8 / 2 ** 32
  let total = 0
  for (let i = 0; i < count; i++) total += load(Math.floor(next() * scale) * 8)
  return total
}
