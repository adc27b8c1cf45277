// Each system call of the library is made to fail, with each error that it can have, once and every time. What the user
// called throws that error or does without; nothing is left behind, and the mapping is as before. Each runtime has a part of
// the failures here; `npm run test:injection` has all of them.

import { isLinux, is32Bit, where } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'
import { injectFailures, injectFirst } from './injection/run.ts'

const test = where(isLinux && !is32Bit, 'what the library calls is found as in 64-bit programs of Linux')

/** Every so many failures, others on each runtime. */
const STEP = 41

for (const [first, runtime] of runtimes().entries()) {
  test.serial(
    `${runtime.name} ${runtime.version}: system calls that fail are reported, and leave nothing behind`,
    async (t) => {
      const { failed, wrong } = await injectFailures(runtime, first, STEP)
      t.deepEqual(wrong, [])
      t.true(failed > 200, `${failed} failures`)
      if (first > 0) return
      t.deepEqual((await injectFirst(runtime, 17)).wrong, [])
    },
  )
}
