// `faults` still counts after the memory of a closed mapping has been collected.

import assert from 'node:assert'

import { mapAnonymous, pageSize } from '../../index.js'
import { gc, sleep } from '../helpers/scenario.mjs'

const map = mapAnonymous(pageSize, { protection: 'none', onFault() {} })
function load() {
  return new Uint8Array(map.arrayBuffer)[0]
}
assert.strictEqual(load(), 0)
map.close()
for (let i = 0; i < 30; i++) {
  gc()
  await sleep(5)
}
assert.strictEqual(map.faults, 1)
console.log('end')
