// What apis.mjs is made of: contents for memory, of a length, and what its calls have in common.

import crypto from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import * as consumers from 'node:stream/consumers'
import vm from 'node:vm'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'

/** A text over and over, to `length` bytes. */
export const repeated = (text, length) => Buffer.alloc(length, text)

export const euros = (length) => repeated('€', length)
export const letters = (length) => repeated('abcdefgh', length)
/** UTF-16: characters that take three bytes as UTF-8, and such as take one. */
export const wide = (length) => repeated(Buffer.from('€', 'utf16le'), length)
export const narrow = (length) => repeated(Buffer.from('a', 'utf16le'), length)
export const noise = (seed) => (length) => {
  const words = new Uint32Array(length / 4)
  for (let i = 0; i < words.length; i++) words[i] = seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
  return Buffer.from(words.buffer)
}
const floats = (value) => (length) => Buffer.from(Float64Array.from({ length: length / 8 }, (_, i) => value(i)).buffer)
export const scattered = floats((i) => (i * 7919) % 1000)
export const peaks = floats((i) => (i % 1024 < 64 ? 5000 + i : (i * 7919) % 1000))

/** What `write` makes of a text of about the length that is asked for, filled up with zeros. */
const padded = (bytes, length) => Buffer.concat([bytes, Buffer.alloc(Math.max(0, length - bytes.length))])
export const packed = (pack) => (length) => padded(pack(noise(1)(length - (length >> 3))), length)
export const packedText = (pack) => (length) =>
  padded(pack(Buffer.concat([noise(3)(length >> 1), letters(length >> 1)])), length)

const leb5 = (n) => [
  (n & 127) | 128,
  ((n >> 7) & 127) | 128,
  ((n >> 14) & 127) | 128,
  ((n >> 21) & 127) | 128,
  (n >> 28) & 15,
]
const section = (id, body) => [id, ...leb5(body.length), ...body]
/** A module of many functions `() -> i32`, whose code is `code`; the first is exported as `f`. */
const wasm = (code) => (length) => {
  const body = [0, ...code, 11]
  const one = [body.length, ...body]
  const count = Math.floor((length - 200) / (one.length + 1))
  const many = (id, bytes) =>
    Buffer.concat([
      Buffer.from([id, ...leb5(5 + count * bytes.length), ...leb5(count)]),
      Buffer.alloc(count * bytes.length, Buffer.from(bytes)),
    ])
  const start = [0, 97, 115, 109, 1, 0, 0, 0, ...section(1, [1, 0x60, 0, 1, 0x7f])]
  const module = Buffer.concat([
    Buffer.from(start),
    many(3, [0]),
    Buffer.from(section(7, [1, 1, 102, 0, 0])),
    many(10, one),
  ])
  const rest = length - module.length
  return Buffer.concat([module, Buffer.from([0, ...leb5(rest - 6), 0]), Buffer.alloc(rest - 7)])
}
/** An i32; and an i64 in its place, read from a local that is not there. */
export const wasmNumber = wasm([0x41, 1, 0x1a, 0x41, 5])
export const wasmOther = wasm([0x42, 1, 0x1a, 0x20, 5])

/** v8.serialize's format: one string as UTF-8, which only older versions write. */
export const serialized = (text) => (length) =>
  Buffer.concat([Buffer.from([0xff, 15, 0x53, ...leb5(length - 8)]), repeated(text, length - 8)])
export const posted = (bytes) => {
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(bytes)
    return receiveMessageOnPort(port2)?.message
  } finally {
    port1.close()
  }
}
export const callback = (call) =>
  new Promise((done, fail) => call((error, value) => (error ? fail(error) : done(value))))
export const served = async (send) => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = once(server, 'connection')
  const client = net.connect(server.address().port, '127.0.0.1').on('error', () => {})
  try {
    const [socket] = await connection
    const all = consumers.buffer(socket)
    await send(client)
    return await all
  } finally {
    client.destroy()
    server.close()
  }
}
export const key = Buffer.alloc(32, 7)
export const iv = Buffer.alloc(16, 9)
let scripts = 0
/** A script of functions, another one each time, because V8 remembers those that it has compiled. */
export const script = () =>
  `[/* ${String(scripts++).padStart(9)} */${Array.from({ length: 1000 }, (_, i) => `function f${i}(a) { return a + ${i} + 'text ${i}' }`)}]`
/** What V8 compiled of the script, of which it looks at the first bytes and not at the others. */
export const cache = (length) => padded(new vm.Script(script()).createCachedData?.() ?? Buffer.alloc(0), length)
export const SCRIPT = cache(0).length
export const cacheOfOther = (length) => {
  const bytes = cache(length)
  for (let i = 4096; i < SCRIPT; i += 64) bytes[i] ^= 0x55
  return bytes
}

export const text = [euros, letters]
export const words = [letters, euros]
export const utf16 = [narrow, wide]
export const numbers = [scattered, peaks]
const arrays = [Float64Array, Int16Array, BigInt64Array]
/** A call for each of several element types. */
export const each = (use) =>
  arrays.map((type) => (b) => use(new type(b.buffer, b.byteOffset, b.length / type.BYTES_PER_ELEMENT)))

export const supports = (object, name) => typeof object?.[name] === 'function'

/** A public key of RSA, of which no private one is known: to make a pair takes long. */
export function keyDer(length) {
  const jwk = { kty: 'RSA', n: Buffer.alloc(256, 0xb7).toString('base64url'), e: 'AQAB' }
  return padded(crypto.createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' }), length)
}
export function keyOther(length) {
  const bytes = keyDer(length)
  for (let i = 1; i < 40; i += 3) bytes[i] = 0x84
  return bytes
}
const pairs = {}
/** A pair of keys, made when it is first asked for. */
export function curve(type) {
  return (pairs[type] ??= crypto.generateKeyPairSync(type, { namedCurve: 'P-256' }))
}
