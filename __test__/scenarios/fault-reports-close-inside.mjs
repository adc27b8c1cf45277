// close() inside onFault, and a fault after it in another mapping.

import assert from 'node:assert'

import { mapAnonymous, pageSize } from '../../index.js'
import { until } from '../helpers/scenario.mjs'

const told = []
const make = (name) => {
  const map = mapAnonymous(4 * pageSize, {
    protection: 'read',
    onFault() {
      told.push(name)
      map.close()
    },
  })
  return map
}
const maps = ['a', 'b', 'c'].map(make)
const views = maps.map(({ buffer }) => buffer)
for (const view of views) view[0] = 1
await until(() => told.length === 3)
assert.deepStrictEqual(told.sort(), ['a', 'b', 'c'])
assert.ok(maps.every((map) => map.closed && map.faults === 1))
assert.ok(views.every((view) => view.length === 0))
const again = make('d')
again.buffer[0] = 1
await until(() => told.length === 4)
console.log('end')
