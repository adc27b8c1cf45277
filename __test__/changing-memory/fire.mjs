// Makes the calls of apis.mjs from the `from`-th on, each for some time, with memory that peer.mjs changes meanwhile. Says
// of each on a line before and after: how often it was called, and how it ended. Memory beside the mapping is looked at.
//
//     RUNTIME fire.mjs DATA CONTROL BACKING FROM MILLISECONDS

import fs from 'node:fs'

import { apis, callsOf } from './apis.mjs'

const { mapAnonymous, mapShared } = await import(
  new URL('index.js', process.env.MEMORY_MAP_ROOT ?? new URL('../../', import.meta.url)).href
)

const [data, control, backing, from, milliseconds] = process.argv.slice(2)
const say = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`)
const { buffer: told } = mapShared(control, { protection: 'read-write' })

const LENGTH = 1 << 18 // as in peer.mjs and run.ts
const base = 0x600000000000n
const beside = (address) => mapAnonymous(1 << 20, { address }).buffer.fill('beside')
const near = backing === 'array-buffer'
const neighbours = near ? [beside(base), beside(base + (1n << 20n) + BigInt(LENGTH))] : []
const expected = Buffer.alloc(1 << 20, 'beside')
told[4] = 0 // no more truncation: what is mapped should be all there
while (fs.statSync(data).size < LENGTH) await new Promise((done) => setTimeout(done, 10))
const map = mapShared(data, {
  protection: 'read-write',
  backing,
  onFault() {},
  ...(near && { address: base + (1n << 20n) }),
})
const turn = () => new Promise((done) => setImmediate(done))

/** Has the other process store these texts. */
function tell(texts, truncates) {
  told[4] = truncates ? 1 : 0
  texts.forEach((text, i) => told.set(text.subarray(0, LENGTH), 64 + i * LENGTH))
}

let index = 0
for (const [name, { texts, small, whole }] of Object.entries(apis)) {
  for (const [at, call] of callsOf(name).entries()) {
    if (index++ < Number(from)) continue
    say({ index, name, at })
    const outcomes = {}
    let calls = 0
    for (const truncates of [false, true]) {
      await tell(
        texts.map((make) => make(LENGTH)),
        truncates,
      )
      const view = map.view(0, LENGTH)
      const end = performance.now() + Number(milliseconds) / (truncates ? 3 : 1)
      while (performance.now() < end) {
        const length = small ? 1 << 14 : whole ? LENGTH : [LENGTH, 300, 6000, 65536][calls % 4]
        calls++
        let outcome = 'returns'
        try {
          await call(Buffer.from(view.buffer, view.byteOffset, length & ~7))
        } catch (error) {
          outcome = String(error?.code ?? error?.name)
        }
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
        if (truncates || calls % 16 === 0) await turn()
      }
      globalThis.gc?.()
      globalThis.Bun?.gc(true)
    }
    say({
      index,
      calls,
      outcomes,
      beside: neighbours.every((neighbour) => neighbour.equals(expected)) ? 'kept' : 'CHANGED',
    })
    for (const neighbour of neighbours) neighbour.fill('beside')
  }
}
say({ end: true })
process.exit()
