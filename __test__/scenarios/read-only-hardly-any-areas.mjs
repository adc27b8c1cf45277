// Faults are contained when hardly any memory areas are left.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, pageSize } from '../../index.js'
import { areaCount, until } from '../helpers/scenario.mjs'

const most = Number(fs.readFileSync('/proc/sys/vm/max_map_count', 'utf8'))
if (most < 2 ** 17) {
  let told = 0
  const maps = []
  // Two areas each, and two more where the middle one of the read-only pages is covered alone.
  while (areaCount() < most - 6000) {
    for (let i = 0; i < 1000; i++) {
      const map = mapAnonymous(4 * pageSize, { onFault: () => told++ })
      map.buffer.fill(7)
      map.protect('read', { offset: pageSize })
      maps.push(map)
    }
  }
  for (const { buffer } of maps) buffer[2 * pageSize] = 1
  await until(() => told === maps.length)
  for (const { buffer } of maps) assert.strictEqual(buffer[2 * pageSize], 7)
}
console.log('end')
process.exit()
