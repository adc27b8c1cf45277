// Records the frames of a camera, which is another process, to video.y4m. A frame is drawn into the shared memory and
// written to the file from there.

import { spawn } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { mapShared } from 'memory-map'
import { Channel } from 'memory-map/sync'

import { BYTES, HEIGHT, WIDTH } from './format.mjs'

const count = Number(process.argv[2] ?? 50)
const map = mapShared('frames.ring', { create: true, length: 10 * BYTES, protection: 'read-write' })
const video = openSync('video.y4m', 'w')
try {
  const frames = Channel.create(map) // has room for some frames: the camera waits while it is full
  const camera = fileURLToPath(new URL('camera.mjs', import.meta.url))
  spawn(process.execPath, [camera, 'frames.ring', String(count)], { stdio: 'inherit' })

  writeSync(video, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F25:1 Ip Cmono\n`)
  for (let number = 0; number < count; number++) {
    const frame = frames.borrow(60_000) // a view of the shared memory
    if (frame === undefined) throw new Error('no frame came in a minute')
    writeSync(video, 'FRAME\n')
    writeSync(video, frame)
    frames.release(frame)
  }
  console.log(`video.y4m: ${count} frames of ${WIDTH} × ${HEIGHT}`)
} finally {
  closeSync(video)
  map.close()
  rmSync('frames.ring')
}
