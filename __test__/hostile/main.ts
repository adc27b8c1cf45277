// `npm run test:hostile [SEED [RANDOM [RUNTIME [STEP]]]]`: every call with one hostile argument, or one of so many, and RANDOM
// of each function with nothing but such, on every runtime.

import { runtimes } from '../helpers/runtimes.ts'
import { callEverything } from './run.ts'
import { surface } from './surface.ts'

const [seed = String(Date.now() % 2 ** 31), random = '200', only, step = '1'] = process.argv.slice(2)
const everything = surface()
for (const runtime of runtimes()) {
  if (only !== undefined && runtime.name !== only) continue
  const calls = { first: 0, step: Number(step), random: Number(random), seed: Number(seed) }
  const { made, wrong } = await callEverything(runtime, everything, calls)
  console.log(`${runtime.name} ${runtime.version}, seed ${seed}: ${made} calls, ${wrong.length} went wrong`)
  for (const one of wrong) console.log(`  ${one}`)
  if (wrong.length > 0) process.exitCode = 1
}
