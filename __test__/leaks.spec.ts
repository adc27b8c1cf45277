// Thousands of mappings that were used and closed leave nothing behind, nor do thousands of calls that failed. A process
// of its own counts what it holds before and after.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { lastLines, runLifetime } from './helpers/lifetimes.ts'
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
}
