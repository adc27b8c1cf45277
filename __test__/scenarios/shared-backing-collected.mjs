// Other threads use the memory after the mapping, which nobody closed, was collected here.

import fs from 'node:fs'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { mapShared } from '../../index.js'
import { areasOfFile, check, collect, turn, until } from '../helpers/observe.mjs'
import { path, length, options, post } from './shared-backing.mjs'

if (isMainThread) {
  const { worker, message } = (() => {
    const map = mapShared(path, options)
    return post({ buffer: map.buffer })
  })()
  for (let i = 0; i < 10; i++) {
    collect()
    await turn(5)
  }
  check(areasOfFile(path) > 0, 'the worker holds it')
  worker.postMessage('go')
  check((await message) === 65 * 256, 'the worker reads it')
  await worker.terminate()
  check(await until(() => areasOfFile(path) === 0), 'nobody holds it')
} else {
  const { buffer } = workerData
  await new Promise((resolve) => parentPort.once('message', resolve))
  let sum = 0
  for (let at = 0; at < length; at += 4096) sum += buffer[at]
  buffer[3] = 66
  check(fs.readFileSync(path)[3] === 66, 'and stores to it')
  parentPort.postMessage(sum)
}
if (isMainThread) console.log('reached the end')
