// Streaming a file that is in the page cache, by createReadStream of a mapping and of fs.
//
//   npm run build && node bench/read-stream.mjs [file]
//
// Both run in turn in this process, into the same kind of destination. Ratios are medians of the pairs.

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { mapShared } from 'memory-map'

const KIB = 1024
const MIB = 2 ** 20
const PAIRS = 7
const SIZES = [64 * KIB, 256 * KIB, MIB]

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-map-'))
const file = process.argv[2] ?? path.join(folder, 'file')
if (!process.argv[2]) fs.writeFileSync(file, Buffer.alloc(256 * MIB, 'all work and no play '))
const { size } = fs.statSync(file)

const sources = {
  fs: (highWaterMark) => [fs.createReadStream(file, { highWaterMark }), () => {}],
  map: (highWaterMark) => {
    const map = mapShared(file)
    return [map.createReadStream({ highWaterMark }), () => map.close()]
  },
}

const destinations = {
  nothing: (stream) => pipeline(stream, new Writable({ write: (_chunk, _encoding, done) => done() })),
  'a hash': async (stream) => {
    const hash = createHash('sha1')
    await pipeline(
      stream,
      new Writable({
        write(chunk, _encoding, done) {
          hash.update(chunk)
          done()
        },
      }),
    )
  },
  'a file': (stream) => pipeline(stream, fs.createWriteStream(path.join(folder, 'out'))),
  HTTP: async (stream) => {
    const server = http.createServer((_request, response) => pipeline(stream, response)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const response = await new Promise((resolve) => http.get({ port: server.address().port, agent: false }, resolve))
    await pipeline(response, new Writable({ write: (_chunk, _encoding, done) => done() }))
    await new Promise((resolve) => server.close(resolve))
  },
}

async function time(source, highWaterMark, consume) {
  const start = performance.now()
  const [stream, close] = sources[source](highWaterMark)
  await consume(stream)
  close()
  return performance.now() - start
}

try {
  console.log(`Node ${process.version}, ${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores`)
  for (const [name, consume] of Object.entries(destinations)) {
    for (const highWaterMark of SIZES) {
      const times = { fs: [], map: [] }
      for (let pair = 0; pair < PAIRS; pair++) {
        for (const source of pair % 2 ? ['map', 'fs'] : ['fs', 'map']) {
          times[source].push(await time(source, highWaterMark, consume))
        }
      }
      const speed = (source) => `${(size / median(times[source].slice(1)) / 1e6).toFixed(1)} GB/s`
      const ratio = median(times.fs.map((value, i) => value / times.map[i]).slice(1))
      const title = `to ${name}, ${highWaterMark / KIB} KiB`.padEnd(22)
      console.log(`${title} ${ratio.toFixed(1)} times as fast as fs (${speed('map')} to ${speed('fs')})`)
    }
  }
} finally {
  fs.rmSync(folder, { recursive: true })
}
