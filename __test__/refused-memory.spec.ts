// Runtimes that allow no ArrayBuffer over a library's memory, such as Electron and others with V8's sandbox. Any runtime
// becomes one of them if the library calls the functions of ./addon/refuse.c instead of those of Node-API.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import type { ExecutionContext } from 'ava'

import { platforms } from '../lib/platform.ts'
import { refusalPath } from './helpers/addon.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** The environment of a script for which external memory is refused. */
function refusing(t: ExecutionContext): Record<string, string> {
  const folder = scratchFolder(t)
  const library = `memory-map.${platforms()[0]}.node`
  const calls = readFileSync(join(root, library), 'latin1')
    .replaceAll('napi_create_external_arraybuffer', 'test_refuse_external_arraybuffer')
    .replaceAll('node_api_create_external_sharedarraybuffer', 'test_api_refuse_external_sharedarraybuffer')
  writeFileSync(join(folder, library), calls, 'latin1')
  for (const name of ['index.js', 'sync.js', 'package.json']) copyFileSync(join(root, name), join(folder, name))
  return { LD_PRELOAD: refusalPath(), MEMORY_MAP_ROOT: pathToFileURL(`${folder}/`).href }
}

const prelude = `
  import assert from 'node:assert'
  import fs from 'node:fs'
  const { mapAnonymous, mapPrivate, mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
  fs.writeFileSync('file', Buffer.alloc(10_000, 'a'))`

for (const runtime of runtimes()) {
  const on = `on ${runtime.name} ${runtime.version}`

  test(`the error for a view says what to do, and everything that needs no view works: ${on}`, async (t) => {
    const { code, stderr } = await runScript(
      runtime,
      `${prelude}
      const map = mapShared('file', { protection: 'read-write' })
      const refused = { code: 'ERR_MMAP_UNSUPPORTED', message: /'shared-array-buffer'.*read\\(\\)/ }
      for (const view of [
        () => map.buffer,
        () => map.arrayBuffer,
        () => map.view(1, 2),
        () => map.typedArray(Uint8Array),
        () => map.dataView(),
        () => map.buffer,
      ]) assert.throws(view, refused)
      map.write(Buffer.from('needle'), 5_000)
      assert.equal(map.read(5_000, 6).toString(), 'needle')
      assert.equal(map.indexOf('needle'), 5_000)
      await map.sync()
      assert.equal(fs.readFileSync('file').indexOf('needle'), 5_000)
      map.resize(20_000)
      map.close()`,
      { env: refusing(t) },
    )
    t.is(code, 0, stderr)
  })

  test(`what processes share works, but for messages that are borrowed: ${on}`, async (t) => {
    const { code, stderr } = await runScript(
      runtime,
      `${prelude}
      const { Broadcast, Channel, Event, Latest, Mutex, Queue, Semaphore } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      fs.truncateSync('file', 1 << 20)
      const map = mapShared('file', { protection: 'read-write' })
      map.write(Buffer.alloc(10_000))
      const event = new Event(map, 0)
      const mutex = new Mutex(map, 8)
      const semaphore = new Semaphore(map, 16, 1)
      const latest = new Latest(map, { offset: 4096, length: 1024 })
      const queue = Queue.create(map, { offset: 8192, length: 8192 })
      const channel = Channel.create(map, { offset: 16384, length: 16384 })
      const broadcast = Broadcast.create(map, { offset: 32768, length: 32768, lossless: true })
      const receiver = broadcast.subscribe()
      for (let i = 0; i < 100; i++) {
        event.set()
        assert.equal(event.isSet(), true)
        assert.equal(event.wait(0), true)
        event.clear()
        assert.equal(mutex.lock(), 'acquired')
        mutex.unlock()
        assert.equal(semaphore.tryAcquire(), true)
        semaphore.release()
        latest.write('value ' + i)
        assert.equal(latest.read().toString(), 'value ' + i)
        queue.send('job')
        queue.receive().release()
        channel.sendMany(['one', 'two', 'three'])
        broadcast.send('news')
        for (const borrowing of [channel, receiver]) assert.throws(() => borrowing.borrow(0), { code: 'ERR_MMAP_UNSUPPORTED' })
        for (const text of ['one', 'two', 'three']) assert.equal(channel.receive(0).toString(), text)
        assert.equal(receiver.receive(0).toString(), 'news')
      }`,
      { env: refusing(t) },
    )
    t.is(code, 0, stderr)
  })

  test(`with the shared backing the mapping lies under the runtime's own buffer: ${on}`, async (t) => {
    const { code, stderr } = await runScript(
      runtime,
      `${prelude}
      const backing = 'shared-array-buffer'
      const map = mapShared('file', { backing, protection: 'read-write' })
      assert.equal(map.arrayBuffer.growable, true)
      map.buffer.write('needle', 5_000)
      assert.equal(fs.readFileSync('file').indexOf('needle'), 5_000)
      const descriptor = fs.openSync('file', 'r+')
      fs.writeSync(descriptor, Buffer.from('other'), 0, 5, 6_000)
      assert.equal(map.view(6_000, 5).toString(), 'other')
      const copy = mapPrivate('file', { backing })
      copy.buffer[0] = 0
      assert.equal(map.buffer[0], 97)
      const memory = mapAnonymous(100, { backing })
      memory.buffer.fill(1)
      assert.equal(memory.read(99, 1)[0], 1)
      for (const one of [map, copy, memory]) one.close()`,
      { env: refusing(t) },
    )
    t.is(code, 0, stderr)
  })
}

test('views work without ./addon/refuse.c, and fail with it: the other tests mean something', async (t) => {
  const [host] = runtimes()
  const source = `${prelude}
    const map = mapShared('file')
    assert.equal(map.buffer[0], 97)`
  t.is((await runScript(host!, source)).code, 0)
  t.is((await runScript(host!, source, { env: refusing(t) })).code, 1)
})
