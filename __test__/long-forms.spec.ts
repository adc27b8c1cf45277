// The long forms that docs/testing.md names, and other checks that take names and numbers, run without AVA: here with as
// little to do as can be, and with what they do not know.

import { fileURLToPath } from 'node:url'

import { onLinux } from './helpers/platform.ts'
import { run } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

/** Of all calls the first alone. */
const FIRST = '1000000000'

const LITTLE: [script: string, ...args: string[]][] = [
  ['crash/main.ts', '1', '0', '0'],
  ['hostile/main.ts', '1', '0', 'node', FIRST],
  ['injection/main.ts', '', FIRST],
  ['model/main.ts', '1', '1', 'node'],
  ['soak/main.ts', '0', '1', 'plot.svg'],
]

/** What is not known, and what is said of it. */
const UNKNOWN: [says: RegExp, script: string, ...args: string[]][] = [
  [/no runtime "nonsense", only node/, 'changing-memory/run.ts', 'nonsense'],
  [/'--nonsense'/, 'changing-memory/run.ts', '--nonsense'],
  [/--milliseconds .* "2s"/, 'changing-memory/run.ts', '--milliseconds=2s'],
  [/KILLS .* "many"/, 'crash/main.ts', '1', 'many'],
  [/no runtime "nonsense", only node/, 'hostile/main.ts', '1', '1', 'nonsense'],
  [/STEP .* from 1 on, .* "0"/, 'hostile/main.ts', '1', '1', 'node', '0'],
  [/no runtime "nonsense", only node/, 'injection/main.ts', 'nonsense'],
  [/STEP .* "bun"/, 'injection/main.ts', 'node', 'bun'],
  [/no runtime "nonsense", only node/, 'model/main.ts', '1', '1', 'nonsense'],
  [/takes no bun/, 'model/main.ts', '1', '1', 'node', 'bun'],
  [/MINUTES .* "ten"/, 'soak/main.ts', 'ten'],
  [/no target "nonsense", only all, broadcast, /, '../scripts/fuzz.mjs', 'nonsense'],
  [/SECONDS, .* "nonsense"/, '../scripts/fuzz.mjs', 'queue', 'nonsense'],
  [/no sanitizer "nonsense", only address, /, '../scripts/sanitizers.mjs', 'nonsense'],
  [/RUNS .* "nonsense"/, '../scripts/test-loaded.mjs', 'nonsense'],
  [/AT_ONCE .* "all"/, '../scripts/test-loaded.mjs', '20', 'all'],
  [/no part "nonsense", only x64, /, '../.ci/platforms/run.mjs', 'nonsense'],
  [/no part "nonsense", only x64, /, '../.ci/platforms/part.mjs', 'nonsense'],
  [/no step "nonsense", only library/, '../.ci/platforms/part.mjs', 'musl', 'nonsense'],
  [/no question "nonsense", only open, /, '../bench/run.mjs', 'nonsense'],
  [/'--quik'/, '../bench/run.mjs', '--quik'],
  [/'--quik'/, 'deploy/run.mjs', '--quik'],
]

function runNode(cwd: string, script: string, args: string[]) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const loader = script.endsWith('.ts') ? ['--import', import.meta.resolve('@oxc-node/core/register')] : []
  return run(process.execPath, [...loader, path, ...args], { cwd }, 540_000)
}

for (const [script, ...args] of LITTLE) {
  onLinux.serial(`${script} runs`, async (t) => {
    const { code, stdout, stderr } = await runNode(scratchFolder(t), script, args)
    t.is(code, 0, stdout + stderr)
  })
}

for (const [says, script, ...args] of UNKNOWN) {
  onLinux.serial(`${script} ${args.join(' ')} ends with 2, and says what there is`, async (t) => {
    const { code, stdout, stderr } = await runNode(scratchFolder(t), script, args)
    t.is(code, 2, stdout + stderr)
    t.regex(stderr, says)
  })
}
