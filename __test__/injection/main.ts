// `npm run test:injection [RUNTIME [STEP]]`: every call of the system that the library makes fails with each error that
// it can have, on every runtime; with STEP only every so many of them. '' stands for all runtimes.

import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { runtimesNamed } from '../helpers/runtimes.ts'
import { injectFailures, injectFirst } from './run.ts'

const [name, every = 1] = given(2).positionals
const step = wholeNumber('STEP', every, 1)
for (const runtime of runtimesNamed([name])) {
  for (const [what, inject] of [
    ['calls', () => injectFailures(runtime, 0, step)],
    ['calls of a first mapping', () => injectFirst(runtime, step)],
  ] as const) {
    const { failed, wrong } = await inject()
    console.log(`${runtime.name} ${runtime.version}: ${failed} ${what} failed, ${wrong.length} went wrong`)
    for (const one of wrong) console.log(`  ${one}`)
    if (wrong.length > 0) process.exitCode = 1
  }
}
