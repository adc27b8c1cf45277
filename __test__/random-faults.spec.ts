// Random steps on many mappings, the same in every run: truncation, growth, protection, stores, loads, copies, syncs, closes
// and garbage collection. A model says what every byte must be (helpers/random-faults.mjs).

import { onPosix as test } from './helpers/platform.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'

const source = `await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/random-faults.mjs')`

/** Seed, steps and pages in a file: many small mappings, and a few with many faults between two turns. */
const runs = [
  [1, 5000, 40],
  [2, 5000, 4],
  [3, 1200, 500],
]

for (const runtime of runtimes()) {
  for (const [seed, steps, pages] of runs) {
    test.serial(
      `${runtime.name} ${runtime.version}: ${steps} random steps on files of ${pages} pages do what the model says`,
      async (t) => {
        const { code, signal, stdout, stderr, timedOut } = await runScript(runtime, source, {
          args: [seed, steps, pages].map(String),
        })
        t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, stderr)
        t.regex(stdout, new RegExp(`^seed ${seed}: ${steps} steps, \\d+ mappings\\n$`))
      },
    )
  }
}
