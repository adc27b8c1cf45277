// Thousands of waits in one process need hardly any threads.

import { forbidPath } from './helpers/addon.ts'
import { survives } from './helpers/faults.ts'
import { onLinux, where } from './helpers/platform.ts'
import { runScript, runtimes, scenario } from './helpers/runtimes.ts'

/** The system calls that are forbidden, by their numbers, which are the same on every architecture. */
const SYSTEMS = {
  'where nothing is forbidden': [],
  'where io_uring is forbidden': ['425'],
  'where io_uring and futex_waitv are forbidden': ['425', '449'],
}

const asRoot = where(process.platform === 'linux' && process.getuid?.() === 0, 'becomes another user, as root can')

for (const [system, args] of Object.entries(SYSTEMS)) {
  onLinux(`a wait ends with a fault when the file loses its word, ${system}`, async (t) => {
    await survives(t, runtimes()[0]!, scenario('sync-lost-word'), { args, env: { FORBID: forbidPath() } })
  })
}

for (const runtime of runtimes()) {
  for (const [system, args] of Object.entries(SYSTEMS)) {
    onLinux(
      `${runtime.name} ${runtime.version}: each of a thousand waits ends when it should, ${system}`,
      async (t) => {
        const options = { args, env: { FORBID: forbidPath() } }
        const { stdout, code, signal, stderr } = await runScript(runtime, scenario('sync-many-waits'), options)
        t.deepEqual({ stdout, code, signal }, { stdout: 'reached the end\n', code: 0, signal: null }, stderr)
      },
    )
  }

  // Deno has no setuid.
  if (runtime.name === 'deno') continue
  for (const [system, args] of Object.entries(SYSTEMS)) {
    asRoot(
      `${runtime.name} ${runtime.version}: a user who may have only two more threads can wait, ${system}`,
      async (t) => {
        const options = { args, env: { FORBID: forbidPath() } }
        const { stdout, code, signal, stderr } = await runScript(runtime, scenario('sync-few-threads'), options)
        t.deepEqual({ stdout, code, signal }, { stdout: 'reached the end\n', code: 0, signal: null }, stderr)
      },
    )
  }
}
