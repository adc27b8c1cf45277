// Serves pages from a cache that the workers of node:cluster share, and from one in each worker, under the same load:
// memory and requests per second, in one table. `npm run example:cache` (Linux).

import { execFileSync, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'

const server = new URL('server.mjs', import.meta.url)
const load = new URL('load/', import.meta.url)
if (!existsSync(new URL('node_modules', load))) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: load, stdio: 'inherit' })
}
const autocannon = createRequire(load)('autocannon')

const seconds = Number(process.argv[2] ?? 10)
const pages = Number(process.argv[3] ?? 2000)
const workers = Math.max(4, availableParallelism())

/** A free port. */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** The same pages in the same order for every run: a few often, many seldom. */
function* ids() {
  let state = 1
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield Math.floor((state / 2 ** 32) ** 3 * pages)
  }
}

async function measure(kind) {
  const port = await freePort()
  const env = { ...process.env, CACHE: kind, PAGES: String(pages), WORKERS: String(workers), PORT: String(port) }
  const served = fork(server, { env })
  await new Promise((resolve) => served.once('message', resolve))
  const next = ids()
  const requests = [{ setupRequest: (request) => ({ ...request, path: `/${next.next().value}` }) }]
  const run = () => autocannon({ url: `http://localhost:${port}`, connections: 32, duration: seconds, requests })
  const cold = await run()
  const warm = await run()
  const told = new Promise((resolve) => served.once('message', resolve))
  served.send('report')
  const reports = await told
  const sum = (what) => reports.reduce((total, report) => total + report[what], 0)
  return {
    'requests/s, cold': Math.round(cold.requests.average),
    'requests/s, warm': Math.round(warm.requests.average),
    'latency, 99 %, warm, ms': warm.latency.p99,
    'pages made': sum('misses'),
    'hits, %': Math.round((1000 * sum('hits')) / (sum('hits') + sum('misses'))) / 10,
    'memory (Pss), MiB': Math.round(sum('pss') / 1024),
    errors: cold.errors + cold.non2xx + warm.errors + warm.non2xx,
  }
}

console.log(`${workers} workers, ${pages} pages of 16 KiB, ${seconds} s of load from 32 connections, twice each`)
console.table({ 'a cache in each worker': await measure('own'), 'one shared cache': await measure('shared') })
