// Counts requests in all workers of a cluster. The table is shared memory, so it survives a worker that crashes, and
// any worker can show the sums.

import cluster from 'node:cluster'
import { createServer } from 'node:http'

import { openSharedMemory, unlinkSharedMemory } from 'memory-map'

const ROUTES = ['/', '/about', 'others']
const COLUMNS = ['requests', 'bytes']
const length = ROUTES.length * COLUMNS.length * BigInt64Array.BYTES_PER_ELEMENT

const [port, workers = '2'] = process.argv.slice(2)
if (cluster.isPrimary) lead()
else serve(process.env.COUNTERS)

function lead() {
  const name = `counters-${process.pid}`
  const map = openSharedMemory(name, { create: true, exclusive: true, length }) // zeros
  process.on('exit', () => unlinkSharedMemory(name))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())
  for (let i = 0; i < Number(workers); i++) cluster.fork({ COUNTERS: name })
  cluster.on('exit', (worker) => {
    console.log(`worker ${worker.process.pid} ended, ${total(map)} requests so far`)
    cluster.fork({ COUNTERS: name })
  })
  cluster.once('listening', (_, address) => console.log(`http://127.0.0.1:${address.port}/`))
}

function serve(name) {
  const map = openSharedMemory(name, { protection: 'read-write' })
  const table = map.typedArray(BigInt64Array)
  const cell = (route, column) => ROUTES.indexOf(route) * COLUMNS.length + COLUMNS.indexOf(column)
  createServer((request, response) => {
    if (request.url === '/stats') return response.end(JSON.stringify(rows(table, cell)))
    const body = `worker ${process.pid}\n`
    const route = ROUTES.includes(request.url) ? request.url : 'others'
    Atomics.add(table, cell(route, 'requests'), 1n) // `+= 1n` would lose some
    Atomics.add(table, cell(route, 'bytes'), BigInt(body.length))
    response.end(body)
  }).listen(Number(port), '127.0.0.1')
}

function rows(table, cell) {
  const row = (route) => COLUMNS.map((column) => [column, Number(Atomics.load(table, cell(route, column)))])
  return Object.fromEntries(ROUTES.map((route) => [route, Object.fromEntries(row(route))]))
}

function total(map) {
  const table = map.typedArray(BigInt64Array)
  return table.reduce((sum, value, at) => (at % COLUMNS.length === 0 ? sum + value : sum), 0n)
}
