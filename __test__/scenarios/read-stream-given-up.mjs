// An AbortSignal, destroy(), a loop that is left, and wrong options.

import { once } from 'node:events'

import { mapAnonymous, mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path } from './read-stream.mjs'

const map = mapShared(path)
const controller = new AbortController()
const aborted = map.createReadStream({ signal: controller.signal })
aborted.once('data', () => controller.abort())
const [error] = await once(aborted, 'error')
check(error.name === 'AbortError', String(error))
const destroyed = map.createReadStream()
destroyed.once('data', () => destroyed.destroy())
await once(destroyed, 'close')
let bytes = 0
for await (const chunk of map.createReadStream()) if ((bytes += chunk.length) > 2 ** 20) break
check(bytes === 2 ** 20 + 2 ** 16, 'the loop was left')
for (const options of [{ start: -1 }, { start: 2, end: 1 }, { end: 'x' }, { highWaterMark: 0 }, { wrong: 1 }]) {
  try {
    map.createReadStream(/** @type {object} */ (options))
    check(false, 'no error')
  } catch (error) {
    check(error.code.startsWith('ERR_'), String(error))
  }
}
map.close()
check(mapAnonymous(0).createReadStream().read() === null, 'nothing')
console.log('reached the end')
