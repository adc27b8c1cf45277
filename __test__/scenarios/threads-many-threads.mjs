// Two thousand threads that fault on one page, fifty at a time, lose only their stores.

import assert from 'node:assert'

import { mapAnonymous, pageSize } from '../../index.js'
import { fixture } from '../helpers/scenario.mjs'

const { startWriter } = fixture()
const memory = mapAnonymous(2 * pageSize, { onFault() {} })
memory.buffer.fill(9)
memory.protect('read', { length: pageSize })
for (let round = 0; round < 40; round++) {
  const page = memory.view(0, pageSize)
  await Promise.all(Array.from({ length: 50 }, () => startWriter(page, 0)))
  try {
    memory.check()
  } catch {}
  assert.ok(memory.buffer.every((byte) => byte === 9))
}
console.log('end')
