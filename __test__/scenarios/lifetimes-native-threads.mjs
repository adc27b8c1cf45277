// A native thread reads and stores through a buffer that is closed meanwhile.

import assert from 'node:assert'
import fs from 'node:fs'
import { createRequire } from 'node:module'

import { mapShared } from '../../index.js'
import { collect, sleep, file, ours, areMapped, collectTimes } from './lifetimes.mjs'

const { startReader, startWriter, finishPasses } = createRequire(import.meta.url)(process.env.FIXTURE)
const old = Buffer.alloc(2 ** 20, 7)
fs.writeFileSync(file, old)
const addresses = []
const work = []
const ended = []
for (let i = 0; i < 20; i++) {
  const map = mapShared(file, { protection: 'read-write' })
  addresses.push(map.address)
  const index = work.push((i % 2 ? startReader : startWriter)(map.buffer, 60_000)) - 1
  work[index].then(() => (ended[index] = true))
  map.close()
  fs.truncateSync(file, 0)
  fs.writeFileSync(file, old)
}
assert.strictEqual(ours(), 0, 'the file is no longer mapped')
collect()
await sleep(50)
// A thread that is done is told of on this thread: until then its addresses are in use.
const inUse = addresses.filter((_, index) => !ended[index])
assert.ok(areMapped(inUse), 'the addresses wait for the threads')
// New mappings of the same size do not get them meanwhile.
const others = Array.from({ length: 50 }, () => mapShared(file))
assert.ok(others.every((map) => !inUse.includes(map.address)))
finishPasses()
assert.ok((await Promise.all(work)).every((passes) => passes > 0))
others.forEach((map) => map.close())
assert.ok(fs.readFileSync(file).equals(old), 'no store after the close reached the file')
await collectTimes(5)
console.log('end')
