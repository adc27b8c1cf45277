// A server of node:cluster that makes pages slowly and keeps them: each worker in a cache of its own, all in one, or in Redis.
// Run by compare.mjs.

import cluster from 'node:cluster'
import { pbkdf2 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

import { openSharedMemory, unlinkSharedMemory } from 'memory-map'

import { SharedCache } from './shared-cache.mjs'

const { CACHE: kind, MEMORY, WORKERS: workers, REDIS } = process.env
const PAGE = 16 << 10
const name = `mm-cache-${cluster.isPrimary ? process.pid : process.ppid}`
const libraries = createRequire(new URL('load/', import.meta.url))

/** What a worker keeps pages in: all of it in `MEMORY` bytes, however many workers there are. */
const caches = {
  own() {
    const { LRUCache } = libraries('lru-cache')
    return new LRUCache({ maxSize: Number(MEMORY) / Number(workers), sizeCalculation: (page) => page.length })
  },
  shared: () => new SharedCache(openSharedMemory(name), { blockSize: 4096 }),
  async redis() {
    const { createClient, RESP_TYPES } = libraries('@redis/client')
    const client = await createClient({ socket: { path: REDIS } }).connect()
    const typed = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
    return { get: async (id) => (await typed.get(id)) ?? undefined, set: (id, page) => typed.set(id, page) }
  },
}

if (cluster.isPrimary) {
  if (kind === 'shared') openSharedMemory(name, { create: true, length: Number(MEMORY) })
  for (let i = 0; i < Number(workers); i++) cluster.fork()
  let ready = 0
  cluster.on('listening', () => {
    if (++ready === Number(workers)) process.send({ ready: true })
  })
  process.on('message', async () => {
    const all = Object.values(cluster.workers)
    const told = all.map((worker) => new Promise((resolve) => worker.once('message', resolve)))
    for (const worker of all) worker.send('report')
    process.send(await Promise.all(told))
    if (kind === 'shared') unlinkSharedMemory(name)
    process.exit()
  })
} else {
  const cache = await caches[kind]()
  const derive = promisify(pbkdf2)
  let [hits, misses] = [0, 0]

  /** A page that takes work to make: some milliseconds. */
  async function make(id) {
    const key = await derive(id, 'page', 2000, 64, 'sha512')
    return Buffer.alloc(PAGE, key.toString('hex'))
  }

  createServer(async (request, response) => {
    const id = request.url.slice(1)
    let page = await cache.get(id)
    if (page === undefined) {
      misses++
      page = await make(id)
      await cache.set(id, page)
    } else hits++
    response.end(page)
  }).listen(Number(process.env.PORT))
  const before = process.cpuUsage()

  process.on('message', () => {
    const line = (name) =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))[1])
    const { user, system } = process.cpuUsage(before)
    process.send({ hits, misses, pss: line('Pss'), cpu: (user + system) / 1000 })
  })
}
