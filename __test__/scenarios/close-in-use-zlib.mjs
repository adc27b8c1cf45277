// Gzips data that do not shrink, in many pieces.

import crypto from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import zlib from 'node:zlib'

import { folder } from '../helpers/observe.mjs'

export const dir = folder()
export const path = join(dir, 'file')
fs.writeFileSync(path, crypto.randomBytes(1 << 20))
export const pack = (input) => {
  const gzip = zlib.createGzip()
  const done = new Promise((resolve) => gzip.on('end', resolve))
  const packed = []
  gzip.on('data', (chunk) => packed.push(chunk))
  gzip.end(input)
  return { gzip, done, packed }
}
export const isWhole = (packed) => zlib.gunzipSync(Buffer.concat(packed)).equals(fs.readFileSync(path))
