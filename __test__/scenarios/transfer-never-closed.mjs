// On one thread, never closed.

import { check, collect, isReserved, turn, until } from '../helpers/observe.mjs'
import { length, map, isFree } from './transfer.mjs'
import { port1, ways, attempt } from './transfer-ways.mjs'

async function drop(way) {
  const mapping = map()
  const moved = await attempt(way, mapping.arrayBuffer)
  return { address: mapping.address, moved }
}
async function keepForAWhile(way) {
  const { address, moved } = await drop(way)
  for (let i = 0; i < 4; i++) {
    collect()
    await turn(2)
  }
  if (moved === undefined) return address
  const bytes = new Uint8Array(moved)
  check(bytes[0] === 65 && bytes[Math.min(bytes.length, length) - 1] === 65, way + ': the buffer keeps its bytes')
  return address
}
for (const way in ways) {
  const address = await keepForAWhile(way)
  check(await until(isFree), way + ': the file goes with the last buffer')
  check(await until(() => !isReserved(address, length)), way + ': and so does the range')
}
port1.close()
console.log('reached the end')
