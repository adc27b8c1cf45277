// The input of zlib is closed between two pieces.

import zlib from 'node:zlib'

import { mapPrivate } from '../../index.js'
import { check, until } from '../helpers/observe.mjs'
import { path, pack } from './close-in-use-zlib.mjs'

const told = []
const map = mapPrivate(path, { onFault: ({ kind }) => told.push(kind) })
// A fault is told for as long as a view of the mapping is there.
const view = (globalThis.kept = map.buffer)
const { gzip, done, packed } = pack(view)
gzip.once('data', () => map.close())
await done
check(zlib.gunzipSync(Buffer.concat(packed)).length === 1 << 20, 'the gzip is whole')
check(await until(() => told.length > 0), 'that it read from what was closed is told')
check(
  told.every((kind) => kind === 'closed'),
  told.join(),
)
console.log('reached the end')
