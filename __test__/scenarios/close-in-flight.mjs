// Begins an operation with a view of a file, ends the view in the same turn, and asks what became of the bytes.

import crypto from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { check, folder, until } from '../helpers/observe.mjs'

export const dir = folder()
export const path = join(dir, 'file')
export const bytes = crypto.randomBytes(4 << 20)
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
  check(
    told.every((kind) => kind === 'closed'),
    told.join(),
  )
  map.close()
  fs.writeFileSync(path, bytes)
}

export let socket, client
async function connect() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  client = net.connect(/** @type {net.AddressInfo} */ (server.address()).port, '127.0.0.1')
  ;[socket] = await once(server, 'connection')
  server.close()
}

export async function endDuringAll(operation) {
  for (const backing of /** @type {const} */ (['array-buffer', 'shared-array-buffer'])) {
    for (const how of ['close', 'resize']) {
      await connect()
      await endDuring(how, backing, operation)
      socket.destroy()
      client.destroy()
    }
  }
}
export const call = (run) =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))
