// Waits on a word of a file that is truncated end with a fault. The arguments are the numbers of the system calls that are
// forbidden from the start: what is left decides how a wait sleeps.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared, pageSize } from '../../index.js'
import { notify, waitAsync } from '../../sync.js'
import { rings } from '../helpers/observe.mjs'
import { forbidSome, makeFile, until } from '../helpers/scenario.mjs'

forbidSome()

const path = makeFile(Buffer.alloc(2 * pageSize))
const map = mapShared(path, { protection: 'read-write', onFault() {} })
const words = map.typedArray(Int32Array)
const results = []
const watch = (promise) =>
  promise.then(
    (value) => results.push(value),
    (error) => results.push(error.code),
  )

/** Waits until what waits by now sleeps: the thread that sleeps for it has come to a later wait. */
async function allSleep() {
  const later = waitAsync(map, 8, 0)
  await until(() => notify(map, 8) === 1)
  assert.strictEqual(await later, 'ok')
}

const before = rings()
watch(waitAsync(map, 0, 0))
await allSleep()
// With a ring, as on Linux from 6.7 on, no wait has to look again: a change of the value alone ends none, nor does it
// take a wake-up away.
if (rings() > before) {
  Atomics.store(words, 0, 1)
  assert.strictEqual(await waitAsync(map, 8, 0, 700), 'timed-out')
  assert.deepStrictEqual(results, [])
  Atomics.store(words, 0, 0)
}
await until(() => notify(map, 0) === 1)
await until(() => results.length === 1)
assert.deepStrictEqual(results.splice(0), ['ok'])

watch(waitAsync(map, pageSize, 0))
watch(waitAsync(map, pageSize, 0, 1e6))
watch(waitAsync(map, 0, 0))
await allSleep()
fs.truncateSync(path, pageSize)
await until(() => results.length === 2)
assert.deepStrictEqual(results, ['ERR_MMAP_FAULT', 'ERR_MMAP_FAULT'])
await until(() => notify(map, 0) === 1)
await until(() => results.length === 3)
assert.strictEqual(results[2], 'ok')
map.close()
console.log('end')
