// A stream of bytes, as the web has them, transfers every chunk: the mapping has new views afterwards.

import fs from 'node:fs'

import { check, isReserved, until } from '../helpers/observe.mjs'
import { path, length, map, isFree } from './transfer.mjs'

async function send(mapping, count) {
  const chunks = []
  const some = 1 << 12
  const stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      if (chunks.length === count) controller.close()
      else controller.enqueue(mapping.view(chunks.length * some, some))
    },
  })
  for await (const chunk of stream) chunks.push(chunk)
  check(
    chunks.every((chunk) => chunk.length === some && chunk.every((byte) => byte === 65)),
    'all chunks arrive',
  )
  return chunks
}
async function sendAndClose() {
  const mapping = map()
  const { address, buffer } = mapping
  const chunks = await send(mapping, 70)
  check(buffer.length === 0, 'earlier views are empty')
  check(mapping.buffer.length === length && mapping.buffer === mapping.buffer, 'there is a buffer')
  check(mapping.arrayBuffer === mapping.buffer.buffer, 'it is a view of arrayBuffer')
  check([...mapping.lines()][0].length === length, 'lines')
  check(mapping.dataView(length - 1).getUint8(0) === 65, 'dataView')
  mapping.typedArray(Uint8Array, 5, 1)[0] = 66
  check(mapping.read(5, 1)[0] === 66 && fs.readFileSync(path)[5] === 66, 'stores reach the file')
  mapping.buffer[5] = 65
  mapping.close()
  check(isFree(), 'close() lets go of the file')
  check(
    chunks.every((chunk) => chunk[0] === 65 || chunk[0] === 0),
    'old bytes or zeros',
  )
  return address
}
const address = await sendAndClose()
check(await until(() => !isReserved(address, length)), 'the range goes back with the last chunk')
console.log('reached the end')
