// Workers read while the file is truncated.

import fs from 'node:fs'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { mapShared } from '../../index.js'
import { check, turn, until } from '../helpers/observe.mjs'
import { path, length, options, told, post } from './shared-backing.mjs'

if (isMainThread) {
  const map = mapShared(path, options)
  const { buffer } = map
  const workers = [post({ buffer }), post({ buffer })]
  fs.truncateSync(path, 4096)
  for (const { message } of workers) check((await message) === 'read', 'the worker lives')
  check(buffer[0] === 65 && buffer[length - 1] === 0 && map.faults >= 1, 'loads give zeros')
  await until(() => told.length > 0)
  check(told.length >= 1 && told.every((kind) => kind === 'beyond-end'), told)
} else {
  const { buffer } = workerData
  for (let i = 0; i < 300; i++) {
    for (let at = 0; at < length; at += 4096) check(buffer[at] === 65 || buffer[at] === 0, 'a byte or zero')
    if (i % 30 === 0) await turn()
  }
  parentPort.postMessage('read')
}
if (isMainThread) console.log('reached the end')
