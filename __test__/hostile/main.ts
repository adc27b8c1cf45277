// `npm run test:hostile [SEED [RANDOM [RUNTIME [STEP]]]]`: every call with one hostile argument, or one of so many, and RANDOM
// of each function with nothing but such, on every runtime.

import { given, wholeNumber } from '../../scripts/arguments.mjs'
import { runtimesNamed } from '../helpers/runtimes.ts'
import { callEverything } from './run.ts'
import { surface } from './surface.ts'

const [first = Date.now() % 2 ** 31, some = 200, name, every = 1] = given(4).positionals
const seed = wholeNumber('SEED', first)
const calls = { first: 0, step: wholeNumber('STEP', every, 1), random: wholeNumber('RANDOM', some), seed }
const chosen = runtimesNamed([name])
const everything = surface()
for (const runtime of chosen) {
  const { made, wrong } = await callEverything(runtime, everything, calls)
  console.log(`${runtime.name} ${runtime.version}, seed ${seed}: ${made} calls, ${wrong.length} went wrong`)
  for (const one of wrong) console.log(`  ${one}`)
  if (wrong.length > 0) process.exitCode = 1
}
