// Mappings that are never closed are unmapped when they are collected.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { sleep, file, ours, settle } from './lifetimes.mjs'

fs.writeFileSync(file, Buffer.alloc(65536, 7))
for (let i = 0; i < 3000; i++) {
  const map = mapShared(file)
  if (i % 3 === 0) map.read(0, 8)
  if (i % 3 === 1) void map.buffer[5]
  if (i % 3 === 2) map.view(1, 2)
  if (i % 100 === 0) await sleep(0)
}
await settle(() => ours() < 3)
assert.ok(ours() < 3, ours() + ' are mapped still')
console.log('end')
