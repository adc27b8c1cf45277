// Each call of the system that the library makes fails, with each error that it can have, alone and every time: what was
// called tells that error or does without, nothing is left behind, and the mapping is as before. A part of the calls on
// each runtime; all of them are `npm run test:injection`.

import { isLinux, is32Bit, where } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { injectFailures, injectFirst } from './injection/run.ts'

const test = where(isLinux && !is32Bit, 'what the library calls is found as in 64-bit programs of Linux')

/** Every so many failures, others on each runtime. */
const STEP = 41

for (const [first, runtime] of runtimes().entries()) {
  test.serial(
    `${runtime.name} ${runtime.version}: calls of the system that fail are told, and leave nothing`,
    async (t) => {
      const { failed, wrong } = await injectFailures(runtime, first, STEP)
      t.deepEqual(wrong, [])
      t.true(failed > 200, `${failed} failures`)
      if (first > 0) return
      t.deepEqual((await injectFirst(runtime, 17)).wrong, [])
    },
  )
}
