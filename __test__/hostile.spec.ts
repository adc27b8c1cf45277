// Everything that users can call, as the declarations have it, is called with arguments that no function wants. Each call
// gives what is declared or an error with a code; nothing crashes, hangs or is left behind. Each runtime makes a part of
// the calls here; `npm run test:hostile` makes all of them.

import { withCompiler } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { callEverything } from './hostile/run.ts'
import { type Operation, surface } from './hostile/surface.ts'

/** Every so many calls, others on each runtime. */
const STEP = 37

let found: Operation[] | undefined
/** It takes the compiler, which is asked once. */
const everything = () => (found ??= surface())

withCompiler('everything that is exported is found in the declarations', async (t) => {
  const names = new Set(everything().map(({ owner, name }) => owner ?? name))
  for (const module of [await import('memory-map'), await import('memory-map/sync')]) {
    for (const name of Object.keys(module)) t.true(names.has(name), name)
  }
})

for (const [first, runtime] of runtimes().entries()) {
  withCompiler.serial(
    `${runtime.name} ${runtime.version}: hostile arguments give results or coded errors`,
    async (t) => {
      const { made, wrong } = await callEverything(runtime, everything(), { first, step: STEP, random: 3, seed: 1 })
      t.deepEqual(wrong, [])
      t.true(made > 1200, `${made} calls`)
    },
  )
}
