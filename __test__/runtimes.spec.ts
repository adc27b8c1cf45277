// The core of the package on every runtime: what each must be able to do, in one script that ends by itself.

import test from 'ava'

import { survives } from './helpers/faults.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  test(`the core works on ${runtime.name} ${runtime.version}`, async (t) => {
    const output = await survives(t, runtime, scenario('runtimes'))
    t.log(output.trim().replaceAll('\n', ', '))
  })
}
