// A listener that is bound to an async context is called in it, whatever notes the fault.

import assert from 'node:assert'
import { AsyncLocalStorage } from 'node:async_hooks'

import { mapAnonymous, pageSize } from '../../index.js'
import { until } from '../helpers/scenario.mjs'

const context = new AsyncLocalStorage()
const told = []
const onFault = AsyncLocalStorage.bind(() => told.push(context.getStore()))
const bound = context.run('made', () => AsyncLocalStorage.bind(() => told.push(context.getStore())))
const maps = [onFault, bound].map((listener) => mapAnonymous(2 * pageSize, { protection: 'read', onFault: listener }))
for (const map of maps) {
  context.run('stored', () => {
    map.buffer[0] = 1
  })
  await until(() => told.length % 2 === 1)
  context.run('checked', () => {
    map.buffer[pageSize] = 1
    assert.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
  })
  await until(() => told.length % 2 === 0)
}
assert.deepStrictEqual(told, [undefined, undefined, 'made', 'made'])
console.log('end')
