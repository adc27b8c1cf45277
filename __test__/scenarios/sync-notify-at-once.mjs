// A notify that comes right after waitAsync wakes it, although nothing has changed, and wakes no more waits than it is to.
// The arguments are the numbers of the system calls that are forbidden from the start.

import assert from 'node:assert'

import { mapShared, pageSize } from '../../index.js'
import { notify, waitAsync } from '../../sync.js'
import { forbidSome, makeFile } from '../helpers/scenario.mjs'

forbidSome()
const path = makeFile(pageSize)
const [map, other] = [0, 1].map(() => mapShared(path, { protection: 'read-write' }))
for (let i = 0; i < 100; i++) {
  const waits = [0, 1, 2].map(() => waitAsync(map, 8, 0))
  assert.deepStrictEqual([notify(other, 8, 2), notify(other, 8)], [2, 1], `round ${i}`)
  assert.deepStrictEqual(await Promise.all(waits), ['ok', 'ok', 'ok'])
}
map.close()
other.close()
console.log('reached the end')
