// A read() of good bytes is whole while other threads fault elsewhere in the mapping.

import assert from 'node:assert'

import { mapShared, pageSize } from '../../index.js'
import { fixture, makeFile, sleep } from '../helpers/scenario.mjs'

const good = 16 * 2 ** 20
const path = makeFile(Buffer.alloc(good + pageSize, 7))
const map = mapShared(path, { onFault() {} })
const bad = map.view(good, pageSize)
const expected = Buffer.alloc(good, 7)
for (let rounds = 0, tries = 0; map.faults < 2; tries++) {
  assert.ok(tries < 60, 'the other thread does not fault')
  let running = true
  fixture()
    .startWriter(bad, 1000)
    .then(() => (running = false))
  do {
    assert.ok(map.read(0, good).equals(expected), 'bytes are missing in round ' + rounds)
    rounds++
    if (rounds % 8 === 0) await sleep(0)
  } while (running)
}
console.log('end')
