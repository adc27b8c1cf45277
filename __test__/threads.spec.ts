// Faults on many threads at once: the runtime's thread pool, worker threads, and threads of other people's addons.

import { fixturePath } from './helpers/addon.ts'
import { runFaultScript, survives } from './helpers/faults.ts'
import { withAddon as test } from './helpers/platform.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'

const env = { FIXTURE: fixturePath() }
const host = runtimes()[0]!

const named = ({ name, version }: Runtime) => `${name} ${version}`

for (const runtime of runtimes()) {
  test(`${named(runtime)}: the thread pool loads from truncated files, many times at once`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import crypto from 'node:crypto'
      import { promisify } from 'node:util'
      import zlib from 'node:zlib'
      const [gzip, gunzip, pbkdf2, scrypt] = [zlib.gzip, zlib.gunzip, crypto.pbkdf2, crypto.scrypt].map(promisify)
      const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')

      const size = 64 * pageSize
      const path = makeFile(Buffer.alloc(size, 7))
      let told = 0
      const maps = Array.from({ length: 4 }, (_, i) => mapShared(path, { offset: i, onFault: () => told++ }))
      const faults = () => maps.reduce((sum, map) => sum + map.faults, 0)

      for (let round = 0; round < 12; round++) {
        const end = (round % 5) * 8 * pageSize
        fs.truncateSync(path, end)
        const jobs = maps.flatMap(({ buffer }, i) => {
          const expected = Buffer.alloc(size - i).fill(7, 0, Math.max(0, end - i))
          // A key ends where the file does: in good pages, in bad ones, or both.
          const part = [Math.max(0, end - i - 40), end - i + 40]
          const [key, expectedKey] = [buffer.subarray(...part), expected.subarray(...part)]
          return [
            gzip(buffer).then(gunzip).then((bytes) => assert.strictEqual(hash(bytes), hash(expected))),
            pbkdf2(key, key, 100, 32, 'sha256').then(async (bytes) =>
              assert.ok(bytes.equals(crypto.pbkdf2Sync(expectedKey, expectedKey, 100, 32, 'sha256')))),
            scrypt(key, key, 32, { N: 16 }).then((bytes) =>
              assert.ok(bytes.equals(crypto.scryptSync(expectedKey, expectedKey, 32, { N: 16 })))),
            crypto.subtle.digest('SHA-256', buffer).then((bytes) =>
              assert.strictEqual(Buffer.from(bytes).toString('hex'), hash(expected))),
          ]
        })
        await Promise.all(jobs)
        await until(() => told === faults())
        fs.truncateSync(path, size)
        fs.writeFileSync(path, Buffer.alloc(size, 7), { flag: 'r+' })
        for (const [i, { buffer }] of maps.entries()) assert.ok(buffer.equals(Buffer.alloc(size - i, 7)))
      }
      assert.ok(faults() >= 48)
      console.log('end')`,
    )
  })

  test(`${named(runtime)}: the thread pool stores into read-only pages, many times at once`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import crypto from 'node:crypto'
      import { promisify } from 'node:util'
      const randomFill = promisify(crypto.randomFill)
      const content = Buffer.alloc(32 * pageSize, 7)
      const path = makeFile(content)
      let told = 0
      const onFault = ({ kind, contained }) => { assert.ok(kind === 'protection' && contained); told++ }
      const memory = mapAnonymous(content.length, { onFault })
      memory.buffer.set(content)
      memory.protect('read')
      const maps = [mapShared(path, { onFault }), mapPrivate(path, { protection: 'read', onFault }), memory]
      const source = fs.openSync(path, 'r')
      const read = promisify(fs.read)

      for (let round = 0; round < 15; round++) {
        const jobs = maps.flatMap(({ buffer }) => [
          randomFill(buffer),
          randomFill(buffer, pageSize, 10 * pageSize),
          assert.rejects(read(source, buffer, 0, 100, 0), { code: 'EFAULT' }).catch((error) => {
            // The page may be covered, so that the store goes there: it is lost either way.
            if (error.code !== 'ERR_ASSERTION') throw error
          }),
        ])
        const results = await Promise.allSettled(jobs)
        for (const { reason } of results) assert.strictEqual(reason, undefined)
        await until(() => told === maps.reduce((sum, map) => sum + map.faults, 0))
        for (const { buffer } of maps) assert.ok(buffer.equals(content))
      }
      assert.ok(fs.readFileSync(path).equals(content))
      assert.ok(maps.every(({ faults }) => faults >= 15))
      console.log('end')`,
    )
  })

  test(`${named(runtime)}: workers fault in mappings of their own, all at once`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import { Worker } from 'node:worker_threads'
      const path = makeFile(Buffer.alloc(16 * pageSize, 7))
      const worker = \`
        import { parentPort } from 'node:worker_threads'
        import fs from 'node:fs'
        const { mapShared, mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
        const path = '\${fs.realpathSync(path)}'
        let told = 0
        const onFault = () => told++
        let faults = 0
        for (let round = 0; round < 60; round++) {
          const file = mapShared(path, { onFault })
          const memory = mapAnonymous(16 * pageSize, { onFault })
          memory.buffer.fill(9)
          memory.protect('read')
          for (let page = 0; page < 16; page++) {
            file.buffer[page * pageSize] = 1
            memory.buffer[page * pageSize] = 1
          }
          const goal = (faults += file.faults + memory.faults)
          for (let i = 0; told < goal; i++) {
            if (i > 100000) throw new Error('not told: ' + told + ' of ' + goal)
            await new Promise((resolve) => setTimeout(resolve, 1))
          }
          for (let page = 0; page < 16; page++) {
            if (file.buffer[page * pageSize] !== 7) throw new Error('a trace in the file')
            if (memory.buffer[page * pageSize] !== 9) throw new Error('a trace in memory')
          }
          file.close()
          memory.close()
        }
        parentPort.postMessage([told, faults])
      \`
      fs.writeFileSync('worker.mjs', worker)
      let ends = 0
      const workers = Array.from({ length: 6 }, () => {
        const worker = new Worker(new URL('worker.mjs', import.meta.url))
        return new Promise((resolve, reject) => {
          worker.on('message', ([told, faults]) => {
            assert.strictEqual(told, faults)
            assert.ok(faults >= 60 * 2, faults)
            ends++
            resolve()
          })
          worker.on('error', reject)
        })
      })
      // And the main thread, meanwhile.
      let told = 0
      const map = mapShared(path, { onFault: () => told++ })
      while (ends < 6) {
        map.buffer.fill(1)
        await Promise.race([sleep(2), Promise.all(workers)])
      }
      await Promise.all(workers)
      await until(() => told === map.faults)
      assert.ok(map.buffer.every((byte) => byte === 7))
      assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
      console.log('end')
      `,
    )
  })

  test(`${named(runtime)}: workers that are terminated in the middle of a fault`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import { Worker } from 'node:worker_threads'
      const path = makeFile(Buffer.alloc(16 * pageSize, 7))
      fs.writeFileSync('worker.mjs', \`
        import { parentPort } from 'node:worker_threads'
        const { mapShared, mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
        const map = mapShared('\${fs.realpathSync(path)}', { onFault() {} })
        const memory = mapAnonymous(16 * pageSize, { onFault() {} })
        memory.buffer.fill(9)
        memory.protect('read')
        map.buffer[0] = 1
        parentPort.postMessage('ready')
        for (;;) {
          map.buffer.fill(1)
          memory.buffer.fill(1)
          if (Math.random() < 0.5) try { map.check() } catch {}
          if (Math.random() < 0.5) try { memory.check() } catch {}
          if (Math.random() < 0.01) await new Promise((resolve) => setTimeout(resolve, 0))
        }
      \`)
      for (let round = 0; round < 8; round++) {
        const workers = Array.from({ length: 3 }, () => new Worker(new URL('worker.mjs', import.meta.url)))
        await Promise.all(workers.map((worker) => new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        })))
        await sleep(round)
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
      const map = mapShared(path, { onFault() {} })
      map.buffer[0] = 1
      await sleep(20)
      assert.strictEqual(map.faults, 1)
      console.log('end')`,
    )
  })

  test(`${named(runtime)}: threads of an addon load and store while the file changes under them`, async (t) => {
    await survives(
      t,
      runtime,
      `
      const { startReader, startWriter } = fixture()
      const pages = 64
      const path = makeFile(Buffer.alloc(pages * pageSize, 7))
      let told = 0
      const onFault = ({ contained }) => { told++ }
      const file = mapShared(path, { protection: 'read-write', onFault })
      const readOnly = mapShared(path, { onFault })
      const memory = mapAnonymous(pages * pageSize, { onFault })
      memory.buffer.fill(9)
      memory.protect('read')
      const jobs = [file, readOnly, memory].flatMap(({ buffer }) => [
        startReader(buffer, 800), startReader(buffer, 1500), startWriter(buffer, 1500), startWriter(buffer, 1500),
      ])
      let running = true
      const all = Promise.all(jobs).then((passes) => {
        running = false
        assert.ok(passes.every((count) => count > 0))
      })
      const random = chance(3)
      while (running) {
        fs.truncateSync(path, random(pages + 1) * pageSize)
        for (const map of [file, readOnly, memory]) {
          const protection = ['none', 'read', 'read'][random(3)]
          if (random(3) === 0) map.protect(map === file ? 'read-write' : protection)
          if (random(3) === 0) try { map.check() } catch {}
        }
        if (random(4) === 0) await sleep(0)
      }
      await all
      assert.ok(file.faults > 0 && readOnly.faults > 0 && memory.faults > 0)
      memory.protect('read')
      await until(() => memory.buffer.every((byte) => byte === 9))
      fs.truncateSync(path, 0)
      fs.truncateSync(path, pages * pageSize)
      assert.ok(file.buffer.every((byte) => byte === 0))
      for (const map of [file, readOnly, memory]) {
        for (let i = 0; ; i++) {
          assert.ok(i < 1e6)
          try { map.check(); break } catch {}
        }
      }
      await until(() => told > 0)
      console.log('end')`,
      { env },
    )
  })
}

for (const runtime of runtimes()) {
  // Node 20 has no transfer(), and its postMessage copies the memory of addons.
  if (runtime.name === 'node20' || runtime.version.startsWith('20.')) continue

  test(`${named(runtime)}: what a worker stores to a transferred buffer is told where the mapping is`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import { Worker } from 'node:worker_threads'
      const path = makeFile(Buffer.alloc(4 * pageSize, 7))
      const faults = []
      const map = mapShared(path, { onFault: (fault) => faults.push(fault) })
      fs.writeFileSync('worker.mjs', \`
        import { parentPort } from 'node:worker_threads'
        parentPort.once('message', (buffer) => {
          const bytes = new Uint8Array(buffer)
          const before = bytes[0]
          bytes.fill(1)
          parentPort.postMessage(before)
        })\`)
      const worker = new Worker(new URL('worker.mjs', import.meta.url))
      const moved = map.buffer.buffer.transfer()
      worker.postMessage(moved, [moved])
      assert.strictEqual(await new Promise((resolve) => worker.once('message', resolve)), 7)
      await until(() => faults.length > 0)
      for (const fault of faults) {
        assert.strictEqual(fault.map, map)
        assert.strictEqual(fault.kind, 'protection')
      }
      assert.ok(fs.readFileSync(path).every((byte) => byte === 7))
      await worker.terminate()
      console.log('end')`,
    )
  })
}

for (const runtime of runtimes()) {
  test(`${named(runtime)}: threads use shared memory while its mapping is collected, closed or not`, async (t) => {
    await survives(
      t,
      runtime,
      `
      import { Worker } from 'node:worker_threads'
      fs.writeFileSync('worker.mjs', \`
        import { parentPort, workerData } from 'node:worker_threads'
        const gate = new Int32Array(workerData)
        parentPort.on('message', ({ buffer, round }) => {
          const bytes = new Uint8Array(buffer)
          Atomics.add(gate, 0, 1)
          Atomics.wait(gate, 1, round - 1)
          for (let i = 0; i < bytes.length; i += \${pageSize}) bytes[i] = 1
          parentPort.postMessage(round)
        })\`)
      const gate = new Int32Array(new SharedArrayBuffer(8))
      const workers = [1, 2].map(() => new Worker(new URL('worker.mjs', import.meta.url), { workerData: gate.buffer }))
      const open = (round) => {
        Atomics.store(gate, 1, round)
        Atomics.notify(gate, 1)
      }

      for (let round = 1; round <= 150; round++) {
        const path = makeFile(Buffer.alloc(16 * pageSize, 7))
        const all = { protection: 'read-write', backing: 'shared-array-buffer', onFault() {} }
        const maps = [mapShared(path, all)]
        const done = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)))
        for (const worker of workers) worker.postMessage({ buffer: maps[0].buffer.buffer, round })
        while (Atomics.load(gate, 0) < 2 * round) await sleep(0)
        if (round % 2) {
          maps.pop().close()
          open(round)
          gc()
        } else {
          maps.pop()
          await sleep(0)
          gc()
          await sleep(0)
          fs.truncateSync(path, 0)
          open(round)
        }
        assert.deepStrictEqual(await Promise.all(done), [round, round])
        fs.unlinkSync(path)
      }
      for (const worker of workers) await worker.terminate()
      console.log('end')`,
    )
  })
}

for (const runtime of runtimes()) {
  for (const [how, exit] of [
    ['process.exit() is called', 'process.exit(7)'],
    ['an exception is not caught', `throw new Error('the end')`],
  ] as const) {
    test(`${named(runtime)}: ${how} while other threads fault`, async (t) => {
      const source = `
        import { Worker } from 'node:worker_threads'
        const path = makeFile(Buffer.alloc(16 * pageSize, 7))
        fs.writeFileSync('worker.mjs', \`
          import { parentPort } from 'node:worker_threads'
          const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
          const map = mapShared('\${fs.realpathSync(path)}', { onFault() {} })
          for (let i = 0; ; i++) {
            map.buffer.fill(1)
            try { map.check() } catch {}
            if (i === 100) parentPort.postMessage('ready')
          }
        \`)
        const workers = Array.from({ length: 3 }, () => new Worker(new URL('worker.mjs', import.meta.url)))
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
        const map = mapShared(path, { onFault() {} })
        fixture().startWriter(map.buffer, 60_000)
        await sleep(5)
        map.buffer.fill(1)
        ${exit}`
      for (let round = 0; round < 3; round++) {
        const { code, signal, stderr, timedOut } = await runFaultScript(runtime, source, { env })
        t.deepEqual(
          { code, signal, timedOut },
          { code: how.startsWith('process') ? 7 : 1, signal: null, timedOut: false },
          stderr,
        )
      }
    })
  }
}

test('two thousand threads that fault on the same page, fifty at a time, lose nothing but their stores', async (t) => {
  await survives(
    t,
    host,
    `
    const { startWriter } = fixture()
    const memory = mapAnonymous(2 * pageSize, { onFault() {} })
    memory.buffer.fill(9)
    memory.protect('read', { length: pageSize })
    for (let round = 0; round < 40; round++) {
      const page = memory.view(0, pageSize)
      await Promise.all(Array.from({ length: 50 }, () => startWriter(page, 0)))
      try { memory.check() } catch {}
      assert.ok(memory.buffer.every((byte) => byte === 9))
    }
    console.log('end')`,
    { env },
  )
})
