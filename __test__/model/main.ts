// `npm run test:model [SEED [PROGRAMS [RUNTIME]]]`: so many random programs on the main thread of every runtime, and in a worker.

import { runtimes } from '../helpers/runtimes.ts'
import { runPrograms } from './run.ts'

const [seed = String(Date.now() % 2 ** 31), programs = '5000', only] = process.argv.slice(2)
for (const runtime of runtimes()) {
  if (only !== undefined && runtime.name !== only) continue
  for (const thread of ['main', 'worker'] as const) {
    const failed = await runPrograms(runtime, { seed: Number(seed), programs: Number(programs), thread })
    console.log(failed ?? `${runtime.name} ${runtime.version}, ${thread}, seed ${seed}: ${programs} programs`)
    if (failed !== undefined) process.exitCode = 1
  }
}
