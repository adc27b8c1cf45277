// Counts how often calls read the memory that they are given. Makes the calls of apis.mjs from the `from`-th on, with memory
// whose contents change between two passes (../addon/tripwire.c), and prints a line before and after each. Ends after a
// call that has read the memory more than once, for it may have left anything behind.
//
//     RUNTIME passes.mjs TRIPWIRE BACKING first|all FROM

import fs from 'node:fs'
import { createRequire } from 'node:module'

import { apis, callsOf } from './apis.mjs'

const { mapAnonymous } = await import(new URL('../../index.js', import.meta.url).href)

const [addon, backing, which, from] = process.argv.slice(2)
const { arm, disarm } = createRequire(import.meta.url)(addon)
const say = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`)

let index = 0
for (const [
  name,
  { texts, small, size = small ? 1 << 17 : 4 << 20, inPlace, system, orders = [0, 1] },
] of Object.entries(apis)) {
  if (system) continue
  if (inPlace && which === 'first') continue
  for (const order of which === 'first' ? [0] : orders) {
    const calls = which === 'first' ? callsOf(name).slice(0, 1) : callsOf(name)
    for (const [at, call] of calls.entries()) {
      if (index++ < Number(from)) continue
      const contents = texts.map((make) => make(size))
      const view = mapAnonymous(size, { backing, guard: false }).view(0)
      const buffer = Buffer.from(view.buffer, view.byteOffset, size)
      let outcome = 'returns'
      say({ index, name, at, order })
      arm(view, contents[order], contents[1 - order])
      try {
        await call(buffer)
      } catch (error) {
        outcome = String(error?.code ?? error?.name)
      }
      const touches = disarm()
      say({ index, touches, outcome })
      if (touches > 2) process.exit()
    }
  }
}
say({ end: true })
process.exit()
