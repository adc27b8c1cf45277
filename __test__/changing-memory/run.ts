// The long form of ../changing-memory.spec.ts: every call of apis.mjs, on each runtime and backing, with memory that changes
// between two passes and with memory that another process stores to and truncates. What crashes here is by chance where
// the spec is not. Prints each call that does not go over the memory once, or does not survive.
//
//     npm run test:changing [-- RUNTIME...] [-- --milliseconds=2000]

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { tripwirePath } from '../helpers/addon.ts'
import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { type Runtime, runtimesNamed } from '../helpers/runtimes.ts'
import { callsMadeBy, type Call } from './children.ts'

const LENGTH = 1 << 18
const { values, positionals } = given(Infinity, { milliseconds: { type: 'string', default: '1000' } })
const milliseconds = wholeNumber('--milliseconds', values.milliseconds, 1)

async function underFire(runtime: Runtime, backing: string): Promise<Call[]> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-fire-'))
  const [data, control] = [join(folder, 'data'), join(folder, 'control')]
  writeFileSync(data, Buffer.alloc(LENGTH))
  const told = Buffer.alloc(64 + 2 * LENGTH)
  told.writeUInt32LE(LENGTH)
  writeFileSync(control, told)
  const peer = spawn(process.execPath, [fileURLToPath(new URL('peer.mjs', import.meta.url)), data, control], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: 'inherit',
  })
  try {
    return await callsMadeBy(runtime, 'fire.mjs', [data, control, backing, String(milliseconds)])
  } finally {
    peer.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const runtime of runtimesNamed(positionals)) {
  for (const backing of runtime.name === 'bun' ? ['array-buffer'] : ['array-buffer', 'shared-array-buffer']) {
    const passes = await callsMadeBy(runtime, 'passes.mjs', [tripwirePath(), backing, 'all'])
    const fire = await underFire(runtime, backing)
    const title = `${runtime.name} ${runtime.version}, ${backing}`
    console.log(`\n${title}: ${passes.length} calls between two passes, ${fire.length} under fire`)
    for (const { name, at, order, touches, outcome, died } of passes) {
      if (died !== undefined) console.log(`  between passes: ${name} #${at}, order ${order}: ended by ${died}`)
      else if (touches! > 2) console.log(`  between passes: ${name} #${at}, order ${order}: more than one, ${outcome}`)
    }
    for (const { name, at, calls, died, beside } of fire) {
      if (died !== undefined) console.log(`  under fire: ${name} #${at}: ended by ${died}`)
      else if (beside === 'CHANGED')
        console.log(`  under fire: ${name} #${at}: memory beside was changed, in ${calls} calls`)
    }
  }
}
