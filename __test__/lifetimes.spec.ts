// Memory stays valid for as long as anything can reach it, and is freed soon after.

import { fixturePath } from './helpers/addon.ts'
import { survives } from './helpers/faults.ts'
import { orLong } from './helpers/long.mjs'
import { onLinux as test } from './helpers/platform.ts'
import { runScript, type Runtime, runtimes, scenario } from './helpers/runtimes.ts'

function onEach(title: string, name: string): void {
  for (const runtime of runtimes()) {
    // On Deno the mappings of a worker that ended stay (scenarios/lifetimes-many-workers.mjs).
    const workers = { node: orLong('52', '1000'), deno: '28' }[runtime.name] ?? '52'
    const options = { env: { FIXTURE: fixturePath(), WORKERS: workers }, timeoutMs: 500_000 }
    test(`${title} (${runtime.name} ${runtime.version})`, async (t) => {
      await survives(t, runtime, scenario(`lifetimes-${name}`), options)
    })
  }
}

onEach('a native thread reads and stores through a buffer that is closed meanwhile', 'native-threads')

onEach('a buffer that was transferred away is readable after the mapping is closed', 'transferred')

onEach('a worker that has sent its buffer away ends', 'sent-away')

onEach('a worker whose buffer was transferred away, and collected elsewhere, ends', 'collected-there')

onEach('many workers that end with open mappings, in every way, leave nothing behind', 'many-workers')

onEach('eight workers map one file and close at random', 'eight-workers')

onEach('mappings that are never closed are unmapped when they are collected', 'collector')

/** Cycles of mapping, viewing and closing, in a loop that yields or does not. */
function cyclesOn(runtime: Runtime, cycles: number, size: number, yields: boolean): void {
  const loop = yields ? 'an asynchronous' : 'a synchronous'
  const name = `${size} bytes are mapped, viewed and closed ${cycles} times in ${loop} loop`
  test.serial(`${name} (${runtime.name} ${runtime.version})`, async (t) => {
    const env = { CYCLES: JSON.stringify([cycles, size, yields]) }
    const { code, signal, stderr, timedOut } = await runScript(runtime, scenario('lifetimes-cycles'), {
      env,
      timeoutMs: 500_000,
    })
    t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, stderr)
  })
}

for (const [index, runtime] of runtimes().entries()) {
  cyclesOn(runtime, index === 0 ? orLong(40_000, 1_000_000) : 20_000, 4096, false)
  cyclesOn(runtime, index === 0 ? orLong(10_000, 100_000) : 5000, 4096, true)
  cyclesOn(runtime, index === 0 ? orLong(1000, 3000) : 500, 2 ** 32 - 4096, false)
}
