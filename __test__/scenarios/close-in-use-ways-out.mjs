// zlib works if it is awaited before close(), or gets a copy.

import { mapPrivate } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, pack, isWhole } from './close-in-use-zlib.mjs'

const map = mapPrivate(path)
const first = pack(map.buffer)
await first.done
check(isWhole(first.packed), 'with await')
const second = pack(map.read())
map.close()
await second.done
check(isWhole(second.packed), 'with a copy')
console.log('reached the end')
