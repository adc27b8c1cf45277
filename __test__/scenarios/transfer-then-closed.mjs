// On one thread, then closed.

import { check, collect, isReserved, until } from '../helpers/observe.mjs'
import { length, map, isFree, isUntouched, isCopied } from './transfer.mjs'
import { port1, ways, attempt } from './transfer-ways.mjs'

let done = 0
async function closeAfter(way) {
  const mapping = map()
  const { address, arrayBuffer } = mapping
  const moved = await attempt(way, arrayBuffer)
  if (moved === undefined) {
    check(mapping.buffer.length === length && mapping.buffer[length - 1] === 65, way + ': a refusal changes nothing')
    mapping.close()
    return { address }
  }
  done++
  check(arrayBuffer.byteLength === (isCopied ? length : 0), way + ': the first one is empty')
  const bytes = new Uint8Array(moved)
  const last = Math.min(bytes.length, length) - 1
  check(bytes[0] === 65 && bytes[last] === 65, way + ': the bytes are still there')
  mapping.close()
  check(isFree(), way + ': close() lets go of the file')
  collect()
  check(bytes.length > 0 && [0, 65].includes(bytes[0]) && [0, 65].includes(bytes[last]), way + ': old bytes or zeros')
  bytes.fill(1)
  check(isUntouched(), way + ': nothing more reaches the file')
  return { address, moved }
}
for (const way in ways) {
  let kept = await closeAfter(way)
  // Many more, and their collection: the memory must not get another owner.
  if (kept.moved?.byteLength === length) {
    for (let i = 0; i < 30; i++) {
      const other = map()
      check(other.buffer[0] === 65, 'another mapping is whole')
      other.close()
      if (i % 10 === 0) collect()
    }
    check(
      new Uint8Array(kept.moved).every((byte) => byte === 1),
      way + ': nobody else gets the memory',
    )
  }
  const { address } = kept
  kept = undefined
  check(await until(() => !isReserved(address, length)), way + ': the range goes back with the last buffer')
}
check(done > 0, 'at least one way works')

port1.close()
console.log('reached the end')
