// `npm run test:soak [MINUTES [SEED [PLOT]]]`: a mixed load for so many minutes, and what it has left; the samples as SVG in PLOT.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { plot } from './plot.ts'
import { judge, MEASURES, soak } from './run.ts'

const [long = 10, first = Date.now() % 2 ** 31, file = 'target/soak.svg'] = given(3).positionals
const [minutes, seed] = [wholeNumber('MINUTES', long), wholeNumber('SEED', first)]
const folder = mkdtempSync(join(tmpdir(), 'memory-map-soak-'))
try {
  const soaked = await soak(folder, { seconds: minutes * 60, seed })
  console.log(`${minutes} minutes, seed ${seed}: ${JSON.stringify(soaked.done)}`)
  for (const { name, measure, early, late, isGrown } of judge(soaked)) {
    const [from, to] = [early, late].map((value) => Math.round(value))
    const change = measure === 'held' ? `${to}, who watches ${from}` : `${from} after the warm-up, ${to} at the end`
    console.log(`  ${name}, ${MEASURES[measure]}: ${change}${isGrown ? ': TOO MUCH' : ''}`)
    if (isGrown) process.exitCode = 1
  }
  for (const one of soaked.wrong) console.log(`  ${one}`)
  if (soaked.wrong.length > 0) process.exitCode = 1
  writeFileSync(file, plot(soaked, `A mixed load for ${minutes} minutes`))
  console.log(`  ${file}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
