// All views of shared memory read zeros after a stream and close.

import { mapShared } from '../../index.js'
import { check, until } from '../helpers/observe.mjs'
import { path } from './close-in-flight.mjs'

const told = []
const map = mapShared(path, { backing: 'shared-array-buffer', onFault: ({ kind }) => told.push(kind) })
const { buffer } = map
await new Promise((resolve) => map.createReadStream().resume().on('close', resolve))
map.close()
check(
  buffer.every((byte) => byte === 0),
  'all views read zeros',
)
check(await until(() => told.join() === 'closed'), 'which is told: ' + told.join())
console.log('reached the end')
