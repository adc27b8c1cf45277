// Stores that are discarded take little memory: a store to every page of a large mapping that has lost its file, or that is
// read-only, in one turn of the event loop.

import { survives } from './helpers/faults.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  test(`discarded stores to every page of a large mapping take little memory (${runtime.name} ${runtime.version})`, async (t) => {
    const output = await survives(t, runtime, scenario('scratch-memory'))
    t.log(output.trim().replaceAll('\n', ', '))
  })
}
