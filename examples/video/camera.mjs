// The camera: draws a ball that moves to the right, into the shared memory.

import { mapShared } from 'memory-map'
import { Channel } from 'memory-map/sync'

import { BYTES, HEIGHT, WIDTH } from './format.mjs'

const [path, count] = process.argv.slice(2)
const frames = Channel.open(mapShared(path, { protection: 'read-write' }))
for (let number = 0; number < Number(count); number++) {
  const frame = frames.reserve(BYTES) // waits for room
  draw(frame, (number * 8) % WIDTH, HEIGHT / 2)
  frames.commit(frame)
}

function draw(frame, x, y) {
  frame.fill(16)
  for (let dy = -20; dy <= 20; dy++) {
    const half = Math.floor(Math.sqrt(400 - dy * dy))
    const row = (y + dy) * WIDTH
    frame.fill(235, row + Math.max(0, x - half), row + Math.min(WIDTH, x + half + 1))
  }
}
