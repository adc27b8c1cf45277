// What AVA prints where an assertion about a mapping fails.

import test from 'ava'
import { mapAnonymous } from 'memory-map'

test('a failing assertion about a mapping, open or closed, prints the mapping', async (t) => {
  const map = mapAnonymous(10)
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
