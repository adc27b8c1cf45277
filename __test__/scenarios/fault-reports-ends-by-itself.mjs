// The process ends by itself after faults, which are reported before.

import { mapAnonymous, mapShared, pageSize } from '../../index.js'
import { makeFile } from '../helpers/scenario.mjs'

process.on('exit', () => console.log('exit', told))
let told = 0
const map = mapShared(makeFile(1), { onFault: () => told++ })
const other = mapAnonymous(pageSize, { protection: 'read', onFault: () => told++ })
map.buffer[0] = 1
other.buffer[0] = 1
console.log('last line')
