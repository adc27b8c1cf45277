// A store to every page of a large mapping that has lost its file, or that is read-only.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, mapPrivate, mapShared } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const GiB = 2 ** 30
const MiB = 2 ** 20
/** The most memory that this process has ever had. */
const most = () => Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]) * 1024
const fill = (map, byte) => {
  for (let at = 0; at < map.length; at += GiB) map.view(at, Math.min(GiB, map.length - at)).fill(byte)
}
let told = 0
const options = {
  onFault: ({ contained }) => {
    assert.ok(contained)
    told++
  },
}

const maps = {
  'a truncated file': () => {
    const path = makeFile(GiB)
    const map = mapShared(path, { protection: 'read-write', ...options })
    fs.truncateSync(path, 0)
    return map
  },
  'a private mapping of a truncated file': () => {
    const path = makeFile(400 * MiB)
    const map = mapPrivate(path, { reserve: false, ...options })
    fs.truncateSync(path, 0)
    return map
  },
  'a read-only file': () => mapShared(makeFile(400 * MiB), options),
  'read-only memory': () => mapAnonymous(400 * MiB, { protection: 'read', reserve: false, ...options }),
  'memory that is forbidden': () => mapAnonymous(400 * MiB, { protection: 'none', reserve: false, ...options }),
}
for (const [what, make] of Object.entries(maps)) {
  const map = make()
  map.view(0, 1)
  const before = most()
  fill(map, 1)
  const taken = most() - before
  assert.strictEqual(map.faults, 1)
  assert.ok(taken < 200 * MiB, what + ' took ' + taken)
  // What was stored last is still there, and what was stored first is not.
  assert.strictEqual(map.view(map.length - 1, 1)[0], 1)
  assert.strictEqual(map.view(0, 1)[0], 0)
  told = 0
  await until(() => told === 1)
  console.log(what, Math.round(taken / MiB), 'MiB')
  map.close()
}
console.log('end')
