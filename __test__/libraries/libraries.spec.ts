// The table of docs/libraries.md: how other libraries work with a mapping, on either backing.

import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import * as arrow from 'apache-arrow'
import test, { type ExecutionContext } from 'ava'
import * as cbor from 'cbor-x'
import express from 'express'
import Fastify from 'fastify'
import * as fflate from 'fflate'
import * as flatbuffers from 'flatbuffers'
import Flatbush from 'flatbush'
import { parquetReadObjects } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import JSZip from 'jszip'
import { type Backing, type MemoryMap, mapShared } from '../../index.js'
import * as msgpackr from 'msgpackr'
import protobuf from 'protobufjs'
import sharp from 'sharp'
import { WebSocket, WebSocketServer } from 'ws'

import { scratchFile } from '../helpers/scratch.ts'

type Map = MemoryMap<any>
type Outcome = 'views' | 'copies' | 'refused' | 'as JSON'
type Use = (map: Map, t: ExecutionContext) => Outcome | Promise<Outcome>

/** Whether what came out is a view of the mapping. */
const kindOf = (map: Map, bytes: ArrayBufferView): Outcome => (bytes.buffer === map.arrayBuffer ? 'views' : 'copies')

const record = { name: 'a name', bytes: Buffer.from('bytes of a record') }

function decoded(decode: (bytes: Buffer) => any): Use {
  return (map, t) => {
    const { name, bytes } = decode(map.buffer)
    t.is(name, record.name)
    t.deepEqual(Buffer.from(bytes), record.bytes)
    return kindOf(map, bytes)
  }
}

const ids = Float64Array.from({ length: 1000 }, (_, index) => index)
const table = arrow.tableToIPC(arrow.tableFromArrays({ ids }), 'file')
const { root } = protobuf.parse('syntax = "proto3"; message Record { string name = 1; bytes bytes = 2; }')
const Message = root.lookupType('Record')
const parquet = Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'x', data: [1, 2, 3], type: 'INT32' }] }))
/** Not text: what is taken for text must not look as if it were taken for bytes. */
const text = Buffer.alloc(600, Buffer.concat([Buffer.from('hello '), Buffer.from([...Array(256).keys()])]))
const zipped = Buffer.from(fflate.zipSync({ 'a.txt': text }))
const png = await sharp({ create: { width: 30, height: 20, channels: 3, background: 'red' } })
  .png()
  .toBuffer()

const tree = new Flatbush(100)
for (let at = 0; at < 100; at++) tree.add(at, at, at + 1, at + 1)
tree.finish()

const builder = new flatbuffers.Builder()
const name = builder.createString(record.name)
builder.startObject(1)
builder.addFieldOffset(0, name, 0)
builder.finish(builder.endObject())

async function served(t: ExecutionContext, url: string): Promise<Outcome> {
  const response = await fetch(url)
  const body = Buffer.from(await response.arrayBuffer())
  if (response.headers.get('content-type')?.startsWith('application/json')) return 'as JSON'
  t.deepEqual(body, text)
  return 'copies'
}

async function overSocket(t: ExecutionContext, bytes: Buffer, from: 'server' | 'client'): Promise<Outcome> {
  const server = new WebSocketServer({ port: 0 })
  const accepted = once(server, 'connection')
  const client = new WebSocket(`ws://localhost:${(server.address() as AddressInfo).port}`)
  const opened = once(client, 'open')
  const [[peer]] = (await Promise.all([accepted, opened])) as [[WebSocket], unknown]
  const [sender, receiver] = from === 'server' ? [peer, client] : [client, peer]
  const received = once(receiver, 'message')
  sender.send(bytes)
  t.deepEqual((await received)[0], text)
  client.terminate()
  server.close()
  return 'copies'
}

/** Each row: what is in the file, and what the library does with its mapping. */
const uses: Record<string, [contents: Uint8Array, use: Use]> = {
  'apache-arrow: `tableFromIPC(map.buffer)`': [
    table,
    (map, t) => {
      const column = arrow.tableFromIPC(map.buffer).getChild('ids')!
      t.is(column.get(999), 999)
      return kindOf(map, column.data[0]!.values as Float64Array)
    },
  ],
  'flatbuffers: `new ByteBuffer(map.buffer)`': [
    builder.asUint8Array(),
    (map, t) => {
      const bytes = new flatbuffers.ByteBuffer(map.buffer)
      const table = bytes.readInt32(0)
      const field = table + bytes.readInt16(table - bytes.readInt32(table) + 4)
      const text = field + bytes.readInt32(field)
      t.is(map.toString('utf8', text + 4, text + 4 + bytes.readInt32(text)), record.name)
      return kindOf(map, bytes.bytes())
    },
  ],
  'flatbush: `Flatbush.from(map.arrayBuffer, map.buffer.byteOffset)`': [
    Buffer.from(tree.data as ArrayBuffer),
    (map, t) => {
      const found = Flatbush.from(map.arrayBuffer, map.buffer.byteOffset)
      t.deepEqual(found.search(5, 5, 6, 6), [4, 5, 6])
      return found.data === map.arrayBuffer ? 'views' : 'copies'
    },
  ],
  'hyparquet: `file: map.arrayBuffer`': [
    parquet,
    async (map, t) => {
      const rows = await parquetReadObjects({ file: map.arrayBuffer as ArrayBuffer })
      t.deepEqual(rows, [{ x: 1 }, { x: 2 }, { x: 3 }])
      return 'copies'
    },
  ],
  'hyparquet: `file: { byteLength, slice }`': [
    parquet,
    async (map, t) => {
      const slice = (start: number, end = map.length) => new Uint8Array(map.view(start, end - start)).buffer
      const rows = await parquetReadObjects({ file: { byteLength: map.length, slice } })
      t.deepEqual(rows, [{ x: 1 }, { x: 2 }, { x: 3 }])
      return 'copies'
    },
  ],
  'sharp: `sharp(map.buffer)`': [
    png,
    async (map, t) => {
      const pixels = await sharp(map.buffer).raw().toBuffer()
      t.deepEqual([...pixels.subarray(0, 3)], [255, 0, 0])
      return kindOf(map, pixels)
    },
  ],
  'jszip: `JSZip.loadAsync(map.buffer)`': [
    zipped,
    async (map, t) => {
      const bytes = await (await JSZip.loadAsync(map.buffer)).file('a.txt')!.async('nodebuffer')
      t.deepEqual(bytes, text)
      return kindOf(map, bytes)
    },
  ],
  'fflate: `unzipSync(map.buffer)`': [
    zipped,
    (map, t) => {
      const bytes = fflate.unzipSync(map.buffer)['a.txt']!
      t.deepEqual(Buffer.from(bytes), text)
      return kindOf(map, bytes)
    },
  ],
  'msgpackr: `unpack(map.buffer)`': [msgpackr.pack(record), decoded((bytes) => msgpackr.unpack(bytes))],
  'cbor-x: `decode(map.buffer)`': [cbor.encode(record), decoded((bytes) => cbor.decode(bytes))],
  'protobufjs: `Type.decode(map.buffer)`': [
    Message.encode(Message.create(record)).finish(),
    decoded((bytes) => Message.decode(bytes)),
  ],
  'express: `response.send(map.buffer)`': [
    text,
    async (map, t) => {
      const app = express().get('/', (_, response) => void response.send(map.buffer))
      const server = app.listen(0)
      await once(server, 'listening')
      const outcome = await served(t, `http://localhost:${(server.address() as AddressInfo).port}`)
      server.close()
      return outcome
    },
  ],
  'fastify: `reply.send(map.buffer)`': [
    text,
    async (map, t) => {
      const app = Fastify().get('/', (_, reply) => void reply.send(map.buffer))
      const outcome = await served(t, await app.listen({ port: 0 }))
      await app.close()
      return outcome
    },
  ],
  'fastify: `reply.send(map.createReadStream())`': [
    text,
    async (map, t) => {
      const app = Fastify().get('/', (_, reply) => void reply.send(map.createReadStream()))
      const outcome = await served(t, await app.listen({ port: 0 }))
      await app.close()
      return outcome
    },
  ],
  'ws: `send(map.buffer)` of a server': [text, (map, t) => overSocket(t, map.buffer, 'server')],
  'ws: `send(map.buffer)` of a client, which masks': [text, (map, t) => overSocket(t, map.buffer, 'client')],
}

const page = readFileSync(new URL('../../docs/libraries.md', import.meta.url), 'utf8')
const rows = Array.from(page.matchAll(/^\| (.+?) +\| ([\w ]+?) +\| ([\w ]+?) +\|.*$/gm), ([, ...cells]) => cells)

test('the table has a row for each use that is tested here', (t) => {
  t.deepEqual(rows.map(([what]) => what).toSorted(), Object.keys(uses).toSorted())
})

test('the page names the versions that are tested here', (t) => {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const [library, version] of Object.entries(dependencies)) {
    if (library === 'hyparquet-writer') continue
    t.true(page.includes(`${library} ${version.split('.').slice(0, 2).join('.')}`), `${library} ${version}`)
  }
})

for (const [what, [contents, use]] of Object.entries(uses)) {
  test(`${what} does what the table says`, async (t) => {
    const said = rows.find(([row]) => row === what)!
    const backings: Backing[] = ['array-buffer', 'shared-array-buffer']
    for (const [index, backing] of backings.entries()) {
      using map = mapShared(scratchFile(t, contents), { backing, onFault() {} })
      let outcome: Outcome
      try {
        outcome = await use(map, t)
      } catch {
        outcome = 'refused'
      }
      t.is(outcome, said[index + 1] as Outcome, backing)
    }
  })
}

test('jszip stores to its input, which does not change a read-only mapping', async (t) => {
  using map = mapShared(scratchFile(t, zipped), { onFault() {} })
  await JSZip.loadAsync(map.buffer)
  t.true(map.faults > 0)
  t.true(map.buffer.equals(zipped))
})
