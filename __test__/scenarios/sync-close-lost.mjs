// What is closed whose memory the file has lost is closed all the same, all of it, and ends no process.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared, pageSize } from '../../index.js'
import { Broadcast, Channel, Rpc } from '../../sync.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const LENGTH = 16 * pageSize

function make() {
  const path = makeFile(Buffer.alloc(LENGTH))
  return { path, map: mapShared(path, { protection: 'read-write', onFault() {} }) }
}

const fault = { code: 'ERR_MMAP_FAULT' }

// An Rpc has a part for requests and two for replies: its file loses the page in which the first of those begins.
const LEFT = 5 * pageSize
const options = { clients: 2 }

// A client that has sent nothing yet leaves its place when its sends have ended.
{
  const { path, map } = make()
  const rpc = Rpc.create(map, options)
  const requests = Channel.open(map, { offset: 128 })
  while (requests.trySend(Buffer.alloc(requests.maxLength)) || requests.trySend(Buffer.alloc(8)));
  const call = rpc.call('a')
  fs.truncateSync(path, LEFT)
  rpc.close()
  await assert.rejects(call, { code: 'ERR_MMAP_CLOSED' })
  await until(() => map.faults > 0)
  map.close()
}

// One that cannot leave its place does not keep the server from being closed.
{
  const { path, map } = make()
  const rpc = Rpc.create(map, options)
  const serving = rpc.serve((request) => request)
  assert.strictEqual(String(await rpc.call('a')), 'a')
  fs.truncateSync(path, LEFT)
  assert.throws(() => rpc.close(), fault)
  await serving
  assert.strictEqual(Channel.open(map, { offset: 128 }).tryReceive(), undefined, 'there is no other server')
  map.close()
}

for (const lossless of [false, true]) {
  const { path, map } = make()
  const receiver = Broadcast.create(map, { lossless }).subscribe()
  const pending = receiver.receiveAsync()
  fs.truncateSync(path, 0)
  if (lossless) assert.throws(() => receiver.close(), fault)
  else receiver.close()
  assert.ok(receiver.closed)
  receiver.close()
  await assert.rejects(pending)
  map.close()
}
console.log('end')
