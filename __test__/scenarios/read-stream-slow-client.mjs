// An HTTP response to a slow client waits for it.

import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check, turn } from '../helpers/observe.mjs'
import { dir, contents, serve, onChunk } from './read-stream.mjs'

const large = join(dir, 'large')
for (let i = 0; i < 13; i++) fs.appendFileSync(large, contents)
const map = mapShared(large)
let pushed = 0
let most = 0
const server = await serve((_, response) => {
  const stream = map.createReadStream()
  onChunk(stream, (_count, chunk) => {
    pushed += chunk?.length ?? 0
    most = Math.max(most, stream.readableLength)
  })
  response.writeHead(200, { 'Content-Length': map.length, Connection: 'close' })
  pipeline(stream, response)
})
const socket = net.connect(/** @type {import('node:net').AddressInfo} */ (server.address()).port, '127.0.0.1')
await once(socket, 'connect')
socket.pause()
socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
let before = -1
for (let still = 0; still < 10; still = pushed === before && pushed > 0 ? still + 1 : 0, before = pushed) await turn(30)
check(pushed < map.length / 2, 'the stream waits: ' + pushed)
check(most <= 2 ** 17, 'few bytes wait in it: ' + most)
const parts = []
socket.on('data', (part) => parts.push(part)).resume()
await once(socket, 'close')
const answer = Buffer.concat(parts)
const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
check(body.equals(fs.readFileSync(large)), 'it gets every byte in the end')
server.close()
map.close()
console.log('reached the end')
