// Words of mutexes, semaphores and channels that JavaScript changes itself, with Atomics.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import { mapShared } from 'memory-map'
import { Mutex } from 'memory-map/sync'

import { scriptEnv } from './helpers/processes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { HANG_MS } from './helpers/until.ts'

const contender = fileURLToPath(new URL('helpers/contender.mjs', import.meta.url))

/** The engines' compilers, each of which compiles Atomics in its own way. */
const TIERS = [
  { name: 'all tiers', args: [], env: {} },
  { name: 'the interpreter', args: ['--jitless'], env: { JSC_useJIT: '0' } },
  { name: 'the baseline', args: ['--no-opt'], env: { JSC_useDFGJIT: '0' } },
]

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`JavaScript changes words itself, and only where the mapping is at that moment (${name})`, async (t) => {
    const source = "await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/direct-words.mjs')"
    const { code, stdout, stderr } = await runScript(runtime, source)
    t.is(code, 0, stderr)
    t.is(stdout.trim(), '')
  })

  for (const tier of TIERS) {
    const args = runtime.name === 'bun' || runtime.name === 'deno' ? runtime.args : [...tier.args, ...runtime.args]
    if (runtime.name === 'deno' && tier.args.length > 0) continue // the same engine as Node's

    test(`two processes that change words at once lose no change, compiled by ${tier.name} (${name})`, async (t) => {
      const file = sparseFile(t, 4096)
      const map = mapShared(file, { protection: 'read-write' })
      const start = () => {
        const child = spawn(runtime.command, [...args, contender, file], {
          env: scriptEnv(tier.env),
          stdio: 'inherit',
        })
        return once(child, 'exit')
      }
      const ends = await Promise.all([start(), start()])
      t.deepEqual(ends, [
        [0, null],
        [0, null],
      ])
      const { counted, swapped, added, permits } = JSON.parse(JSON.stringify(read(map)))
      t.deepEqual(
        { counted, swapped, added, permits },
        { counted: 40_000, swapped: 400_000, added: 400_000, permits: 3 },
      )
      map.close()
    })
  }

  test(`the lock of a process that is killed at any instruction is recovered (${name})`, async (t) => {
    const file = sparseFile(t, 4096)
    const map = mapShared(file, { protection: 'read-write' })
    const mutex = new Mutex(map, 64)
    const words = map.typedArray(Int32Array)
    let recovered = 0
    // About every second one has the lock.
    for (let run = 0; run < 10 || (recovered === 0 && run < 100); run++) {
      const before = Atomics.load(words, 40)
      const child = spawn(runtime.command, [...runtime.args, contender, file, 'for ever'], {
        env: scriptEnv(),
        stdio: 'inherit',
      })
      const exit = once(child, 'exit')
      // By now it has locked so often that it changes the word itself.
      while (Atomics.load(words, 40) - before < 20_000) await new Promise((resolve) => setImmediate(resolve))
      child.kill('SIGKILL')
      await exit
      const how = mutex.lock(HANG_MS)
      // What it stored under the lock tells whether it had the lock.
      if (Atomics.load(words, 41) === 1) t.is(how, 'recovered')
      if (how === 'recovered') recovered++
      Atomics.store(words, 41, 0)
      mutex.unlock()
      t.is(mutex.lock(), 'acquired')
      mutex.unlock()
    }
    t.true(recovered > 0)
    map.close()
  })
}

function read(map: ReturnType<typeof mapShared>) {
  const [words, big] = [map.typedArray(Int32Array), map.typedArray(BigInt64Array)]
  return { counted: words[48], swapped: Number(big[28]), added: words[60], permits: Number(big[16]) - 1 }
}
