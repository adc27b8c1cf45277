// Stray stores all over a memory of which few pages were touched, and which is larger than what is saved for the rollback.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, mapPrivate, pageSize } from '../../index.js'
import { chance, makeFile, until } from '../helpers/scenario.mjs'

const MiB = 2 ** 20
const own = 100
/** @param {number} length @param {object} options */
const memory = (length, options) => mapAnonymous(length, options)
/** @param {number} length @param {object} options */
const ofFile = (length, options) => mapPrivate(makeFile(length), options)
const kinds = [
  { make: memory, length: 1200 * MiB, stores: 5000 },
  { make: memory, length: 8192 * MiB, stores: 20_000 },
  { make: ofFile, length: 1200 * MiB, stores: 5000 },
]
const resident = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]) / 1024

for (const { make, length, stores } of kinds) {
  let told = 0
  const onFault = ({ contained }) => {
    assert.ok(contained)
    told++
  }
  const map = make(length, { reserve: false, onFault })
  const random = chance(1)
  const places = Array.from({ length: own + stores }, () => random(length / pageSize) * pageSize)
  const touched = new Set(places.slice(0, own))
  for (const at of touched) map.view(at, 1)[0] = 7
  map.protect('read')
  const before = resident()
  for (const at of places) map.view(at, 1)[0] = 1
  // A page for each store, and what else a process takes.
  const taken = resident() - before
  assert.ok(taken < (stores * 2 * pageSize) / MiB + 100, `${taken} MiB`)
  await until(() => told === map.faults)
  for (const at of places) assert.strictEqual(map.view(at, 1)[0], touched.has(at) ? 7 : 0)
  map.close()
}
console.log('end')
