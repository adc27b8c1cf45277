// An HTTP front that gives jobs to worker processes through shared memory: `POST` a number.

import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { mapShared } from 'memory-map'
import { Channel, Queue } from 'memory-map/sync'

import { JOBS, LENGTH, RESULTS } from './layout.mjs'

const [port, count = '2'] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'jobs-'))
const path = join(folder, 'queues')
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())

const map = mapShared(path, { create: true, length: LENGTH, protection: 'read-write' })
const jobs = Queue.create(map, JOBS) // each job goes to one worker, and to another if that one dies
const results = Channel.create(map, RESULTS) // from all workers to this process
for (let index = 0; index < Number(count); index++) employ()
const waiting = new Map()
let ids = 0

/** Starts a worker, and another one when it ends. */
function employ() {
  fork(new URL('worker.mjs', import.meta.url), [path]).once('exit', employ)
}

async function run(job) {
  const id = ids++
  const result = new Promise((resolve) => waiting.set(id, resolve))
  await jobs.sendAsync(JSON.stringify({ id, job }))
  return await result
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST') return response.writeHead(405).end()
  let body = ''
  for await (const text of request.setEncoding('utf8')) body += text
  const limit = Number(body)
  if (!Number.isInteger(limit) || limit > 10 ** 8) return response.writeHead(400).end()
  response.end(JSON.stringify(await run({ limit })))
})
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`))

for await (const message of results) {
  const { id, ...result } = JSON.parse(message.toString())
  waiting.get(id)?.(result) // undefined: its worker died after it had answered, and it was done again
  waiting.delete(id)
}
