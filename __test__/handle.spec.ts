// Mappings, locks and the like are not arrays and cannot be cloned: what would make zeros or `{}` of one throws.

import test from 'ava'

import { runScript, runtimes } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  test(`a mapping is not taken for an array, and not cloned (${runtime.name} ${runtime.version})`, async (t) => {
    const source = "await import(process.env.MEMORY_MAP_ROOT + '__test__/helpers/not-arrays.mjs')"
    const { code, stdout, stderr } = await runScript(runtime, source)
    t.is(code, 0, stderr)
    t.is(stdout.trim(), '')
  })
}
