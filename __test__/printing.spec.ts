// What is printed of mappings, and of what has their methods.

import { format, inspect } from 'node:util'

import test from 'ava'
import * as main from 'memory-map'
import * as sync from 'memory-map/sync'

import { throwsCodedError } from './helpers/errors.ts'

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

test("'%O', inspect and JSON show what any mapping is; '%s' shows its text, or says what to use", (t) => {
  const map = main.mapAnonymous(2)
  const shown = [() => format('%O', map), () => inspect(map), () => JSON.stringify(map)]
  map.write(Buffer.from('hi'))
  t.is(format('%s', map), 'hi')
  map.write(Uint8Array.of(0xff, 0xfe))
  for (const show of shown) t.regex(show(), /kind.*anonymous/)
  throwsCodedError(t, () => format('%s', map), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_TYPE',
    says: ['not UTF-8', '%O', 'map.toString(encoding)', 'map.buffer'],
  })
  map.close()
  for (const show of shown) t.regex(show(), /closed.*true/)
  throwsCodedError(t, () => format('%s', map), { instanceOf: Error, code: 'ERR_MMAP_CLOSED' })
})

test('an object that has only the methods of a class prints without fields', (t) => {
  for (const [name, value] of Object.entries({ ...main, ...sync })) {
    if (typeof value !== 'function' || !/^[A-Z]/.test(name) || Error.isPrototypeOf(value)) continue
    t.is(inspect(Object.create(value.prototype)), `${value.name} {}`)
  }
})
