// A server of node:cluster that makes pages slowly and keeps them: each worker in a cache of its own, or all in one.
// Run by compare.mjs.

import cluster from 'node:cluster'
import { pbkdf2 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { promisify } from 'node:util'

import { openSharedMemory, unlinkSharedMemory } from 'memory-map'

import { SharedCache } from './shared-cache.mjs'

const { CACHE: kind, PAGES: pages, WORKERS: workers } = process.env
const PAGE = 16 << 10
const name = `mm-cache-${cluster.isPrimary ? process.pid : process.ppid}`
const shape = { shards: 64, setsPerShard: Math.ceil(Number(pages) / 64 / 2), slotSize: PAGE + 32 }

if (cluster.isPrimary) {
  if (kind === 'shared') openSharedMemory(name, { create: true, length: SharedCache.byteLength(shape) })
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
  const cache = kind === 'shared' ? new SharedCache(openSharedMemory(name), shape) : new Map()
  const derive = promisify(pbkdf2)
  let [hits, misses] = [0, 0]

  /** A page that takes work to make: some milliseconds. */
  async function make(id) {
    const key = await derive(id, 'page', 2000, 64, 'sha512')
    return Buffer.alloc(PAGE, key.toString('hex'))
  }

  createServer(async (request, response) => {
    const id = request.url.slice(1)
    let page = cache.get(id)
    if (page === undefined) {
      misses++
      page = await make(id)
      cache.set(id, page)
    } else hits++
    response.end(page)
  }).listen(Number(process.env.PORT))

  process.on('message', () => {
    const line = (name) =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))[1])
    process.send({ hits, misses, pss: line('Pss') })
  })
}
