// The memory goes back when the chunks are gone.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check, isReserved, until } from '../helpers/observe.mjs'
import { path, out, contents } from './read-stream.mjs'

async function use() {
  const map = mapShared(path)
  const { address } = map
  await pipeline(map.createReadStream(), fs.createWriteStream(out))
  const held = []
  for await (const chunk of map.createReadStream()) held.push(chunk)
  map.close()
  check(isReserved(address, contents.length), 'the addresses are kept for the chunks')
  check(held.at(-1).equals(contents.subarray(-held.at(-1).length)), 'the last chunk is there')
  return address
}
const address = await use()
check(await until(() => !isReserved(address, contents.length)), 'and for nobody else')
console.log('reached the end')
