// onFault is called even if a subscriber of the channel throws.

import { subscribe } from 'node:diagnostics_channel'

import { mapShared } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const told = []
subscribe('memory-map.fault', () => {
  throw new Error('subscriber')
})
process.on('uncaughtException', (error) => told.push(error.message))
const map = mapShared(makeFile(1), { onFault: () => told.push('onFault') })
map.buffer[0] = 1
await until(() => told.length === 2)
console.log(told.join('\n'))
