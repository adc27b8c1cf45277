// Gzip gets every byte.

import { mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, contents, gzipped } from './read-stream.mjs'

const map = mapShared(path)
check((await gzipped(map.createReadStream())).equals(contents), 'all')
check((await gzipped(map.createReadStream({ start: 3 * 2 ** 20 }))).equals(contents.subarray(3 * 2 ** 20)), 'a part')
map.close()
console.log('reached the end')
