// Stores to thousands of read-only ranges between two turns of the event loop are contained.

import assert from 'node:assert'

import { mapAnonymous, pageSize } from '../../index.js'
import { until } from '../helpers/scenario.mjs'

const ranges = 10_000
let told = 0
const map = mapAnonymous(2 * ranges * pageSize, { onFault: () => told++ })
const { buffer } = map
for (let i = 0; i < ranges; i++) {
  buffer[2 * i * pageSize] = 7
  map.protect('read', { offset: 2 * i * pageSize, length: pageSize })
}
for (let i = 0; i < ranges; i++) buffer[2 * i * pageSize] = 1
await until(() => told > 0)
for (let i = 0; i < ranges; i++) assert.strictEqual(buffer[2 * i * pageSize], 7)
console.log('end')
