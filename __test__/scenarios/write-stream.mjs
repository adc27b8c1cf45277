// A file of 80 MiB through a stream into a mapping that begins without a byte; then a stream that is destroyed.

import fs from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check, folder } from '../helpers/observe.mjs'

const path = join(folder(), 'file')
const chunk = Buffer.alloc(2 ** 20)
for (let i = 0; i < chunk.length; i++) chunk[i] = (i * 7 + (i >> 8) * 13) & 255

function* chunks() {
  for (let i = 0; i < 80; i++) {
    chunk.writeUInt32LE(i)
    yield Buffer.from(chunk)
  }
}

const map = mapShared(path, { create: true, length: 0, protection: 'read-write' })
await pipeline(Readable.from(chunks()), map.createWriteStream({ flush: true, autoClose: true }))
check(map.closed, 'the mapping is closed')
const file = fs.readFileSync(path)
check(file.length === 80 * 2 ** 20, 'the file has the length: ' + file.length)
for (const [i, expected] of [...chunks()].entries()) {
  check(file.subarray(i * 2 ** 20, (i + 1) * 2 ** 20).equals(expected), 'chunk ' + i)
}

const again = mapShared(path, { protection: 'read-write' })
const stream = again.createWriteStream({ start: file.length })
stream.write('tail')
stream.destroy()
await new Promise((resolve) => stream.on('close', resolve))
check(fs.statSync(path).size === file.length + 4, 'what was not used is gone')
again.close()
console.log('reached the end')
