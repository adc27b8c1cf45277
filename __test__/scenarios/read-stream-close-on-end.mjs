// close() on 'end' leaves the destination the bytes that it still needs.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, out, contents, gzipped } from './read-stream.mjs'

for (let i = 0; i < 10; i++) {
  for (const highWaterMark of [undefined, 3000, 2 ** 20, 3 * 2 ** 20]) {
    const map = mapShared(path, { onFault: ({ kind }) => check(false, 'a fault: ' + kind) })
    const stream = map.createReadStream({ highWaterMark })
    stream.on('end', () => map.close())
    if (i % 5 === 4) check((await gzipped(stream)).equals(contents), 'gzip')
    else {
      await pipeline(stream, fs.createWriteStream(out))
      check(fs.readFileSync(out).equals(contents), 'a file')
    }
    check(map.closed, 'it was closed')
  }
}
console.log('reached the end')
