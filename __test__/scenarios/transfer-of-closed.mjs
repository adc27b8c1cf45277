// A use of a transferred chunk of a closed mapping is reported, even when the mapping has been collected.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { check, collect, folder, turn, until } from '../helpers/observe.mjs'
import { isCopied, movable } from './transfer.mjs'

const file = join(folder(), 'file')
fs.writeFileSync(file, Buffer.alloc(4 << 20, 'A'))
const told = []
process.on('warning', ({ message }) => told.push(message))
const onFault = ({ kind }) => told.push(kind)
/** What the first chunk of a stream becomes, and perhaps its mapping. */
async function take(keep) {
  const mapping = mapShared(file, { onFault })
  const moved = []
  for await (const { buffer } of mapping.createReadStream()) moved.push(movable(buffer))
  mapping.close()
  return { bytes: new Uint8Array(moved[0]), mapping: keep && mapping }
}
async function collectAll() {
  for (let i = 0; i < 8; i++) {
    collect()
    await turn()
  }
}
// The last ones keep their bytes; the others may be known only to the code that has them.
for (const [keep, expected] of [
  [true, 'closed'],
  [false, 'transferred out of a mapping'],
]) {
  const { bytes, mapping } = await take(keep)
  await collectAll()
  check(bytes[9000] === (isCopied ? 65 : 0), 'its bytes are gone')
  check(isCopied || (await until(() => told.some((what) => what.includes(expected)))), expected + ': ' + told.join())
  check(!keep || told.length === (isCopied ? 0 : 1), told.join())
  globalThis.kept = mapping
}
console.log('reached the end')
