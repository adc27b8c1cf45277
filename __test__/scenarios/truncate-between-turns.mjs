// Thousands of truncations between two turns of the event loop are contained.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared, pageSize } from '../../index.js'
import { areasIn, makeFile, until } from '../helpers/scenario.mjs'

const pages = 10_000
const path = makeFile(pages * pageSize)
let told = 0
const map = mapShared(path, { protection: 'read-write', onFault: () => told++ })
const { buffer } = map
const fd = fs.openSync(path, 'r+')
for (let page = pages - 1; page >= 0; page--) {
  fs.ftruncateSync(fd, page * pageSize)
  buffer[page * pageSize] = 1
}
assert.ok(areasIn(map) < 100)
await until(() => told > 0)
fs.ftruncateSync(fd, pages * pageSize)
assert.ok(!buffer.includes(1), 'all stores were thrown away')
buffer[0] = 1
assert.strictEqual(fs.readFileSync(path)[0], 1)
console.log('end')
