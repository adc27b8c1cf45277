// What APIs make of a Buffer on shared memory: each is called with one on the heap and one on a mapping of the shared
// backing. Prints for each name 'yes' where both give the same, 'no' where the shared one is refused, '-' where the
// runtime lacks the API, and 'differs' where both are taken and the results differ.

import { isDeepStrictEqual } from 'node:util'
import buffer from 'node:buffer'
import { spawn } from 'node:child_process'
import crypto from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { Readable } from 'node:stream'
import { buffer as gather } from 'node:stream/consumers'
import { StringDecoder } from 'node:string_decoder'
import v8 from 'node:v8'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import zlib from 'node:zlib'

const { mapAnonymous } = await import(new URL('../../index.js', import.meta.url).href)

/** Not text: what is taken for text must not look as if it were taken for bytes. */
const CONTENTS = Buffer.alloc(
  2000,
  Buffer.concat([Buffer.from('some words, then: '), Buffer.from([...Array(256).keys()])]),
)
const wasm = Buffer.from([0, 97, 115, 109, 1, 0, 0, 0])
const key = Buffer.alloc(32, 7)
const iv = Buffer.alloc(16, 9)
const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })
const { subtle } = crypto.webcrypto
const portOf = (server) => /** @type {net.AddressInfo} */ (server.address()).port
const isShared = (bytes) => bytes.buffer instanceof SharedArrayBuffer
fs.writeFileSync('from', CONTENTS)

/** Whether the first message of a WebSocket is bytes, and what it has; that must be from 126 to 65,535 bytes. */
const framed = async (send) => {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const upgraded = once(server, 'upgrade')
  const client = new WebSocket(`ws://127.0.0.1:${portOf(server)}`)
  try {
    const [{ headers }, socket] = await upgraded
    const secret = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = crypto.createHash('sha1').update(secret).digest('base64')
    const upgrade = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
    socket.write(['HTTP/1.1 101 Switching Protocols', ...upgrade, '\r\n'].join('\r\n'))
    if (client.readyState !== client.OPEN) await new Promise((resolve) => (client.onopen = resolve))
    send(client)
    let frame = Buffer.alloc(0)
    while (frame.length < 4 || frame.length < 8 + frame.readUInt16BE(2)) {
      const [more] = await once(socket, 'data')
      frame = Buffer.concat([frame, more])
    }
    const mask = frame.subarray(4, 8)
    const payload = frame.subarray(8, 8 + frame.readUInt16BE(2)).map((byte, i) => byte ^ mask[i % 4])
    return [(frame[0] & 15) === 2, Buffer.from(payload).toString('latin1')]
  } finally {
    client.close()
    server.closeAllConnections()
    server.close()
  }
}

/** What a Blob, a request or a response has. */
const bytesOf = async (body) => Buffer.from(await body.arrayBuffer()).toString('latin1')

const written = async (write) => {
  await write('to')
  return fs.readFileSync('to', 'latin1')
}
const withFile = async (flags, use) => {
  const handle = await fs.promises.open('from', flags)
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}
/** What a server on a connection gets. */
const served = async (send) => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = once(server, 'connection')
  const client = net.connect(portOf(server), '127.0.0.1')
  try {
    const [socket] = await connection
    const all = gather(socket)
    await send(client)
    return (await all).toString('latin1')
  } finally {
    client.destroy()
    server.close()
  }
}
const posted = (bytes) => {
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(bytes)
    return receiveMessageOnPort(port2).message
  } finally {
    port1.close()
  }
}

/** Each is given a Buffer that begins with `CONTENTS`. What it returns is compared; the Buffer itself is too. */
const apis = {
  'Buffer: toString, equals, indexOf, readUInt32LE': (b) => [
    b.toString(),
    b.toString('base64'),
    b.equals(CONTENTS),
    b.indexOf('words'),
    b.readUInt32LE(4),
  ],
  'Buffer: write, fill, copy, set, swap16, writeDoubleLE': (b) => {
    b.write('written', 3)
    b.fill('xyz', 20, 40)
    b.copy(b, 100, 0, 50)
    b.set([1, 2, 3], 200)
    b.subarray(0, 10).swap16()
    b.writeDoubleLE(1.5, 300)
  },
  'Buffer.concat, Buffer.compare, Buffer.from(buffer)': (b) => [
    Buffer.concat([b, b]).toString('latin1'),
    Buffer.compare(b, key),
    Buffer.from(b).toString('latin1'),
  ],
  'Buffer.copyBytesFrom': (b) => Buffer.copyBytesFrom(b, 2, 5).toString('latin1'),
  'buffer.transcode, isUtf8, isAscii': (b) => [
    buffer.transcode(b.subarray(0, 100), 'utf8', 'utf16le').toString('latin1'),
    buffer.isUtf8(b),
    buffer.isAscii(b),
  ],
  'TextDecoder.decode': (b) => new TextDecoder().decode(b),
  'TextEncoder.encodeInto': (b) => new TextEncoder().encodeInto('encoded', b),
  'StringDecoder.write': (b) => new StringDecoder('utf8').write(b),
  'structuredClone, postMessage (which share the memory)': (b) => [
    Buffer.from(structuredClone(b)).toString('latin1'),
    Buffer.from(posted(b)).toString('latin1'),
  ],
  'v8.serialize': (b) => Buffer.from(v8.deserialize(v8.serialize(b))).toString('latin1'),
  'Blob, File': async (b) => [await bytesOf(new Blob([b])), await bytesOf(new buffer.File([b], 'name'))],
  'Response, Request (a body)': async (b) => [
    await bytesOf(new Response(b)),
    await bytesOf(new Request('http://localhost/', { method: 'POST', body: b })),
  ],
  'fetch (a body)': async (b) => {
    const server = http.createServer(async (request, response) => response.end(await gather(request)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const headers = { connection: 'close' }
      const url = `http://127.0.0.1:${portOf(server)}/`
      return await bytesOf(await fetch(url, { method: 'POST', body: b, headers }))
    } finally {
      server.close()
    }
  },
  'ReadableStream of bytes: enqueue': async (b) => {
    const copy = b.slice() // what is enqueued is transferred: its ArrayBuffer is empty afterwards
    const bytes = isShared(b) ? b : new Uint8Array(copy)
    const start = (controller) => (controller.enqueue(bytes), controller.close())
    return (await gather(Readable.fromWeb(new ReadableStream({ type: 'bytes', start })))).toString('latin1')
  },
  'ReadableStream of bytes: a BYOB reader': async (b) => {
    const pull = (controller) => {
      controller.byobRequest.view[0] = 7
      controller.byobRequest.respond(1)
    }
    const reader = new ReadableStream({ type: 'bytes', pull }).getReader({ mode: 'byob' })
    return (await reader.read(isShared(b) ? b : new Uint8Array(b))).value[0]
  },
  'CompressionStream, DecompressionStream': async (b) => {
    const through = async (stream, bytes) => {
      const writer = stream.writable.getWriter()
      writer.closed.catch(() => {}) // write() rejects too
      const write = writer.write(bytes).then(() => writer.close())
      const [packed] = await Promise.all([gather(Readable.fromWeb(stream.readable)), write])
      return packed
    }
    const packed = await through(new CompressionStream('gzip'), b)
    packed.copy(b)
    return (await through(new DecompressionStream('gzip'), b.subarray(0, packed.length))).toString('latin1')
  },
  'WebAssembly.Module, WebAssembly.validate': (b) => {
    b.set(wasm)
    return [
      WebAssembly.validate(b.subarray(0, 8)),
      WebAssembly.Module.exports(new WebAssembly.Module(b.subarray(0, 8))),
    ]
  },

  'fs.readSync, fs.writeSync': (b) => {
    const from = fs.openSync('from', 'r')
    const read = fs.readSync(from, b, 7, 100, 3)
    fs.closeSync(from)
    const to = fs.openSync('to', 'w')
    fs.writeSync(to, b, 0, 500, 0)
    fs.writevSync(to, [b.subarray(0, 3), b.subarray(5, 9)], 500)
    fs.closeSync(to)
    return [read, fs.readFileSync('to', 'latin1')]
  },
  'fs.writeFileSync, fs.writeFile': (b) =>
    written((path) => {
      fs.writeFileSync(path, b)
      fs.appendFileSync(path, b)
      return fs.promises.appendFile(path, b)
    }),
  'FileHandle.read': (b) => withFile('r', async (handle) => (await handle.read(b, 5, 300, 11)).bytesRead),
  'FileHandle.write': (b) =>
    written(async (path) => {
      const handle = await fs.promises.open(path, 'w')
      await handle.write(b, 0, 600, 0)
      await handle.close()
    }),
  'fs.createWriteStream, pipeline': (b) =>
    written(async (path) => {
      const stream = fs.createWriteStream(path)
      stream.end(b)
      await once(stream, 'close')
    }),
  'Readable.from, stream/consumers': async (b) => (await gather(Readable.from([b, b]))).toString('latin1'),
  'net.Socket.write': (b) => served((socket) => socket.end(b)),
  'http: a response': async (b) => {
    const server = http.createServer((_, response) => response.end(b)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const [response] = await once(http.get({ port: portOf(server), agent: false }), 'response')
      return (await gather(response)).toString('latin1')
    } finally {
      server.close()
    }
  },
  'WebSocket.send': (b) => framed((socket) => socket.send(b)),
  'dgram.Socket.send': async (b) => {
    const [to, from] = [dgram.createSocket('udp4'), dgram.createSocket('udp4')]
    try {
      to.bind(0, '127.0.0.1')
      await once(to, 'listening')
      const message = once(to, 'message')
      await new Promise((resolve, reject) =>
        from.send(b, 0, 900, to.address().port, '127.0.0.1', (error) => (error ? reject(error) : resolve(undefined))),
      )
      return (await message)[0].toString('latin1')
    } finally {
      to.close()
      from.close()
    }
  },
  'child.stdin.write': async (b) => {
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
    const all = gather(child.stdout)
    child.stdin.end(b)
    return (await all).toString('latin1')
  },

  'crypto: createHash, createHmac': (b) => [
    crypto.createHash('sha256').update(b).digest('hex'),
    crypto.createHmac('sha256', key).update(b).digest('hex'),
  ],
  'crypto: createCipheriv, timingSafeEqual': (b) => [
    crypto.createCipheriv('aes-256-ctr', key, iv).update(b).toString('hex'),
    crypto.timingSafeEqual(b.subarray(0, 32), key),
  ],
  'crypto: a key, scryptSync, pbkdf2Sync': (b) => [
    crypto.createSecretKey(b.subarray(0, 32)).export().toString('hex'),
    crypto.pbkdf2Sync(b, 'salt', 1, 32, 'sha256').toString('hex'),
    crypto.scryptSync(b, 'salt', 32, { N: 2 }).toString('hex'),
  ],
  'crypto.randomFillSync': (b) => [crypto.randomFillSync(b) === b, b.fill(1) === b],
  'crypto.getRandomValues': (b) => [crypto.webcrypto.getRandomValues(b) === b, b.fill(1) === b],
  'crypto.subtle.digest': async (b) => Buffer.from(await crypto.webcrypto.subtle.digest('SHA-256', b)).toString('hex'),
  'crypto.subtle.importKey': async (b) => {
    await subtle.importKey('raw', b.subarray(0, 32), 'AES-GCM', false, ['encrypt'])
  },
  'crypto.subtle: sign, verify': async (b) => {
    const hmac = await subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
    return [await subtle.verify('HMAC', hmac, key, b), Buffer.from(await subtle.sign('HMAC', hmac, b)).toString('hex')]
  },
  'crypto.subtle: encrypt, decrypt': async (b) => {
    const aes = await subtle.importKey('raw', key, 'AES-CTR', false, ['encrypt', 'decrypt'])
    const how = { name: 'AES-CTR', counter: iv, length: 64 }
    return [await subtle.encrypt(how, aes, b), await subtle.decrypt(how, aes, b)].map((a) =>
      Buffer.from(a).toString('hex'),
    )
  },
  'crypto.subtle: an iv, a counter, a salt; deriveBits': async (b) => {
    const aes = await subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
    const password = await subtle.importKey('raw', key, 'PBKDF2', false, ['deriveBits'])
    const how = { name: 'PBKDF2', salt: b, iterations: 1, hash: 'SHA-256' }
    return [
      await subtle.encrypt({ name: 'AES-GCM', iv: b.subarray(0, 12) }, aes, key),
      await subtle.deriveBits(how, password, 256),
    ].map((a) => Buffer.from(a).toString('hex'))
  },
  'crypto.publicEncrypt, privateDecrypt': (b) => {
    crypto.publicEncrypt(rsa.publicKey, b.subarray(0, 100)).copy(b)
    const text = crypto.privateDecrypt(rsa.privateKey, b.subarray(0, 256)).toString('latin1')
    b.fill(1) // what it was encrypted to is another each time
    return text
  },
  'zlib: deflateSync, inflateSync': (b) => {
    zlib.deflateSync(b).copy(b)
    return zlib.inflateSync(b).toString('latin1')
  },
  'zlib: deflate, brotliCompress': async (b) => {
    const packed = (pack) => new Promise((done, fail) => pack((error, data) => (error ? fail(error) : done(data))))
    return [
      zlib.inflateSync(await packed((done) => zlib.deflate(b, done))).toString('latin1'),
      zlib.brotliDecompressSync(await packed((done) => zlib.brotliCompress(b, done))).toString('latin1'),
    ]
  },
  'zlib.crc32': (b) => zlib.crc32(b),
}

const map = mapAnonymous(CONTENTS.length, { backing: 'shared-array-buffer' })

async function run(api, bytes) {
  bytes.set(CONTENTS)
  try {
    return [await api(bytes), Buffer.from(bytes).toString('latin1')]
  } catch (error) {
    return error
  }
}

const results = {}
for (const [name, api] of Object.entries(apis)) {
  const expected = await run(api, Buffer.alloc(CONTENTS.length))
  const result = await run(api, map.buffer)
  if (expected instanceof Error) results[name] = '-'
  else if (result instanceof Error) results[name] = result.name === 'TypeError' || 'code' in result ? 'no' : `${result}`
  else results[name] = isDeepStrictEqual(result, expected) ? 'yes' : 'differs'
}
console.log(JSON.stringify(results))
map.close()
process.exit()
