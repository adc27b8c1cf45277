// `npm run test:injection [RUNTIME [STEP]]`: every call of the system that the library makes fails with each error that
// it can have, on every runtime; with STEP only every so many of them.

import { runtimes } from '../helpers/runtimes.ts'
import { injectFailures, injectFirst } from './run.ts'

const [only = '', step = '1'] = process.argv.slice(2)
for (const runtime of runtimes()) {
  if (only !== '' && runtime.name !== only) continue
  for (const [what, inject] of [
    ['calls', () => injectFailures(runtime, 0, Number(step))],
    ['calls of a first mapping', () => injectFirst(runtime, Number(step))],
  ] as const) {
    const { failed, wrong } = await inject()
    console.log(`${runtime.name} ${runtime.version}: ${failed} ${what} failed, ${wrong.length} went wrong`)
    for (const one of wrong) console.log(`  ${one}`)
    if (wrong.length > 0) process.exitCode = 1
  }
}
