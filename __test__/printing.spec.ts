// What is printed of mappings, and of what has their methods.

import { inspect } from 'node:util'

import test from 'ava'
import * as main from 'memory-map'
import * as sync from 'memory-map/sync'

test('a failing assertion about a mapping, open or closed, prints the mapping', async (t) => {
  const map = main.mapAnonymous(10)
  for (const close of [false, true]) {
    if (close) map.close()
    for (const fails of [
      (tt: typeof t) => tt.is(map, undefined as never),
      (tt: typeof t) => tt.deepEqual({ map }, { map: 1 } as never),
      (tt: typeof t) => tt.like({ map }, { map: { length: 11 } } as never),
    ]) {
      const { passed, errors } = await t.try(fails).then((attempt) => (attempt.discard(), attempt))
      t.false(passed)
      t.deepEqual(
        errors.map(({ name }) => name),
        ['AssertionError'],
      )
    }
  }
})

test('an object that has only the methods of a class prints without fields', (t) => {
  for (const [name, value] of Object.entries({ ...main, ...sync })) {
    if (typeof value !== 'function' || !/^[A-Z]/.test(name) || Error.isPrototypeOf(value)) continue
    t.is(inspect(Object.create(value.prototype)), `${value.name} {}`)
  }
})
