// Serves pages from a cache that the workers of node:cluster share, from one in each worker, and from Redis, under the same
// load and with the same memory for pages: hits and requests per second, in one table. `npm run example:cache` (Linux).
//
// Redis is left out where no `redis-server` is installed.

import { execFileSync, fork, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

const server = new URL('server.mjs', import.meta.url)
const load = new URL('load/', import.meta.url)
if (!existsSync(new URL('node_modules', load))) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: load, stdio: 'inherit' })
}
const autocannon = createRequire(load)('autocannon')

const seconds = Number(process.argv[2] ?? 10)
const pages = Number(process.argv[3] ?? 2000)
const workers = Math.max(4, availableParallelism())
/** Room for half of the pages. */
const memory = (pages / 2) * (16 << 10)

const scratch = mkdtempSync(join(tmpdir(), 'cache-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

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

/** Where a Redis listens that forgets what was used longest ago, and what ends it; undefined where there is none. */
async function startRedis() {
  const path = join(scratch, 'redis')
  const limits = [
    '--maxmemory',
    String(memory),
    '--maxmemory-policy',
    'allkeys-lru',
    '--save',
    '',
    '--appendonly',
    'no',
  ]
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', path, ...limits], { stdio: 'ignore' })
  const failed = new Promise((resolve) => redis.once('error', () => resolve(true)).once('exit', () => resolve(true)))
  while (!existsSync(path)) {
    if (await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 50, false))])) return
  }
  return { path, stop: () => redis.kill() }
}

async function measure(kind, redis) {
  const port = await freePort()
  const facts = { CACHE: kind, MEMORY: memory, WORKERS: workers, PORT: port, ...(redis && { REDIS: redis.path }) }
  const env = {
    ...process.env,
    ...Object.fromEntries(Object.entries(facts).map(([name, fact]) => [name, String(fact)])),
  }
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

console.log(
  `${workers} workers, ${pages} pages of 16 KiB and room for half of them, ${seconds} s of load from 32 connections, twice each`,
)
const table = { 'lru-cache in each worker': await measure('own'), 'one shared cache': await measure('shared') }
const redis = await startRedis()
if (redis) table.Redis = await measure('redis', redis)
redis?.stop()
console.table(table)
