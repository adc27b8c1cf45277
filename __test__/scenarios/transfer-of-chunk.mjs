// A fault in a transferred chunk is reported when only the new ArrayBuffer is left.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { check, collect, folder, turn, until } from '../helpers/observe.mjs'
import { length, movable, isCopied } from './transfer.mjs'

const file = join(folder(), 'file')
fs.writeFileSync(file, Buffer.alloc(length, 'A'))
let told = 0
const open = mapShared(file, { onFault: () => told++ })
const take = async () => {
  for await (const { buffer } of open.createReadStream()) return movable(buffer)
}
const moved = new Uint8Array(await take())
for (let i = 0; i < 5; i++) {
  collect()
  await turn()
}
fs.truncateSync(file, 0)
check(moved[9000] === (isCopied ? 65 : 0), 'the chunk has what its mapping has')
check(isCopied || (await until(() => told === 1)), 'the fault is told')
console.log('reached the end')
