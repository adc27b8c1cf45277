// Writes vectors.f32: 50,000 vectors of 128 numbers, one after the other. 7, 77 and 777 are close to each other.

import { writeFileSync } from 'node:fs'

const COUNT = 50_000
const DIMENSIONS = 128
const matrix = new Float32Array(COUNT * DIMENSIONS)
let state = 1
for (let at = 0; at < matrix.length; at++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  matrix[at] = state / 2 ** 31 - 1
}
for (const like of [77, 777]) {
  for (let at = 0; at < DIMENSIONS; at++) {
    matrix[like * DIMENSIONS + at] = matrix[7 * DIMENSIONS + at] + (like / 10_000) * Math.sin(at)
  }
}
writeFileSync('vectors.f32', matrix)
console.log(`vectors.f32: ${COUNT} vectors of ${DIMENSIONS} numbers`)
