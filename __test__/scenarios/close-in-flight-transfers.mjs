// Transferring chunks of a stream empties nothing else.

import { mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, bytes } from './close-in-flight.mjs'

for (const backing of /** @type {const} */ (['array-buffer', 'shared-array-buffer'])) {
  const map = mapShared(path, { backing })
  const { buffer } = map
  const chunks = []
  for await (const chunk of map.createReadStream()) {
    chunks.push(structuredClone(chunk, { transfer: [chunk.buffer] }))
    // Node 20 copies instead.
    check(chunk.length === 0 || process.versions.node.startsWith('20.'), 'the chunk has gone')
  }
  check(Buffer.concat(chunks).equals(bytes), 'they have the bytes')
  check(buffer.length === bytes.length && buffer.equals(bytes), 'the views of the mapping are as they were')

  const web = new ReadableStream({
    type: 'bytes',
    async start(controller) {
      for await (const chunk of map.createReadStream({ start: 5 })) controller.enqueue(chunk)
      controller.close()
    },
  })
  const received = []
  for await (const chunk of web) received.push(chunk)
  check(Buffer.concat(received).equals(bytes.subarray(5)), 'a stream of bytes has the bytes')
  check(map.buffer === buffer, 'and the buffer is the same')
  map.close()
}
console.log('reached the end')
