// On one thread, already closed.

import { check } from '../helpers/observe.mjs'
import { map } from './transfer.mjs'
import { port1, ways, attempt } from './transfer-ways.mjs'

/** After `close()` there is nothing left to transfer. */
async function closeBefore(way) {
  const mapping = map()
  const { arrayBuffer } = mapping
  mapping.close()
  const moved = await attempt(way, arrayBuffer)
  check(moved === undefined || new Uint8Array(moved).every((byte) => byte === 0), way + ': there is nothing to see')
}
for (const way in ways) await closeBefore(way)
port1.close()
console.log('reached the end')
