// Cycles of mapping, viewing and closing, in a loop that yields or does not.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { file, mapped, descriptors, collectTimes, settle } from './lifetimes.mjs'

const [cycles, size, yields] = JSON.parse(process.env.CYCLES)
fs.writeFileSync(file, '')
fs.truncateSync(file, size)
const before = { areas: mapped().length, rss: process.memoryUsage().rss, descriptors: descriptors() }
let most = { areas: 0, rss: 0, descriptors: 0 }
const sample = () => {
  most.areas = Math.max(most.areas, mapped().length)
  most.rss = Math.max(most.rss, process.memoryUsage().rss)
  most.descriptors = Math.max(most.descriptors, descriptors())
}
for (let i = 0; i < cycles; i++) {
  const map = mapShared(file)
  if (map.view(0, 16)[3] !== 0) throw new Error('wrong byte')
  map.close()
  if (i % Math.ceil(cycles / 50) === 0) sample()
  if (yields) await new Promise((resolve) => setImmediate(resolve))
}
sample()
await settle(() => mapped().length < before.areas + 1000)
await collectTimes(10)
const after = { areas: mapped().length, rss: process.memoryUsage().rss, descriptors: descriptors() }
const report = JSON.stringify({ before, most, after })
assert.ok(most.areas < before.areas + 4000, report)
assert.ok(most.descriptors < before.descriptors + 10, report)
// The runtime remembers each freed ArrayBuffer, with about 0.8 KB, until the loop yields.
assert.ok(most.rss < before.rss + 400e6 + cycles * 2000, report)
assert.ok(after.areas < before.areas + 1000, report)
assert.ok(after.descriptors < before.descriptors + 10, report)
// 30 to 40 MB are the runtime's own.
assert.ok(after.rss < before.rss + Math.min(300e6, Math.max(120e6, cycles * 3000)), report)
console.log('end')
