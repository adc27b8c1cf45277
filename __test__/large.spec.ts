// A file of 1 TiB works on every runtime, also where the largest Buffer has 4 GiB.

import { survives } from './helpers/faults.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  test(`a file of 1 TiB is mapped, and used at its start, in the middle and at its end (${runtime.name} ${runtime.version})`, async (t) => {
    await survives(t, runtime, scenario('large'))
  })
}
