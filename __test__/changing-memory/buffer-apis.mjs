// The lines of apis.mjs on Buffers, decoders and typed arrays.

import buffer from 'node:buffer'
import querystring from 'node:querystring'
import { Readable } from 'node:stream'
import * as consumers from 'node:stream/consumers'
import { StringDecoder } from 'node:string_decoder'
import util from 'node:util'

import { each, euros, letters, wide, narrow, noise, iv, text, words, utf16, numbers, supports } from './contents.mjs'

export const bufferApis = {
  "Buffer: toString('utf8'), utf8Slice, toLocaleString": {
    texts: text,
    calls: [(b) => b.toString(), (b) => b.utf8Slice?.(0, b.length), (b) => b.toLocaleString()],
  },
  'String(buffer), `${buffer}`, buffer + text, JSON.parse(buffer)': {
    texts: text,
    calls: [
      (b) => String(b),
      (b) => `${b}`,
      (b) => b + 'x',
      (b) => JSON.parse(b),
      (b) => Number(b),
      (b) => 'x'.concat(b),
      (b) => util.format('%s', b),
    ],
  },
  'A Buffer where a string is meant: new URL, btoa, RegExp': {
    texts: text,
    calls: [(b) => new URL(b), (b) => btoa(b), (b) => /x/.test(b), (b) => querystring.escape(b)],
  },
  "Buffer: toString('latin1'), latin1Slice": {
    texts: words,
    calls: [(b) => b.toString('latin1'), (b) => b.latin1Slice?.(0, b.length)],
  },
  "Buffer: toString('ascii'), asciiSlice": {
    texts: words,
    calls: [(b) => b.toString('ascii'), (b) => b.asciiSlice?.(0, b.length)],
  },
  "Buffer: toString('utf16le'), ucs2Slice": {
    texts: utf16,
    calls: [(b) => b.toString('utf16le'), (b) => b.ucs2Slice?.(0, b.length), (b) => b.subarray(0, -2).toString('ucs2')],
  },
  "Buffer: toString('base64' or 'base64url'), base64Slice": {
    texts: text,
    calls: [(b) => b.toString('base64'), (b) => b.toString('base64url'), (b) => b.base64Slice?.(0, b.length)],
  },
  "Buffer: toString('hex'), hexSlice": {
    texts: text,
    calls: [(b) => b.toString('hex'), (b) => b.hexSlice?.(0, b.length)],
  },
  'Buffer: toJSON, JSON.stringify': { texts: text, small: true, calls: [(b) => b.toJSON(), (b) => JSON.stringify(b)] },
  'util.inspect, console.log': { texts: text, calls: [(b) => util.inspect(b), (b) => util.format('%o', b)] },
  'TextDecoder: UTF-8': {
    texts: text,
    calls: [
      (b) => new TextDecoder().decode(b),
      (b) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(b.subarray(0, b.length - 1)),
    ],
  },
  'TextDecoder: UTF-8, fatal': {
    texts: text,
    calls: [(b) => new TextDecoder('utf-8', { fatal: true }).decode(b.subarray(0, b.length - (b.length % 3)))],
  },
  'TextDecoder: UTF-8, stream: true; TextDecoderStream': {
    texts: text,
    calls: [
      (b) => new TextDecoder().decode(b, { stream: true }),
      async (b) => {
        const stream = new TextDecoderStream()
        const writer = stream.writable.getWriter()
        const write = writer.write(b).then(() => writer.close())
        for await (const part of stream.readable) void part
        await write
      },
    ],
  },
  'TextDecoder: UTF-16': {
    texts: utf16,
    calls: [
      (b) => new TextDecoder('utf-16le').decode(b),
      (b) => new TextDecoder('utf-16le', { fatal: true }).decode(b),
      (b) => new TextDecoder('utf-16le').decode(b, { stream: true }),
    ],
  },
  'TextDecoder: latin1, windows-1252': {
    texts: words,
    calls: [(b) => new TextDecoder('latin1').decode(b), (b) => new TextDecoder('windows-1252').decode(b)],
  },
  'TextDecoder: others (shift_jis, gb18030)': {
    texts: words,
    calls: [(b) => new TextDecoder('shift_jis').decode(b), (b) => new TextDecoder('gb18030').decode(b)],
  },
  'StringDecoder: UTF-8; stream.setEncoding, readline': {
    texts: text,
    calls: [
      (b) => new StringDecoder('utf8').write(b),
      (b) => new StringDecoder('utf8').end(b),
      async (b) => {
        for await (const part of Readable.from([b], { objectMode: false }).setEncoding('utf8')) void part
      },
    ],
  },
  'StringDecoder: UTF-16, Base64, latin1, hex': {
    texts: utf16,
    calls: ['utf16le', 'base64', 'latin1', 'hex'].map((e) => (b) => new StringDecoder(e).write(b)),
  },
  'stream/consumers: text, json': {
    texts: text,
    calls: [(b) => consumers.text(Readable.from([b])), (b) => consumers.json(Readable.from([b]))],
  },
  'stream/consumers: buffer, arrayBuffer': {
    texts: text,
    calls: [(b) => consumers.buffer(Readable.from([b])), (b) => consumers.arrayBuffer(Readable.from([b]))],
  },
  'buffer.transcode: from UTF-8': {
    texts: text,
    calls: ['utf16le', 'latin1', 'ascii'].map((e) => (b) => buffer.transcode(b, 'utf8', e)),
  },
  'buffer.transcode: from UTF-16': {
    texts: [narrow, wide],
    calls: ['utf8', 'latin1', 'ascii'].map((e) => (b) => buffer.transcode(b, 'utf16le', e)),
  },
  'buffer.transcode: from latin1': {
    texts: words,
    calls: ['utf8', 'utf16le'].map((e) => (b) => buffer.transcode(b, 'latin1', e)),
  },
  'buffer.isUtf8, isAscii': { texts: words, calls: [(b) => buffer.isUtf8(b), (b) => buffer.isAscii(b)] },
  'Buffer.from(buffer), new Uint8Array(buffer), Buffer.concat, copyBytesFrom': {
    texts: text,
    calls: [
      (b) => Buffer.from(b),
      (b) => new Uint8Array(b),
      (b) => Buffer.concat([b, iv]),
      (b) => Buffer.copyBytesFrom(b),
    ],
  },
  'Buffer: compare, equals': {
    texts: text,
    calls: [
      (b) => b.equals(euros(b.length)),
      (b) => Buffer.compare(b, euros(b.length)),
      (b) => b.compare(letters(b.length)),
    ],
  },
  'Buffer: indexOf, lastIndexOf, includes': {
    texts: words,
    calls: [
      (b) => b.indexOf('hgfed'),
      (b) => b.indexOf('z'),
      (b) => b.lastIndexOf('hgfedcba and a long text that is not there'),
      (b) => b.includes('hgfedcba and a long text that is not there', 3),
      (b) => b.indexOf('hgf', 0, 'utf16le'),
      (b) => b.indexOf(Buffer.from('hgfedcba and a long text that is not there')),
      (b) => b.indexOf(122),
    ],
  },
  'Buffer: indexOf(needle) where the needle changes': {
    texts: words,
    calls: [
      (b) => letters(1 << 16).indexOf(b.subarray(0, 200)),
      (b) => letters(1 << 16).lastIndexOf(b.subarray(0, 200)),
      (b) => noise(9)(1 << 16).indexOf(b.subarray(0, 3000)),
      (b) => euros(1 << 15).indexOf(b.subarray(0, 400), 0, 'utf16le'),
    ],
  },
  'Buffer: swap16, swap32, swap64': { texts: text, calls: [(b) => b.swap16(), (b) => b.swap32(), (b) => b.swap64()] },
  'Buffer: write, fill, copy, set, copyWithin': {
    texts: text,
    calls: [
      (b) => b.write(letters(b.length).toString()),
      (b) => b.write('€'.repeat(b.length / 3)),
      (b) => b.write(letters(b.length).toString('base64'), 'base64'),
      (b) => b.write('ab'.repeat(b.length), 'hex'),
      (b) => b.fill('€uro'),
      (b) => b.fill(b.subarray(0, 1000)),
      (b) => b.fill(b.subarray(30, 2000), 5),
      (b) => b.copy(b, 5, 0, b.length - 5),
      (b) => b.copyWithin(3, 100),
      (b) => b.set(b.subarray(0, b.length - 7), 7),
      (b) => new TextEncoder().encodeInto('€uro'.repeat(b.length / 8), b),
    ],
  },
  'Buffer: readInt32LE and others, DataView, Atomics, indexing': {
    texts: numbers,
    orders: [0],
    small: true,
    calls: [
      (b) => {
        const view = new DataView(b.buffer, b.byteOffset, b.length)
        const ints = new Int32Array(b.buffer, b.byteOffset, b.length / 4)
        const table = new Uint8Array(1000)
        let sum = 0
        for (let i = 0; i < ints.length; i++) {
          sum += b.readDoubleLE((i * 4) & ~7) + view.getInt32(i * 4, true) + Atomics.load(ints, i)
          const at = ints[i] & 2047
          if (at < 1000) sum += table[at]
          if (at < 1000 && table[at] === undefined) throw new Error('an index was read twice')
        }
        return sum
      },
    ],
  },
  'TypedArray: sort() without a comparator': {
    inPlace: true,
    texts: numbers,
    orders: [0],
    small: true,
    calls: [...each((a) => a.sort())],
  },
  'TypedArray: sort(comparator)': {
    inPlace: true,
    texts: numbers,
    orders: [0],
    small: true,
    calls: [(b) => new Float64Array(b.buffer, b.byteOffset, b.length / 8).sort((x, y) => x - y)],
  },
  'TypedArray: toSorted, toReversed, with': {
    texts: numbers,
    orders: [0],
    calls: [...each((a) => a.toSorted?.()), ...each((a) => a.toReversed?.()), ...each((a) => a.with?.(1, a[0]))],
  },
  'TypedArray: set, copyWithin, fill, reverse': {
    inPlace: true,
    texts: numbers,
    orders: [0],
    calls: [
      ...each((a) => a.set(a.subarray(1))),
      ...each((a) => a.set(a.subarray(0, -3), 3)),
      (b) =>
        new Float64Array(b.buffer, b.byteOffset, b.length / 16).set(
          new Int32Array(b.buffer, b.byteOffset, b.length / 16),
        ),
      (b) =>
        new Uint8ClampedArray(b.buffer, b.byteOffset, b.length / 8).set(
          new Float64Array(b.buffer, b.byteOffset, b.length / 8),
        ),
      ...each((a) => a.copyWithin(3, 100)),
      ...each((a) => a.fill(a[0])),
      ...each((a) => a.reverse()),
    ],
  },
  'TypedArray: slice, subarray, from, new': {
    texts: numbers,
    orders: [0],
    calls: [
      ...each((a) => a.slice()),
      ...each((a) => a.subarray(1).slice(2)),
      ...each((a) => new a.constructor(a)),
      ...each((a) => (a instanceof BigInt64Array ? 0 : new Float32Array(a))),
    ],
  },
  'TypedArray: map, filter, reduce, from, join, spread': {
    texts: numbers,
    orders: [0],
    small: true,
    calls: [
      ...each((a) => a.map((x) => x)),
      ...each((a) => a.filter((x) => x > 10)),
      ...each((a) => a.join()),
      ...each((a) => String(a)),
      ...each((a) => a.constructor.from(a)),
      ...each((a) => [...a].length),
      ...each((a) => Array.from(a)),
      ...each((a) => [].concat(...a.subarray(0, 5000))),
      (b) => String.fromCharCode.apply(null, b.subarray(0, 5000)),
      (b) => Array.prototype.sort.call(new Int32Array(b.buffer, b.byteOffset, 3000)),
      (b) => Array.prototype.slice.call(b, 0, 5000),
    ],
  },
  'TypedArray: indexOf, lastIndexOf, includes, find, at': {
    texts: numbers,
    orders: [0],
    calls: [
      ...each((a) => [a.includes(a.at(-1)), a.indexOf(a.at(0))]),
      ...each((a) => a.subarray(0, 999).find((x) => x > 4000)),
    ],
  },
  'Uint8Array: toBase64, toHex': {
    texts: text,
    calls: [
      supports(Uint8Array.prototype, 'toBase64') && ((b) => b.toBase64()),
      supports(Uint8Array.prototype, 'toBase64') && ((b) => b.toHex()),
    ],
  },
  'Uint8Array: setFromBase64, setFromHex': {
    texts: text,
    calls: [
      supports(Uint8Array.prototype, 'setFromBase64') && ((b) => b.setFromBase64(letters(b.length).toString('base64'))),
      supports(Uint8Array.prototype, 'setFromHex') && ((b) => b.setFromHex('ab'.repeat(b.length))),
    ],
  },
}
