// Serves pages from a cache that the workers of node:cluster share, from one in each worker, and from Redis, under the same
// load and with the same memory for pages: hits and requests per second, in one table. `npm run example:cache` (Linux).
//
// node examples/cache/compare.mjs REQUESTS PAGES ROUNDS: each is measured once in every round, one after the other, and the
// table has its best round, as other work of the machine only makes it slower.
//
// Redis is left out where no `redis-server` is found: README.md says how to have one without installing it.

import { execFileSync, fork, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'

const server = new URL('server.mjs', import.meta.url)
const load = new URL('load/', import.meta.url)
if (!existsSync(new URL('node_modules', load))) {
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: load, stdio: 'inherit' })
}
const autocannon = createRequire(load)('autocannon')

const count = Number(process.argv[2] ?? 5000)
const pages = Number(process.argv[3] ?? 2000)
const rounds = Number(process.argv[4] ?? 3)
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

/** The memory of a process in KiB, with its share of what others use too. */
function pssOf(pid) {
  return Number(/^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1])
}

/** How long a process has run on processors, in milliseconds. */
function cpuOf(pid) {
  const words = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
  return (Number(words[11]) + Number(words[12])) * 10 // of a clock of 100 Hz
}

const round = (value, digits) => Math.round(value * digits) / digits

/** Where a Redis listens that forgets what was used longest ago, until this process ends; undefined where there is none. */
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
  redis.unref()
  process.on('exit', () => redis.kill())
  return { path, pss: () => pssOf(redis.pid), cpu: () => cpuOf(redis.pid) }
}

/** By which the best round is chosen. */
const SPEED = 'requests/s, warm'

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
  const before = redis?.cpu() ?? 0
  const run = () => autocannon({ url: `http://localhost:${port}`, connections: 32, amount: count, requests })
  const cold = await run()
  const warm = await run()
  const told = new Promise((resolve) => served.once('message', resolve))
  served.send('report')
  const reports = await told
  const sum = (what) => reports.reduce((total, report) => total + report[what], 0)
  return {
    'requests/s, cold': Math.round(count / cold.duration),
    [SPEED]: Math.round(count / warm.duration),
    // Of the workers, and of Redis.
    'processor, ms per request': round((sum('cpu') + (redis?.cpu() ?? 0) - before) / (2 * count), 100),
    'latency, 99 %, warm, ms': warm.latency.p99,
    'pages made': sum('misses'),
    'hits, %': round((100 * sum('hits')) / (sum('hits') + sum('misses')), 10),
    'memory (Pss), MiB': Math.round((sum('pss') + (redis?.pss() ?? 0)) / 1024),
    errors: cold.errors + cold.non2xx + warm.errors + warm.non2xx,
  }
}

const redis = await startRedis()
const kinds = {
  'lru-cache in each worker': () => measure('own'),
  'one shared cache': () => measure('shared'),
  ...(redis && { Redis: () => measure('redis', redis) }),
}
const version = redis && execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).match(/v=(\S+)/)[1]
const { dependencies } = createRequire(load)('./package.json')
console.log(`${cpus()[0].model}, ${availableParallelism()} processors`)
console.log(`Node ${process.versions.node}, lru-cache ${dependencies['lru-cache']}, Redis ${version ?? 'not found'}`)
console.log(
  `${workers} workers, ${pages} pages of 16 KiB and room for half of them, ${rounds} rounds of twice ${count} requests from 32 connections`,
)
const best = {}
for (let i = 0; i < rounds; i++) {
  for (const [kind, run] of Object.entries(kinds)) {
    const result = await run()
    if (!(result[SPEED] <= best[kind]?.[SPEED])) best[kind] = result
  }
}
console.table(best)
