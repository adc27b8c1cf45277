// A file gets every byte.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'

import { mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, out, contents } from './read-stream.mjs'

const map = mapShared(path)
await pipeline(map.createReadStream(), fs.createWriteStream(out))
check(fs.readFileSync(out).equals(contents), 'all')
await pipeline(map.createReadStream({ start: 1000, end: 2n ** 21n, highWaterMark: 5000 }), fs.createWriteStream(out))
check(fs.readFileSync(out).equals(contents.subarray(1000, 2 ** 21 + 1)), 'a part')
map.close()
console.log('reached the end')
