// The operation that the first argument names.

import fs from 'node:fs'
import { join } from 'node:path'
import zlib from 'node:zlib'

import { dir, call, socket, client, endDuringAll } from './close-in-flight.mjs'

const operations = {
  gzip: (view) => call((done) => zlib.gzip(view, done)).then((packed) => zlib.gunzipSync(packed)),
  deflateRaw: (view) => call((done) => zlib.deflateRaw(view, done)).then((packed) => zlib.inflateRawSync(packed)),
  brotli: (view) =>
    call((done) => zlib.brotliCompress(view, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }, done)).then(
      (packed) => zlib.brotliDecompressSync(packed),
    ),
  'fs.writeFile': (view) =>
    call((done) => fs.writeFile(join(dir, 'copy'), view, done)).then(() => fs.readFileSync(join(dir, 'copy'))),
  'fs.promises.writeFile': (view) =>
    fs.promises.writeFile(join(dir, 'copy'), view).then(() => fs.readFileSync(join(dir, 'copy'))),
  'a socket': async (view) => {
    const received = []
    await new Promise((resolve) => {
      client
        .on('data', (chunk) => received.push(chunk))
        .on('error', () => {})
        .once('close', resolve)
      socket.once('error', (error) => received.push(error)).end(view)
    })
    const wrong = received.find((chunk) => chunk instanceof Error)
    if (wrong !== undefined) throw wrong
    return Buffer.concat(received)
  },
}

await endDuringAll(operations[process.argv[2]])
console.log('reached the end')
