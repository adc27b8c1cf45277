// A store to a read-only mapping that is larger than the memory of the machine is contained.

import assert from 'node:assert'

import { mapPrivate, mapShared } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

for (const make of [mapShared, mapPrivate]) {
  let told = 0
  const map = make(makeFile(2 ** 40), { protection: 'read', onFault: () => told++ })
  const view = map.view(2 ** 39, 10)
  view[0] = 1
  await until(() => told === 1)
  assert.strictEqual(view[0], 0)
  map.close()
}
console.log('end')
