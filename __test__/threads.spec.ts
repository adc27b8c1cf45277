// Faults on many threads at once: the runtime's thread pool, worker threads, and threads of other people's addons.

import { fixturePath } from './helpers/addon.ts'
import { runFaultScript, survives } from './helpers/faults.ts'
import { withAddon as test } from './helpers/platform.ts'
import { type Runtime, runtimes, scenario } from './helpers/runtimes.ts'

const env = { FIXTURE: fixturePath() }
const host = runtimes()[0]!

const named = ({ name, version }: Runtime) => `${name} ${version}`

for (const runtime of runtimes()) {
  test(`${named(runtime)}: the thread pool loads from truncated files, many times at once`, async (t) => {
    await survives(t, runtime, scenario('threads-pool-loads'))
  })

  test(`${named(runtime)}: the thread pool stores into read-only pages, many times at once`, async (t) => {
    await survives(t, runtime, scenario('threads-pool-stores'))
  })

  test(`${named(runtime)}: workers fault in mappings of their own, all at once`, async (t) => {
    await survives(t, runtime, scenario('threads-workers-fault'))
  })

  test(`${named(runtime)}: workers are terminated in the middle of a fault`, async (t) => {
    await survives(t, runtime, scenario('threads-terminated'))
  })

  test(`${named(runtime)}: threads of an addon load and store while the file changes under them`, async (t) => {
    await survives(t, runtime, scenario('threads-addon-threads'), { env })
  })
}

for (const runtime of runtimes()) {
  // Node 20 has no transfer(), and its postMessage copies the memory of addons.
  if (runtime.name === 'node20' || runtime.version.startsWith('20.')) continue

  test(`${named(runtime)}: a fault of a worker in a transferred buffer is reported on the mapping's thread`, async (t) => {
    await survives(t, runtime, scenario('threads-transferred-buffer'))
  })
}

for (const runtime of runtimes()) {
  test(`${named(runtime)}: threads use shared memory while its mapping is collected, closed or not`, async (t) => {
    await survives(t, runtime, scenario('threads-shared-memory'))
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

test('two thousand threads that fault on one page, fifty at a time, lose only their stores', async (t) => {
  await survives(t, host, scenario('threads-many-threads'), { env })
})
