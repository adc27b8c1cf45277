// A stream with autoClose closes the mapping when it ends, fails or is destroyed.

import { mapShared } from '../../index.js'
import { check, until } from '../helpers/observe.mjs'
import { path } from './close-in-flight.mjs'

for (const how of ['end', 'destroy', 'error']) {
  const map = mapShared(path)
  const stream = map.createReadStream({ autoClose: true })
  if (how === 'end') stream.resume()
  if (how === 'destroy') stream.destroy()
  if (how === 'error') {
    stream.on('error', () => {}).once('data', () => stream.destroy(new Error('enough')))
  }
  check(await until(() => map.closed), how)
}
const kept = mapShared(path)
await new Promise((resolve) => kept.createReadStream().resume().on('close', resolve))
check(!kept.closed, 'without autoClose it stays open')
kept.close()
console.log('reached the end')
