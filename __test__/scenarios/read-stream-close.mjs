// close() in the middle is an error, and what was written is right.

import fs from 'node:fs'
import http from 'node:http'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'

import { mapShared } from '../../index.js'
import { areasOfFile, check, collect, descriptorsOf, turn } from '../helpers/observe.mjs'
import { path, out, isPrefix, gzipped, serve, onChunk } from './read-stream.mjs'

const codes = new Set()
for (const at of [1, 2, 3, 15, 16, 17, 18, 40, 80]) {
  for (const destination of ['file', 'gzip', 'HTTP']) {
    const map = mapShared(path)
    const stream = map.createReadStream()
    onChunk(stream, (count) => count === at && map.close())
    const failed = (error) => codes.add(error?.code ?? 'none')
    if (destination === 'file') {
      await pipeline(stream, fs.createWriteStream(out)).then(failed, failed)
      check(isPrefix(fs.readFileSync(out)), 'the file has the first bytes')
    } else if (destination === 'gzip') {
      const packed = []
      await gzipped(stream, packed).then(failed, failed)
      const bytes = zlib.gunzipSync(Buffer.concat(packed), { finishFlush: zlib.constants.Z_SYNC_FLUSH })
      check(isPrefix(bytes), 'the archive has the first bytes')
    } else {
      const server = await serve(async (_, response) => {
        response.on('error', () => {})
        await pipeline(stream, response).then(failed, failed)
      })
      const parts = []
      const ended = await new Promise((resolve) => {
        http
          .get(
            {
              port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
              host: '127.0.0.1',
              agent: false,
            },
            (response) => {
              response.on('data', (part) => parts.push(part))
              response.on('end', () => resolve('end'))
              response.on('error', () => resolve('error'))
            },
          )
          .on('error', () => resolve('error'))
      })
      check(ended === 'error', 'the client learns that the answer is not whole')
      check(isPrefix(Buffer.concat(parts)), 'it has the first bytes')
      server.close()
    }
    check(areasOfFile(path) === 0 && descriptorsOf(path) === 0, 'the file is free')
    collect()
    await turn()
  }
}
check([...codes].join() === 'ERR_MMAP_CLOSED', [...codes].join())
console.log('reached the end')
