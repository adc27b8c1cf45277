// Random programs of everything that can be done with mappings, files and views, on the main thread and in a worker of each
// runtime. Each step must give what a model of plain Buffers says. A program that fails is made as short as possible, and
// printed. `npm run test:model` runs more of them.

import { onLinux as test } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { runPrograms } from './model/run.ts'

const PROGRAMS = 100

for (const [i, runtime] of runtimes().entries()) {
  for (const thread of ['main', 'worker'] as const) {
    const title = `${runtime.name} ${runtime.version}: ${PROGRAMS} random programs do what the model says, thread: ${thread}`
    test.serial(title, async (t) => {
      const seed = thread === 'main' ? i + 1 : i + 101
      t.is(await runPrograms(runtime, { seed, programs: PROGRAMS, thread }), undefined)
    })
  }
}
