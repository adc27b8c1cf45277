// Has one call of the system fail that the library makes for the first mapping of a process, when it installs its handler:
//
//     first.mjs                      prints what is called, and how often
//     first.mjs CALL ERROR NTH       has the NTH of these calls fail
//
// The first mapping may fail then with that error; the next one works, and its faults are contained.

import assert from 'node:assert/strict'
import fs from 'node:fs'

import { until } from '../helpers/observe.mjs'
import { numberOf } from './errnos.mjs'
import { injection } from './hook.mjs'
import { main } from './scene.mjs'

const { mapShared, pageSize } = main
const [call, error, nth] = process.argv.slice(2)
const told = []
const map = () => mapShared('first', { protection: 'read-write', onFault: (fault) => told.push(fault.kind) })

fs.writeFileSync('first', Buffer.alloc(2 * pageSize, 7))
if (call === undefined) {
  injection.record()
  map().close()
  const calls = injection.recordedCalls().filter((name) => typeof name === 'string')
  const counts = {}
  for (const name of calls) counts[name] = (counts[name] ?? 0) + 1
  counts.pthread_sigmask = 1 // of the thread that tells faults, when it comes to it
  fs.writeSync(1, `${JSON.stringify(counts)}\n`)
  process.exit()
}

injection.fail(call, Number(nth), numberOf(error), 1, 2 ** 40)
try {
  map().close()
} catch (thrown) {
  assert.equal(thrown.code, error, thrown)
}
// The thread that tells faults makes some of its calls when it comes to them.
assert.ok(await until(() => injection.failures() === 1), 'the call is made')
assert.equal(injection.disarm(), 1)
const next = map()
const { buffer } = next
assert.equal(buffer[0], 7)
fs.truncateSync('first', pageSize)
assert.equal(buffer[pageSize], 0)
assert.equal(next.faults, 1)
assert.ok(await until(() => told.length === 1), 'the fault is told')
assert.deepEqual(told, ['beyond-end'])
next.close()
fs.writeSync(1, 'reached the end\n')
process.exit()
