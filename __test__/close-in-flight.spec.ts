// `close()` and `resize()` right after something was begun with a view, which nobody awaited: the process lives, and
// who began it gets the right bytes, an error, or a fault of kind 'closed'. `closeAsync()` waits instead.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'

/** Begins `operation` with a view of a file, ends the view in the same turn, and asks what became of the bytes. */
const prelude = `
import { once } from 'node:events'
import net from 'node:net'
const dir = folder()
const path = join(dir, 'file')
const bytes = crypto.randomBytes(4 << 20)
fs.writeFileSync(path, bytes)

async function endDuring(how, backing, operation) {
  const told = []
  const map = mapShared(path, { protection: 'read-write', backing, onFault: ({ kind }) => told.push(kind) })
  // A fault is told for as long as a view of the mapping is there.
  const view = (globalThis.kept = map.buffer)
  const result = operation(view).catch((error) => error)
  if (how === 'close') map.close()
  else map.resize(map.length / 2)
  const got = await result
  const isRight = got instanceof Error || (Buffer.isBuffer(got) && got.equals(bytes))
  check(isRight || (await until(() => told.length > 0)), how + ' of ' + backing + ': wrong bytes, and nobody was told')
  check(told.every((kind) => kind === 'closed'), told.join())
  map.close()
  fs.writeFileSync(path, bytes)
}

let socket, client
async function connect() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  client = net.connect(server.address().port, '127.0.0.1')
  ;[socket] = await once(server, 'connection')
  server.close()
}

async function endDuringAll(operation) {
  for (const backing of ['array-buffer', 'shared-array-buffer']) {
    for (const how of ['close', 'resize']) {
      await connect()
      await endDuring(how, backing, operation)
      socket.destroy()
      client.destroy()
    }
  }
}
const call = (run) => new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))
`

const operations = {
  gzip: `(view) => call((done) => zlib.gzip(view, done)).then((packed) => zlib.gunzipSync(packed))`,
  deflateRaw: `(view) => call((done) => zlib.deflateRaw(view, done)).then((packed) => zlib.inflateRawSync(packed))`,
  brotli: `(view) =>
    call((done) => zlib.brotliCompress(view, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }, done))
      .then((packed) => zlib.brotliDecompressSync(packed))`,
  'fs.writeFile': `(view) => call((done) => fs.writeFile(join(dir, 'copy'), view, done)).then(() => fs.readFileSync(join(dir, 'copy')))`,
  'fs.promises.writeFile': `(view) => fs.promises.writeFile(join(dir, 'copy'), view).then(() => fs.readFileSync(join(dir, 'copy')))`,
  'a socket': `async (view) => {
    const received = []
    await new Promise((resolve) => {
      client.on('data', (chunk) => received.push(chunk)).on('error', () => {}).once('close', resolve)
      socket.once('error', (error) => received.push(error)).end(view)
    })
    const wrong = received.find((chunk) => chunk instanceof Error)
    if (wrong !== undefined) throw wrong
    return Buffer.concat(received)
  }`,
}

const waits = `
const map = mapShared(path, { protection: 'read-write' })
const done = []
const note = (what) => () => done.push(what)
map.sync().then(note('sync'))
map.find('nowhere').then(note('find'))
map.countAsync('x').then(note('count'))
map.prefetch().then(note('prefetch'))
const stream = map.createReadStream()
let streamed = 0
stream.on('data', (chunk) => (streamed += chunk.length)).on('close', note('stream'))
await map.closeAsync()
check(map.closed, 'it is closed')
check(done.sort().join() === 'count,find,prefetch,stream,sync', done.join())
check(streamed === bytes.length, 'the stream had everything')
await map.closeAsync()

const other = mapShared(path)
const found = other.find(bytes.subarray(-20))
await other[Symbol.asyncDispose]()
check(other.closed && (await found) === bytes.length - 20, 'as with await using')
`

const closesItself = `
for (const how of ['end', 'destroy', 'error']) {
  const map = mapShared(path)
  const stream = map.createReadStream({ autoClose: true })
  if (how === 'end') stream.resume()
  if (how === 'destroy') stream.destroy()
  if (how === 'error') {
    stream.on('error', () => {}).once('data', () => stream.destroy(new Error('enough')))
  }
  check(await until(() => map.closed), how)
}
const kept = mapShared(path)
await new Promise((resolve) => kept.createReadStream().resume().on('close', resolve))
check(!kept.closed, 'without autoClose it stays open')
kept.close()
`

const transfers = `
for (const backing of ['array-buffer', 'shared-array-buffer']) {
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
`

const readsZeros = `
const told = []
const map = mapShared(path, { backing: 'shared-array-buffer', onFault: ({ kind }) => told.push(kind) })
const { buffer } = map
await new Promise((resolve) => map.createReadStream().resume().on('close', resolve))
map.close()
check(buffer.every((byte) => byte === 0), 'all views read zeros')
check(await until(() => told.join() === 'closed'), 'which is told: ' + told.join())
`

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  for (const [name, operation] of Object.entries(operations)) {
    test(`${name} whose view is closed or resized in the same turn is right or told, ${where}`, async (t) => {
      await endsWell(t, runtime, `${prelude}await endDuringAll(${operation})`)
    })
  }
  test(`closeAsync waits for what this library is about, ${where}`, async (t) => {
    await endsWell(t, runtime, prelude + waits)
  })
  test(`a stream with autoClose closes the mapping when it ends, fails or is destroyed, ${where}`, async (t) => {
    await endsWell(t, runtime, prelude + closesItself)
  })
  test(`chunks of a stream are transferred one by one, and empty nothing else, ${where}`, async (t) => {
    await endsWell(t, runtime, prelude + transfers)
  })
  test(`after a stream and close all views of shared memory read zeros, ${where}`, async (t) => {
    await endsWell(t, runtime, prelude + readsZeros)
  })
}
