// The thread pool stores into read-only pages, many times at once.

import assert from 'node:assert'
import crypto from 'node:crypto'
import fs from 'node:fs'
import { promisify } from 'node:util'

import { mapAnonymous, mapPrivate, mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

/** @type {(...args: any[]) => Promise<unknown>} */
const randomFill = promisify(crypto.randomFill)
const content = Buffer.alloc(32 * pageSize, 7)
const path = makeFile(content)
let told = 0
const onFault = ({ kind, contained }) => {
  assert.ok(kind === 'protection' && contained)
  told++
}
const memory = mapAnonymous(content.length, { onFault })
memory.buffer.set(content)
memory.protect('read')
const maps = [mapShared(path, { onFault }), mapPrivate(path, { protection: 'read', onFault }), memory]
const source = fs.openSync(path, 'r')
const read = promisify(fs.read)

for (let round = 0; round < 15; round++) {
  const jobs = maps.flatMap(({ buffer }) => [
    randomFill(buffer),
    randomFill(buffer, pageSize, 10 * pageSize),
    assert.rejects(read(source, buffer, 0, 100, 0), { code: 'EFAULT' }).catch((error) => {
      // The page may be covered, so that the store goes there: it is lost either way.
      if (error.code !== 'ERR_ASSERTION') throw error
    }),
  ])
  const results = await Promise.allSettled(jobs)
  for (const { reason } of /** @type {PromiseRejectedResult[]} */ (results)) assert.strictEqual(reason, undefined)
  await until(() => told === maps.reduce((sum, map) => sum + map.faults, 0))
  for (const { buffer } of maps) assert.ok(buffer.equals(content))
}
assert.ok(fs.readFileSync(path).equals(content))
assert.ok(maps.every(({ faults }) => faults >= 15))
console.log('end')
