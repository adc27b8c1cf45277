// A use of a transferred chunk of a closed mapping is reported, even when the mapping has been collected.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { check, collect, folder, isBun, turn, until } from '../helpers/observe.mjs'
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
for (const { keep, expected } of [
  { keep: true, expected: /^closed$/ },
  // Bun's collector looks at the stack, and sometimes keeps what is not used any more.
  { keep: false, expected: isBun ? /transferred out of a mapping|^closed$/ : /transferred out of a mapping/ },
]) {
  const before = told.length
  const { bytes, mapping } = await take(keep)
  await collectAll()
  check(bytes[9000] === (isCopied ? 65 : 0), 'its bytes are gone')
  const isTold = isCopied || (await until(() => told.slice(before).some((what) => expected.test(what))))
  check(isTold, expected + ': ' + told.join())
  check(!keep || told.length === (isCopied ? 0 : 1), told.join())
  globalThis.kept = mapping
}
console.log('reached the end')
