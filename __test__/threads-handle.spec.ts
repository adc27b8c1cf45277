// One mapping on several threads, by its handle.

import { survives } from './helpers/faults.ts'
import { orLong } from './helpers/long.mjs'
import { byProgram } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

function onEach(title: string, name: string, env: Record<string, string> = {}): void {
  const program = scenario(`threads-handle-${name}`)
  for (const runtime of runtimes()) {
    byProgram(program)(`${title} (${runtime.name} ${runtime.version})`, async (t) => {
      await survives(t, runtime, program, { env })
    })
  }
}

onEach('every method works on another thread, on the same pages', 'methods')

onEach('the pages stay until every thread has closed its mapping or ended, in each order', 'closing')

onEach('two threads are two owners of locks and channels, and one recovers what the other leaves', 'locks')

onEach('a fault on one thread is told to each thread, and to none that has closed its mapping', 'faults')

onEach('anything but the handle of a mapping in this process is refused', 'foreign')

onEach('threads end with a mapping open, and it is collected, and nothing is left', 'many', {
  WORKERS: orLong('40', '100'),
})
