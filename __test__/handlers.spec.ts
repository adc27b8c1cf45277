// The guard's signal handler beside others: it handles the faults of our mappings and no others. A handler that was there
// before still gets its own faults, and a bug elsewhere ends the process as it would without the guard.

import everywhere, { type ExecutionContext } from 'ava'

import { fixturePath } from './helpers/addon.ts'
import { runFaultScript, survives } from './helpers/faults.ts'
import { onPosix, withAddon as test } from './helpers/platform.ts'
import { type Runtime, runScript, runtimes } from './helpers/runtimes.ts'

const env = { FIXTURE: fixturePath() }

/**
 * What programs begin with: `faultOnce` installs the guard and checks that it works; `mappings` makes two and gives a
 * function that faults in both; `trap` has WebAssembly trap.
 */
const PRELUDE = `
const faultOnce = async () => {
  let told = 0
  const map = mapAnonymous(pageSize, { protection: 'read', onFault: () => told++ })
  map.buffer[0] = 1
  await until(() => told === 1)
  assert.strictEqual(map.faults, 1)
  assert.strictEqual(map.buffer[0], 0)
  map.close()
}
// A load from a file that was truncated is a SIGBUS, a store to a read-only page a SIGSEGV.
const mappings = () => {
  const path = makeFile(Buffer.alloc(2 * pageSize, 1))
  const [file, memory] = [mapShared(path, { onFault() {} }), mapAnonymous(pageSize, { protection: 'read', onFault() {} })]
  // Views, of which the first makes an ArrayBuffer, are there before the handler is taken away.
  const [bytes, zeros] = [file.buffer, memory.buffer]
  return () => {
    fs.truncateSync(path, 0)
    assert.strictEqual(bytes[pageSize], 0)
    zeros[0] = 1
    assert.deepStrictEqual([file.faults, memory.faults], [1, 1])
  }
}
// (module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load)
//                    (func (export "store") (param i32) local.get 0 local.get 0 i32.store))
const bytes = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 10, 2, 96, 1, 127, 1, 127, 96, 1, 127, 0,
  3, 3, 2, 0, 1,
  5, 3, 1, 0, 1,
  7, 16, 2, 4, 108, 111, 97, 100, 0, 0, 5, 115, 116, 111, 114, 101, 0, 1,
  10, 19, 2, 7, 0, 32, 0, 40, 2, 0, 11, 9, 0, 32, 0, 32, 0, 54, 2, 0, 11,
])
const trap = (times = 2000) => {
  const { load, store } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
  for (let i = 0; i < times; i++) {
    assert.throws(() => load(65536 + i), WebAssembly.RuntimeError)
    assert.throws(() => store(-1 - i), WebAssembly.RuntimeError)
    assert.strictEqual(load(i), 0)
  }
}
`

/** How a process ends: by a signal, or with a code if the runtime turns the signal into one. */
async function ending(t: ExecutionContext, runtime: Runtime, source: string) {
  const { code, signal, timedOut, stdout, stderr } = await runFaultScript(runtime, PRELUDE + source, { env })
  t.false(timedOut, `${runtime.name}: ${stderr}`)
  return { code, signal, stdout, stderr }
}

/** Sends a signal several times: Deno only goes back to the default action at the first. */
const sent = (signal: string) => `
  import { spawnSync } from 'node:child_process'
  for (let i = 0; i < 50; i++) {
    spawnSync('kill', ['-${signal}', String(process.pid)])
    await sleep(200)
  }`

const ways: Record<string, string> = {
  'a store through a null pointer in an addon': `fixture().crash()`,
  'SIGSEGV from another process': sent('SEGV'),
  'SIGBUS from another process': sent('BUS'),
}

for (const runtime of runtimes()) {
  const title = `${runtime.name} ${runtime.version}`

  for (const [what, die] of Object.entries(ways)) {
    test(`${title}: ${what} ends the process as it does without the guard`, async (t) => {
      const program = `console.log('alive'); ${die}; console.log('still alive')`
      const unguarded = await ending(t, runtime, program)
      t.is(unguarded.stdout, 'alive\n', unguarded.stderr)
      t.true(unguarded.signal !== null || unguarded.code !== 0)
      const guarded = await ending(t, runtime, `await faultOnce(); ${program}`)
      t.is(guarded.stdout, 'alive\n', guarded.stderr)
      t.deepEqual([guarded.code, guarded.signal], [unguarded.code, unguarded.signal], guarded.stderr)
      if (runtime.name.startsWith('node')) t.is(guarded.signal, what.includes('SIGBUS') ? 'SIGBUS' : 'SIGSEGV')
    })
  }

  everywhere(`${title}: WebAssembly traps are still errors`, async (t) => {
    await survives(
      t,
      runtime,
      `${PRELUDE}
      trap()
      await faultOnce()
      trap()
      const map = mapAnonymous(4 * pageSize, { onFault() {} })
      map.protect('read')
      for (let i = 0; i < 50; i++) {
        map.buffer[0] = 1
        trap(50)
        map.buffer.fill(2)
      }
      assert.ok(map.faults > 0)
      await faultOnce()
      trap()
      console.log('end')`,
    )
  })

  test(`${title}: a handler that was there before the guard gets its own faults, and the guard gets ours`, async (t) => {
    await survives(
      t,
      runtime,
      `${PRELUDE}
      const { installHandler, touchOwnPage } = fixture()
      assert.strictEqual(installHandler(), true)
      const first = touchOwnPage()
      await faultOnce()
      for (let i = 1; i <= 200; i++) {
        assert.strictEqual(touchOwnPage(), first + i)
        if (i % 50 === 0) await faultOnce()
      }
      console.log('end')`,
      { env },
    )
  })

  test(`${title}: a handler that is installed later, and passes faults on, gets its own faults, and the guard gets ours`, async (t) => {
    await survives(
      t,
      runtime,
      `${PRELUDE}
      const { installHandler, touchOwnPage } = fixture()
      await faultOnce()
      assert.strictEqual(installHandler(), true)
      const first = touchOwnPage()
      for (let i = 1; i <= 200; i++) {
        assert.strictEqual(touchOwnPage(), first + i)
        if (i % 50 === 0) await faultOnce()
      }
      console.log('end')`,
      { env },
    )
  })

  test(`${title}: a bug elsewhere ends the process even if there was a handler before the guard`, async (t) => {
    const unguarded = await ending(t, runtime, `fixture().installHandler(); fixture().crash()`)
    const { code, signal, stdout } = await ending(
      t,
      runtime,
      `fixture().installHandler(); await faultOnce(); console.log('alive'); fixture().crash()`,
    )
    t.is(stdout, 'alive\n')
    t.deepEqual([code, signal], [unguarded.code, unguarded.signal])
  })

  test(`${title}: the handler works after the only worker that loaded the package has ended`, async (t) => {
    // Without the usual beginning, which loads the package in the main thread.
    const { code, signal, timedOut, stdout, stderr } = await runScript(
      runtime,
      `
      import assert from 'node:assert'
      import fs from 'node:fs'
      import { createRequire } from 'node:module'
      import { Worker } from 'node:worker_threads'
      fs.writeFileSync('worker.mjs', \`
        import { parentPort } from 'node:worker_threads'
        const { mapAnonymous, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
        const map = mapAnonymous(16 * pageSize, { protection: 'read', onFault() {} })
        map.buffer[0] = 1
        await new Promise((resolve) => setTimeout(resolve, 20))
        parentPort.postMessage(map.faults)
      \`)
      const { crash, installHandler, touchOwnPage } = createRequire(import.meta.url)(process.env.FIXTURE)
      installHandler()
      for (let i = 0; i < 3; i++) {
        const worker = new Worker(new URL('worker.mjs', import.meta.url))
        const exit = new Promise((resolve) => worker.once('exit', resolve))
        const faults = await new Promise((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
        })
        assert.strictEqual(faults, 1)
        await worker.terminate()
        await exit
        if (globalThis.Bun) Bun.gc(true)
        else gc()
        const before = touchOwnPage()
        assert.strictEqual(touchOwnPage(), before + 1)
      }
      console.log('alive')
      crash()`,
      { env },
    )
    t.is(stdout, 'alive\n', stderr)
    t.false(timedOut)
    t.true(signal !== null || code !== 0)
    if (runtime.name.startsWith('node')) t.is(signal, 'SIGSEGV')
  })

  const signals = runtime.name === 'deno' ? ['SIGBUS'] : ['SIGBUS', 'SIGSEGV'] // which Deno has no listeners for
  const changes: Record<string, string> = {
    on: 'process.on(signal, listener)',
    'on and off': 'process.on(signal, listener); process.off(signal, listener)',
    'once and removeAllListeners': 'process.once(signal, listener); process.removeAllListeners(signal)',
    'on and off, many times':
      'for (let i = 0; i < 50; i++) { process.addListener(signal, listener); process.removeListener(signal, listener) }',
  }
  if (runtime.name === 'deno') {
    changes["Deno's own"] = 'Deno.addSignalListener(signal, listener); Deno.removeSignalListener(signal, listener)'
  }
  for (const [what, change] of Object.entries(changes)) {
    onPosix(
      `${title}: listeners for signals do not remove the guard, in the same turn or later: ${what}`,
      async (t) => {
        await survives(
          t,
          runtime,
          `${PRELUDE}
        const [before, listener] = [mappings(), () => {}]
        for (const signal of ${JSON.stringify(signals)}) { ${change} }
        before()
        await faultOnce()
        mappings()()
        trap()
        console.log('end')
        process.exit()`,
        )
      },
    )
  }

  if (runtime.name === 'deno') {
    onPosix(`${title}: after a listener of this thread, those of a worker do not remove the guard`, async (t) => {
      await survives(
        t,
        runtime,
        `${PRELUDE}
        const [fault, listener] = [mappings(), () => {}]
        Deno.addSignalListener('SIGBUS', listener)
        Deno.removeSignalListener('SIGBUS', listener)
        const source = 'Deno.addSignalListener("SIGBUS", close); Deno.removeSignalListener("SIGBUS", close); postMessage(0)'
        const worker = new Worker('data:text/javascript,' + source, { type: 'module' })
        await new Promise((resolve) => worker.onmessage = resolve)
        fault()
        // Deno's thread takes a later signal after this one, which would end the process.
        Deno.addSignalListener('SIGUSR1', () => console.log('end') || process.exit())
        Deno.kill(Deno.pid, 'SIGUSR1')
        await sleep(60_000)`,
      )
    })
  }

  onPosix(`${title}: a listener that is added after the guard gets the signals that processes send`, async (t) => {
    await survives(
      t,
      runtime,
      `${PRELUDE}
      import { spawnSync } from 'node:child_process'
      let got = 0
      const fault = mappings()
      process.on('SIGBUS', () => got++)
      await faultOnce()
      fault()
      spawnSync('kill', ['-BUS', String(process.pid)])
      await until(() => got === 1)
      mappings()()
      await faultOnce()
      assert.strictEqual(got, 1)
      console.log('end')
      process.exit()`,
    )
  })

  for (const how of ['default', 'plain', 'informed', 'chained']) {
    test(`${title}: the next mapping installs the handler again after a library has replaced it: ${how}`, async (t) => {
      await survives(
        t,
        runtime,
        `${PRELUDE}
        const { installHandler, replaceHandler, touchOwnPage } = fixture()
        installHandler()
        const fault = mappings()
        const own = touchOwnPage()
        for (let i = 0; i < 3; i++) {
          replaceHandler('${how}')
          await faultOnce()
          mappings()()
        }
        fault()
        // An informed one, which mends nothing, would have its own faults again for ever, with and without the guard.
        ${how === 'informed' ? '' : 'trap(); assert.strictEqual(touchOwnPage(), own + 1)'}
        console.log('end')`,
        { env },
      )
    })
  }

  for (const how of ['plain', 'informed']) {
    test(`${title}: a fault does not repeat for ever where the new handler does not end the process: ${how}`, async (t) => {
      await survives(
        t,
        runtime,
        `${PRELUDE}
        const fault = mappings()
        fixture().replaceHandler('${how}')
        fault()
        await faultOnce()
        console.log('end')`,
        { env },
      )
    })
  }

  test(`${title}: two libraries that install their handlers again and again do not call each other for ever`, async (t) => {
    const unguarded = await ending(t, runtime, `fixture().replaceHandler('chained'); fixture().crash()`)
    const { code, signal, stdout } = await ending(
      t,
      runtime,
      `for (let i = 0; i < 20; i++) {
        mapAnonymous(pageSize).close()
        fixture().replaceHandler('chained')
      }
      console.log('alive')
      fixture().crash()`,
    )
    t.is(stdout, 'alive\n')
    t.deepEqual([code, signal], [unguarded.code, unguarded.signal])
  })
}
