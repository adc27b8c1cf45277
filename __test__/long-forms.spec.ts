// The long forms that docs/testing.md names run without AVA: here with nothing to do.

import { fileURLToPath } from 'node:url'

import { onLinux } from './helpers/platform.ts'
import { run } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const LONG_FORMS: Record<string, string[]> = {
  'changing-memory/run.ts': ['no runtime'],
  'crash/main.ts': ['1', '0', '0'],
  'hostile/main.ts': ['1', '1', 'no runtime'],
  'injection/main.ts': ['no runtime'],
  'model/main.ts': ['1', '1', 'no runtime'],
  'soak/main.ts': ['0', '1', 'plot.svg'],
}

for (const [script, args] of Object.entries(LONG_FORMS)) {
  onLinux.serial(`${script} runs`, async (t) => {
    const path = fileURLToPath(new URL(script, import.meta.url))
    const node = ['--import', import.meta.resolve('@oxc-node/core/register'), path, ...args]
    const { code, stderr } = await run(process.execPath, node, { cwd: scratchFolder(t) })
    t.is(code, 0, stderr)
  })
}
