// A truncated file is an error.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check, until } from '../helpers/observe.mjs'
import { path, out } from './read-stream.mjs'

let kinds = []
const map = mapShared(path, { onFault: ({ kind }) => kinds.push(kind) })
const stream = map.createReadStream()
stream.once('data', () => fs.truncateSync(path, 70_000))
const error = await pipeline(stream, fs.createWriteStream(out)).catch((error) => error)
check(error?.code === 'ERR_MMAP_FAULT' && error.fault.kind === 'beyond-end', String(error))
check(fs.statSync(out).size < 3 * 2 ** 16, 'nothing was written from behind the end')
check(await until(() => kinds.includes('beyond-end')), 'it is told')
map.close()
console.log('reached the end')
