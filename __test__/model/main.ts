// `npm run test:model [SEED [PROGRAMS [RUNTIME]]]`: so many random programs on the main thread of every runtime, and in a worker.

import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { runtimesNamed } from '../helpers/runtimes.ts'
import { runPrograms } from './run.ts'

const [first = Date.now() % 2 ** 31, many = 5000, name] = given(3).positionals
const [seed, programs] = [wholeNumber('SEED', first), wholeNumber('PROGRAMS', many, 1)]
for (const runtime of runtimesNamed([name])) {
  for (const thread of ['main', 'worker'] as const) {
    const failed = await runPrograms(runtime, { seed, programs, thread })
    console.log(failed ?? `${runtime.name} ${runtime.version}, ${thread}, seed ${seed}: ${programs} programs`)
    if (failed !== undefined) process.exitCode = 1
  }
}
