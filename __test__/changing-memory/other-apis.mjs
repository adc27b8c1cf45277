// The lines of apis.mjs on all else that is handed a Buffer.

import buffer from 'node:buffer'
import crypto from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import * as consumers from 'node:stream/consumers'
import v8 from 'node:v8'
import vm from 'node:vm'
import zlib from 'node:zlib'

import {
  euros,
  letters,
  noise,
  packed,
  packedText,
  wasmNumber,
  wasmOther,
  serialized,
  posted,
  callback,
  served,
  key,
  iv,
  script,
  cache,
  SCRIPT,
  cacheOfOther,
  text,
  words,
  supports,
  keyDer,
  keyOther,
  curve,
  repeated,
} from './contents.mjs'

const { Bun } = globalThis

export const otherApis = {
  'zlib: deflate, gzip (sync and async)': {
    texts: [noise(1), letters],
    orders: [0],
    calls: [
      ...[0, 1, 6, 9].map((level) => (b) => zlib.deflateSync(b, { level })),
      (b) => zlib.gzipSync(b),
      (b) => callback((done) => zlib.gzip(b, done)),
      (b) => callback((done) => zlib.deflateRaw(b, { strategy: zlib.constants.Z_RLE }, done)),
    ],
  },
  'zlib: inflate, gunzip': {
    texts: [packed(zlib.gzipSync), packedText(zlib.gzipSync)],
    calls: [
      (b) => zlib.gunzipSync(b),
      (b) => callback((done) => zlib.unzip(b, done)),
      (b) => zlib.inflateRawSync(b.subarray(10)),
    ],
  },
  'zlib: brotli, compress': {
    texts: [noise(1), letters],
    orders: [0],
    calls: [
      ...[0, 1, 2, 5].map(
        (q) => (b) => zlib.brotliCompressSync(b, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: q } }),
      ),
      (b) => callback((done) => zlib.brotliCompress(b, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }, done)),
    ],
  },
  'zlib: brotli, decompress': {
    texts: [
      packed((b) => zlib.brotliCompressSync(b, { params: { 1: 1 } })),
      packedText((b) => zlib.brotliCompressSync(b, { params: { 1: 1 } })),
    ],
    calls: [(b) => zlib.brotliDecompressSync(b), (b) => callback((done) => zlib.brotliDecompress(b, done))],
  },
  'zlib: zstd, compress': {
    texts: [noise(1), letters],
    orders: [0],
    calls: supports(zlib, 'zstdCompressSync')
      ? [
          ...[-5, 1, 3, 9, 17].map(
            (q) => (b) =>
              zlib.zstdCompressSync(b.subarray(0, 1 << 18), {
                params: { [zlib.constants.ZSTD_c_compressionLevel]: q },
              }),
          ),
          (b) => callback((done) => zlib.zstdCompress(b, done)),
        ]
      : [],
  },
  'zlib: zstd, decompress': {
    texts: supports(zlib, 'zstdCompressSync')
      ? [packed((b) => zlib.zstdCompressSync(b)), packedText((b) => zlib.zstdCompressSync(b))]
      : text,
    calls: supports(zlib, 'zstdCompressSync')
      ? [(b) => zlib.zstdDecompressSync(b), (b) => callback((done) => zlib.zstdDecompress(b, done))]
      : [],
  },
  'zlib.crc32': { texts: text, calls: [supports(zlib, 'crc32') && ((b) => zlib.crc32(b))] },
  'crypto: createHash, hash, createHmac': {
    texts: text,
    calls: [
      ...['md5', 'sha1', 'sha256', 'sha512', 'sha3-256'].map((h) => (b) => crypto.createHash(h).update(b).digest()),
      (b) => crypto.hash?.('sha256', b),
      (b) => crypto.createHmac('sha256', key).update(b).digest(),
    ],
  },
  'crypto: createCipheriv, createDecipheriv': {
    texts: text,
    calls: [
      ...['aes-256-ctr', 'aes-256-cbc', 'aes-256-gcm', 'chacha20-poly1305'].map((c) => (b) => {
        const cipher = crypto.createCipheriv(c, key, c.endsWith('c') || c.endsWith('r') ? iv : iv.subarray(0, 12), {
          authTagLength: 16,
        })
        return [cipher.update(b), cipher.final()]
      }),
      (b) => crypto.createDecipheriv('aes-256-ctr', key, iv).update(b),
    ],
  },
  'crypto: timingSafeEqual, randomFill, getRandomValues': {
    texts: text,
    calls: [
      (b) => crypto.timingSafeEqual(b, euros(b.length)),
      (b) => crypto.randomFillSync(b),
      (b) => callback((done) => crypto.randomFill(b, done)),
      (b) => crypto.getRandomValues(b.subarray(0, 65536)),
    ],
  },
  'crypto: sign and verify with a digest, pbkdf2, hkdf, createSecretKey': {
    texts: text,
    calls: [
      (b) => crypto.sign('sha256', b, curve('ec').privateKey),
      (b) => crypto.verify('sha256', b, curve('ec').publicKey, Buffer.alloc(64, 1)),
      (b) => crypto.createSecretKey(b),
      (b) => crypto.pbkdf2Sync(b, 'salt', 1, 32, 'sha256'),
      (b) => crypto.hkdfSync('sha256', b, 'salt', '', 32),
    ],
  },
  'crypto.sign with Ed25519': {
    texts: text,
    calls: [(b) => crypto.sign(null, b, curve('ed25519').privateKey)],
  },
  'crypto.scryptSync': { texts: text, calls: [(b) => crypto.scryptSync(b, 'salt', 32, { N: 2 })] },
  'crypto: createPublicKey, createPrivateKey (DER)': {
    texts: [keyDer, keyOther],
    calls: [
      (b) => crypto.createPublicKey({ key: b, format: 'der', type: 'spki' }),
      (b) => crypto.createPrivateKey({ key: b, format: 'der', type: 'pkcs8' }),
      (b) => crypto.createPublicKey({ key: b.subarray(0, 400), format: 'der', type: 'spki' }),
    ],
  },
  'new crypto.X509Certificate': { texts: [keyDer, keyOther], calls: [(b) => new crypto.X509Certificate(b)] },
  'crypto.subtle: digest, importKey, sign, encrypt': {
    texts: text,
    calls: [
      (b) => crypto.subtle.digest('SHA-256', b),
      async (b) => {
        const aes = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
        return crypto.subtle.encrypt({ name: 'AES-GCM', iv }, aes, b)
      },
      async (b) => {
        const hmac = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
        return crypto.subtle.sign('HMAC', hmac, b)
      },
    ],
  },
  'Blob, File': {
    texts: text,
    calls: [
      (b) => new Blob([b]).text(),
      (b) => new buffer.File([b], 'name').arrayBuffer(),
      (b) => new Blob(['x', b]).slice(5).text(),
    ],
  },
  'Response, Request (a body)': {
    texts: text,
    calls: [
      (b) => new Response(b).text(),
      (b) => new Response(b).arrayBuffer(),
      (b) => new Request('http://localhost/', { method: 'POST', body: b }).text(),
    ],
  },
  'fs: writeSync, write, writev, writeFile, createWriteStream': {
    system: true,
    texts: text,
    calls: [
      (b) => fs.writeFileSync('to', b),
      (b) => fs.promises.writeFile('to', b),
      async (b) => {
        const fd = fs.openSync('to', 'w')
        fs.writeSync(fd, b)
        fs.writevSync(fd, [b, b])
        await callback((done) => fs.writev(fd, [b, b], done))
        fs.closeSync(fd)
      },
      (b) => {
        const stream = fs.createWriteStream('to')
        stream.end(b)
        return once(stream, 'close')
      },
    ],
  },
  'fs: a Buffer as path': {
    texts: words,
    calls: [
      (b) => fs.existsSync(b.subarray(0, 3000)),
      (b) => fs.statSync(b.subarray(0, 900), { throwIfNoEntry: false }),
    ],
  },
  'net.Socket.write, child.stdin.write': {
    system: true,
    texts: text,
    calls: [(b) => served((socket) => socket.end(b))],
  },
  'http: a response': {
    system: true,
    texts: text,
    calls: [
      async (b) => {
        const server = http.createServer((_, response) => response.end(b)).listen(0, '127.0.0.1')
        await once(server, 'listening')
        try {
          const [response] = await once(http.get({ port: server.address().port, agent: false }), 'response')
          return await consumers.buffer(response)
        } finally {
          server.close()
        }
      },
    ],
  },
  'fetch: a body': {
    system: true,
    texts: text,
    calls: [
      async (b) => {
        const server = http.createServer((request, response) => request.resume().on('end', () => response.end('x')))
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        try {
          const headers = { connection: 'close' }
          const response = await fetch(`http://127.0.0.1:${server.address().port}/`, {
            method: 'POST',
            body: b,
            headers,
          })
          return await response.text()
        } finally {
          server.close()
        }
      },
    ],
  },
  'structuredClone, postMessage': { texts: text, calls: [(b) => structuredClone(b), (b) => posted(b)] },
  'v8.serialize': {
    texts: text,
    calls: [(b) => v8.serialize(b), (b) => v8.serialize({ b, f: new Float64Array(b.buffer, b.byteOffset, 500) })],
  },
  'v8.deserialize': {
    texts: [serialized('€'), serialized('a')],
    calls: [(b) => v8.deserialize(b)],
  },
  'WebAssembly.validate': { texts: [wasmNumber, wasmOther], calls: [(b) => WebAssembly.validate(b)] },
  'new WebAssembly.Module': {
    texts: [wasmNumber, wasmOther],
    whole: true,
    calls: [(b) => new WebAssembly.Instance(new WebAssembly.Module(b)).exports.f()],
  },
  'WebAssembly.compile, instantiate': {
    texts: [wasmNumber, wasmOther],
    whole: true,
    calls: [async (b) => (await WebAssembly.instantiate(b)).instance.exports.f(), (b) => WebAssembly.compile(b)],
  },
  'vm.Script: cachedData': {
    texts: [cache, cacheOfOther],
    system: true,
    whole: true,
    calls: [(b) => new vm.Script(script(), { cachedData: b.subarray(0, SCRIPT) }).runInThisContext()],
  },
  'Bun.gzipSync, deflateSync (zlib)': {
    texts: [noise(1), letters],
    orders: [0],
    calls: [
      Bun && ((b) => Bun.gzipSync(new Uint8Array(b.buffer, b.byteOffset, b.length))),
      Bun && ((b) => Bun.deflateSync(b)),
    ],
  },
  "Bun.gzipSync, deflateSync ({ library: 'libdeflate' })": {
    texts: [letters, noise(1)],
    calls: [1, 6, 9, 12].map((level) => Bun && ((b) => Bun.gzipSync(b, { library: 'libdeflate', level }))),
  },
  'Bun.gunzipSync, inflateSync': {
    texts: [packed(zlib.gzipSync), packedText(zlib.gzipSync)],
    calls: [Bun && ((b) => Bun.gunzipSync(b)), Bun && ((b) => Bun.gunzipSync(b, { library: 'libdeflate' }))],
  },
  'Bun.zstdCompressSync, zstdDecompressSync': {
    texts: Bun ? [packed((b) => Bun.zstdCompressSync(b)), noise(1)] : text,
    calls: [Bun && ((b) => Bun.zstdCompressSync(b)), Bun && ((b) => Bun.zstdDecompressSync(b))],
  },
  'Bun: hash, CryptoHasher, write, concatArrayBuffers': {
    texts: text,
    calls: [
      Bun && ((b) => Bun.hash(b)),
      Bun && ((b) => new Bun.CryptoHasher('sha256').update(b).digest()),
      Bun && ((b) => Bun.write('to', b)),
      Bun && ((b) => Bun.concatArrayBuffers([b])),
    ],
  },
  'Bun.Transpiler': {
    texts: [
      (length) => repeated('let a = "text"; f(a, b => b + 1);\n', length),
      (length) => repeated('let é = /*€*/ `t${"€"}`; class A {}\n', length),
    ],
    calls: [Bun && ((b) => new Bun.Transpiler().transformSync(b))],
  },
  'Bun.JSONL.parse': { texts: text, calls: [Bun?.JSONL && ((b) => Bun.JSONL.parse(b))] },
}
