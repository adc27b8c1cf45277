// A buffer that was transferred away is readable after the mapping is closed.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { collect, sleep, file, ours } from './lifetimes.mjs'

const bytes = Buffer.alloc(8192, 7)
fs.writeFileSync(file, bytes)
const ways = {
  transfer: (ab) => ab.transfer?.(),
  transferToFixedLength: (ab) => ab.transferToFixedLength?.(),
  structuredClone: (ab) => structuredClone(ab, { transfer: [ab] }),
}
for (const [name, way] of Object.entries(ways)) {
  for (const when of ['before', 'after']) {
    const map = mapShared(file)
    const { arrayBuffer } = map
    if (when === 'after') map.close()
    let moved
    try {
      moved = way(arrayBuffer)
    } catch {}
    map.close()
    collect()
    await sleep(10)
    assert.strictEqual(ours(), 0, name)
    if (moved === undefined || moved.byteLength === 0) continue
    const view = new Uint8Array(moved)
    for (let i = 0; i < view.length; i += 512) assert.ok(view[i] === 0 || view[i] === 7, name)
    view[5] = 1
    assert.strictEqual(fs.readFileSync(file)[5], 7)
  }
}
console.log('end')
