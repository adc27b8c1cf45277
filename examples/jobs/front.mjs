// An HTTP front that gives jobs to worker processes through shared memory: `POST` a number.

import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { mapShared } from 'memory-map'
import { Channel } from 'memory-map/sync'

import { jobsOf, LENGTH, RESULTS } from './layout.mjs'

const [port, count = '2'] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'jobs-'))
const path = join(folder, 'queues')
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())

const map = mapShared(path, { create: true, length: LENGTH * (1 + Number(count)), protection: 'read-write' })
const results = Channel.create(map, RESULTS) // from all workers to this process
const workers = Array.from({ length: Number(count) }, (_, index) => employ({ index, jobs: new Map() }))
let ids = 0

/** Starts a worker. What its predecessor had not answered is sent again. */
function employ(worker) {
  worker.channel?.close()
  worker.channel = Channel.create(map, jobsOf(worker.index)) // over that of the predecessor
  worker.process = fork(new URL('worker.mjs', import.meta.url), [path, String(worker.index)])
  worker.process.once('exit', () => employ(worker))
  for (const [id, { job }] of worker.jobs) send(worker, id, job)
  return worker
}

function send({ channel }, id, job) {
  channel.sendAsync(JSON.stringify({ id, job })).catch(() => {}) // closed: a new worker gets it
}

function run(job) {
  const worker = workers.reduce((least, other) => (other.jobs.size < least.jobs.size ? other : least))
  const id = ids++
  return new Promise((resolve) => {
    worker.jobs.set(id, { job, resolve })
    send(worker, id, job)
  })
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
  const worker = workers.find(({ jobs }) => jobs.has(id))
  worker?.jobs.get(id).resolve(result) // undefined: it was answered before its worker died, and again
  worker?.jobs.delete(id)
}
