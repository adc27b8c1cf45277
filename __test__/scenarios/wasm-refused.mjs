// The error on a runtime whose memories can move says so, and the memory is left alone.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapPrivate } from '../../index.js'
import { check, folder } from '../helpers/observe.mjs'

const path = join(folder(), 'file')
fs.writeFileSync(path, Buffer.alloc(65536, 65))
const memory = new WebAssembly.Memory({ initial: 1 })
const map = mapPrivate(path)
let refused
try {
  map.into(memory, 0)
} catch (error) {
  refused = error
}
check(refused?.code === 'ERR_MMAP_UNSUPPORTED' && /Bun's .* can move/.test(refused.message), refused)
check(
  new Uint8Array(memory.buffer).every((byte) => byte === 0),
  'the memory is as it was',
)
new Uint8Array(memory.buffer).set(map.view(), 0)
check(new Uint8Array(memory.buffer)[65535] === 65, 'what the message advises works')

// Why: a memory that is not among the first few is copied to another place when it grows, which nothing tells before.
// Once this fails, see whether Bun can be supported.
const addressOf = (one) => ptr(new Uint8Array(one.buffer))
const { ptr } = await import('bun:ffi')
const all = Array.from({ length: 40 }, () => new WebAssembly.Memory({ initial: 1 }))
const moved = all.filter((one) => {
  const before = addressOf(one)
  one.grow(50)
  return addressOf(one) !== before
})
check(moved.length > 0, 'memories move')
console.log('reached the end')
