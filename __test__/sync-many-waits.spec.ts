// Thousands of waits in one process need hardly any threads.

import { forbidPath } from './helpers/addon.ts'
import { survives } from './helpers/faults.ts'
import { onLinux, where } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { reachesEnd, SYSTEMS } from './helpers/waits.ts'

const asRoot = where(process.platform === 'linux' && process.getuid?.() === 0, 'becomes another user, as root can')

for (const [system, args] of Object.entries(SYSTEMS)) {
  onLinux(`a wait ends with a fault when the file loses its word, ${system}`, async (t) => {
    await survives(t, runtimes()[0]!, scenario('sync-lost-word'), { args, env: { FORBID: forbidPath() } })
  })
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`
  for (const [system, args] of Object.entries(SYSTEMS)) {
    onLinux(`${name}: each of a thousand waits ends when it should, ${system}`, async (t) => {
      await reachesEnd(t, runtime, 'sync-many-waits', args)
    })

    // Deno has no setuid.
    if (runtime.name === 'deno') continue
    asRoot(`${name}: a user who may have only two more threads can wait, ${system}`, async (t) => {
      await reachesEnd(t, runtime, 'sync-few-threads', args)
    })
  }
}
