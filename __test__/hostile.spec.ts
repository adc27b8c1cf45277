// Everything that users can call, as the declarations have it, with arguments that no function wants: each call gives
// what is declared or an error with a code, and nothing crashes, hangs or is left behind. What is declared later is called too.
// A part of the calls on each runtime; all of them are `npm run test:hostile`.

import { withCompiler } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { callEverything } from './hostile/run.ts'
import { surface } from './hostile/surface.ts'

/** Every so many calls, others on each runtime. */
const STEP = 37

withCompiler('the declarations are read: nothing that is exported is missing', async (t) => {
  const names = new Set(surface().map(({ owner, name }) => owner ?? name))
  for (const module of [await import('memory-map'), await import('memory-map/sync')]) {
    for (const name of Object.keys(module)) t.true(names.has(name), name)
  }
})

for (const [first, runtime] of runtimes().entries()) {
  withCompiler.serial(
    `${runtime.name} ${runtime.version}: hostile arguments give results or coded errors`,
    async (t) => {
      const { made, wrong } = await callEverything(runtime, surface(), { first, step: STEP, random: 3, seed: 1 })
      t.deepEqual(wrong, [])
      t.true(made > 1200, `${made} calls`)
    },
  )
}
