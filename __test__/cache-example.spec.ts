// The cache of examples/cache: what several processes put into one table.

import { spawn } from 'node:child_process'
import { once } from 'node:events'

import test, { type ExecutionContext } from 'ava'
import { mapShared } from 'memory-map'

import { scratchFile } from './helpers/scratch.ts'

type Cache = { get(key: string): Buffer | undefined; set(key: string, value: Uint8Array): void }
type CacheClass = {
  new (map: unknown, shape: object): Cache
  byteLength(shape: object): number
}

const source = new URL('../examples/cache/shared-cache.mjs', import.meta.url).href
const shape = { shards: 4, setsPerShard: 8, slotSize: 1056 }
const { SharedCache } = (await import(source)) as { SharedCache: CacheClass }
const length = SharedCache.byteLength(shape)

function open(t: ExecutionContext, path: string): Cache {
  const map = mapShared(path, { create: true, length, protection: 'read-write' })
  t.teardown(() => map.close())
  return new SharedCache(map, shape)
}
const page = (id: number) => Buffer.alloc(1000, `page ${id} `)

test('a value that one process stores another one gets, until newer values replace it', (t) => {
  const path = scratchFile(t, '')
  const [one, other] = [open(t, path), open(t, path)]
  for (let id = 0; id < 1000; id++) {
    one.set(`key ${id}`, page(id))
    t.is(Buffer.compare(other.get(`key ${id}`)!, page(id)), 0)
  }
  const kept = Array.from({ length: 1000 }, (_, id) => id).filter((id) => other.get(`key ${id}`) !== undefined)
  t.true(kept.length > 64 && kept.length <= 128, String(kept.length))
  for (const id of kept) t.is(Buffer.compare(one.get(`key ${id}`)!, page(id)), 0)
  one.set('key 0', Buffer.from('short'))
  t.is(String(other.get('key 0')), 'short')
  one.set('long', Buffer.alloc(2000))
  t.is(other.get('long'), undefined)
})

test('workers that are killed while they store leave the cache whole', async (t) => {
  const path = scratchFile(t, '')
  const cache = open(t, path)
  const script = `
    const { mapShared } = await import('${new URL('../index.js', import.meta.url).href}')
    const { SharedCache } = await import('${source}')
    const cache = new SharedCache(mapShared(${JSON.stringify(path)}, { protection: 'read-write' }), ${JSON.stringify(shape)})
    process.send('ready')
    for (let id = 0; ; id = (id + 1) % 200) cache.set('key ' + id, Buffer.alloc(1000, 'page ' + id + ' '))`
  let found = 0
  for (let round = 0; round < 15; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    await once(child, 'message')
    await new Promise((resolve) => setTimeout(resolve, round))
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (let id = 0; id < 200; id++) {
      const value = cache.get(`key ${id}`)
      if (value === undefined) continue
      found++
      t.is(Buffer.compare(value, page(id)), 0, `key ${id}`)
    }
  }
  t.true(found > 100)
})
