// What tools do to the global object: timers that stand still, the objects of a browser, prototypes that are frozen.

import test from 'ava'

import { survives } from './helpers/faults.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  const on = `(${runtime.name} ${runtime.version})`

  test(`waits, streams and news of faults go on while timers and clocks stand still ${on}`, async (t) => {
    await survives(t, runtime, scenario('test-environment-timers'))
  })

  test(`it works with a global object like a browser's ${on}`, async (t) => {
    await survives(t, runtime, scenario('test-environment-globals'))
  })

  test(`it works with frozen prototypes ${on}`, async (t) => {
    await survives(t, runtime, scenario('test-environment-frozen'))
  })
}
