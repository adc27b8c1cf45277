// `tail -f`: shows what is appended to a file, and begins again if it was truncated.

import { statSync } from 'node:fs'
import { setInterval } from 'node:timers/promises'

import { mapShared } from 'memory-map'

const path = process.argv[2]
let { size: shown } = statSync(path)
console.log(`${path}: ${shown} bytes`)

for await (const _ of setInterval(100)) {
  const { size } = statSync(path)
  if (size < shown) {
    console.log('truncated')
    shown = 0
  }
  if (size === shown) continue
  const map = mapShared(path, { offset: shown, length: size - shown })
  try {
    process.stdout.write(map.read())
    shown = size
  } finally {
    map.close()
  }
}
