// `npm run test:crash [SEED [KILLS [POWER_LOSSES]]]`: so many kills, half of writers and half of processes that share locks and
// messages, and so many times without power on each file system.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { killSharers, killWriters, type Outcome } from './kills.ts'
import { FILE_SYSTEMS, type FileSystem, losePower, noPower } from './power.ts'

const [first = Date.now() % 2 ** 31, all = 500, losses = 50] = given(3).positionals
const seed = wholeNumber('SEED', first)
const half = { seed, kills: Math.ceil(wholeNumber('KILLS', all) / 2) }
const times = wholeNumber('POWER_LOSSES', losses)

async function report(what: string, run: (folder: string) => Promise<Outcome>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-crash-'))
  try {
    const { kills, done, wrong } = await run(folder)
    console.log(`${kills} ${what}, seed ${seed}: ${JSON.stringify(done)}, ${wrong.length} went wrong`)
    for (const one of wrong) console.log(`  ${one}`)
    if (wrong.length > 0) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await report('writers killed', (folder) => killWriters(folder, half))
await report('processes killed that share', (folder) => killSharers(folder, half))
for (const type of Object.keys(FILE_SYSTEMS) as FileSystem[]) {
  const missing = noPower(type)
  if (missing !== undefined) console.log(`no power losses on ${type}: ${missing}`)
  else await report(`power losses on ${type}`, (folder) => losePower(folder, type, { seed, times }))
}
