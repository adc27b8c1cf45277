// `tail -F`: shows the lines that are appended to a file, once they are whole. If the file is truncated, or another one
// gets its name, it begins again.

import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { setInterval } from 'node:timers/promises'

import { mapShared } from 'memory-map'

const path = process.argv[2]
let file = openSync(path, 'r')
let { size: shown } = fstatSync(file)
console.log(`${path}: ${shown} bytes`)

function showNew() {
  const { size } = fstatSync(file)
  if (size < shown) {
    console.log('truncated')
    shown = 0
  }
  const map = mapShared(file, { offset: shown, length: size - shown })
  try {
    const end = map.lastIndexOf('\n') + 1
    process.stdout.write(map.read(0, end))
    shown += end
  } finally {
    map.close()
  }
}

function isReplaced() {
  const [named, open] = [statSync(path), fstatSync(file)]
  return named.ino !== open.ino || named.dev !== open.dev
}

for await (const _ of setInterval(100)) {
  try {
    const wasReplaced = isReplaced()
    showNew() // also what was appended before the file lost its name
    if (!wasReplaced) continue
    const next = openSync(path, 'r')
    closeSync(file)
    file = next
    shown = 0
    console.log('replaced')
    showNew()
  } catch (error) {
    // Nothing has the name yet, or the file was truncated since its size was asked for: look again.
    if (!['ENOENT', 'ERR_MMAP_BEYOND_END', 'ERR_MMAP_FAULT'].includes(error.code)) throw error
  }
}
