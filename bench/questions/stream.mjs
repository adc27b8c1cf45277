// How fast is a stream of a file, to where streams go?

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { folder, KIB, MIB, numbers } from '../harness/files.mjs'

const into = (use) =>
  new Writable({
    write(chunk, _encoding, done) {
      use(chunk)
      done()
    },
  })

const destinations = {
  nothing: (stream) =>
    pipeline(
      stream,
      into(() => {}),
    ),
  'a hash': (stream) => {
    const hash = createHash('sha1')
    return pipeline(
      stream,
      into((chunk) => hash.update(chunk)),
    )
  },
  'a file': async (stream, { target }) => {
    await pipeline(stream, fs.createWriteStream(target))
    fs.rmSync(target)
  },
  HTTP: async (stream) => {
    const server = http.createServer((_request, response) => pipeline(stream, response)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const response = await new Promise((resolve) => http.get({ port: server.address().port, agent: false }, resolve))
    await pipeline(
      response,
      into(() => {}),
    )
    await new Promise((resolve) => server.close(resolve))
  },
}

const way = (open) => ({
  run: async (context) => {
    const time = []
    for (let round = 0; round < (context.quick ? 1 : 5); round++) {
      const start = performance.now()
      const [stream, close] = await open(context)
      await destinations[context.to](stream, context)
      close()
      time.push(performance.now() - start)
    }
    return time.slice(context.quick ? 0 : 1)
  },
})

const WAYS = ['memory-map, createReadStream', 'fs.createReadStream']

const cases = (quick) =>
  Object.keys(destinations).flatMap((to) =>
    [64 * KIB, MIB].map((highWaterMark) => {
      const file = numbers(quick ? 16 * MIB : 256 * MIB)
      return { name: `to ${to}, ${highWaterMark / KIB} KiB`, to, highWaterMark, file, target: `${folder}/out` }
    }),
  )

export const question = {
  title: 'Stream 256 MiB',
  about: 'A stream of a file in the cache, by the size of its chunks and where it goes. Opening is in it.',
  rounds: 2,
  tables: { time: { title: 'Time', unit: 'ms' } },
  cases,
  ways: {
    [WAYS[0]]: way(async ({ file, highWaterMark }) => {
      const { mapShared } = await import('../../index.js')
      const map = mapShared(file)
      return [map.createReadStream({ highWaterMark }), () => map.close()]
    }),
    [WAYS[1]]: way(({ file, highWaterMark }) => [fs.createReadStream(file, { highWaterMark }), () => {}]),
  },
  targets: (value) =>
    cases().map(({ name }) => ({ what: name, value: value(WAYS[0], name) / value(WAYS[1], name), atMost: 1 })),
}
