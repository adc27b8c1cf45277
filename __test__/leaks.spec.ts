// Thousands of mappings that were used and closed leave nothing behind, nor do thousands of calls that failed. A process
// of its own counts what it holds before and after.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { endsWell, lastLines, runLifetime } from './helpers/lifetimes.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

for (const runtime of runtimes()) {
  for (const [what, name] of [
    ['thousands of mappings that were used and closed', 'leaks-successes'],
    ['thousands of calls that failed', 'leaks-failures'],
  ] as const) {
    test(`${what} leave nothing (${runtime.name} ${runtime.version})`, async (t) => {
      const folder = join(scratchFolder(t), 'memory-map')
      mkdirSync(folder)
      const small = name === 'leaks-failures' ? mountFileSystem(t, 'tmpfs')?.folder : undefined
      const env = { HERE: folder, ...(small === undefined ? {} : { SMALL: small }) }
      const { code, signal, stdout, stderr, timedOut } = await runLifetime(runtime, scenario(name), { env })
      t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, lastLines(stdout + stderr))
      t.true(stdout.endsWith('reached the end\n'), lastLines(stdout + stderr))
      t.log(stdout.split('\n')[0])
    })
  }

  test(`mappings that are viewed and closed in one turn leave nothing to JavaScript in it (${runtime.name} ${runtime.version})`, async (t) => {
    await endsWell(
      t,
      runtime,
      `
      const cycle = (times) => {
        for (let i = 0; i < times; i++) {
          const map = mapAnonymous(pageSize)
          map.view(0, 8)
          map.close()
        }
        collect()
        collect()
        return process.memoryUsage().heapUsed
      }
      const before = cycle(20_000) // with what the runtime takes for itself
      const bytes = cycle(20_000) - before
      check(bytes < 20_000 * 100, bytes + ' bytes are left')`,
    )
  })
}
