// A file, and ways for the bytes of a stream.

import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'

import { folder } from '../helpers/observe.mjs'

export const dir = folder()
export const path = join(dir, 'file')
export const out = join(dir, 'out')
export const contents = Buffer.alloc(5 * 2 ** 20 + 123)
for (let i = 0; i < contents.length; i += 3) contents[i] = (i * 7 + (i >> 8) * 13 + (i >> 12) * 101) & 255
fs.writeFileSync(path, contents)

/** Unpacks what a stream is packed to; `into` sees the zlib stream. */
export async function gzipped(stream, packed = []) {
  const gzip = zlib.createGzip({ level: 1 })
  gzip.on('data', (chunk) => packed.push(chunk))
  await Promise.all([pipeline(stream, gzip), once(gzip, 'end')])
  return zlib.gunzipSync(Buffer.concat(packed))
}

/** Serves one request; the answer is `respond`'s. */
export async function serve(respond) {
  const server = http.createServer(respond).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
/** Calls `see` after each chunk that goes through, without making the stream flow. */
export function onChunk(stream, see) {
  const { push } = stream
  let count = 0
  stream.push = (chunk) => {
    const more = push.call(stream, chunk)
    see(++count, chunk)
    return more
  }
}
export const isPrefix = (bytes) => bytes.length <= contents.length && bytes.equals(contents.subarray(0, bytes.length))
