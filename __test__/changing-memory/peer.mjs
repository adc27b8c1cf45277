// The process that changes the memory: stores to the file what the control file says, whole and in pieces, and truncates
// it. Ends with its parent.
//
//     node peer.mjs DATA CONTROL

import fs from 'node:fs'

import { random as randomFrom } from '../helpers/random.mjs'

const { mapShared } = await import(
  new URL('index.js', process.env.MEMORY_MAP_ROOT ?? new URL('../../', import.meta.url)).href
)

const [data, control] = process.argv.slice(2)
const told = mapShared(control, { protection: 'read' }).buffer
const memory = mapShared(data, { protection: 'read-write', onFault() {} }).buffer
const descriptor = fs.openSync(data, 'r+')
const random = randomFrom(1)

for (;;) {
  // What is at hand: its length, whether to truncate, and the two texts.
  const length = told.readUInt32LE(0)
  const truncates = told[4] === 1
  if (length === 0) break
  const texts = [told.subarray(64, 64 + length), told.subarray(64 + length, 64 + 2 * length)]
  for (let i = 0; i < 8; i++) {
    if (truncates) {
      fs.ftruncateSync(descriptor, random(3) * (length >> 2))
      fs.ftruncateSync(descriptor, memory.length)
    }
    memory.set(texts[i % 2])
    const [from, to] = [random(length), random(length)].sort((a, b) => a - b)
    memory.set(texts[(i + 1) % 2].subarray(from, to), from)
  }
  if (process.ppid === 1) break
}
process.exit()
