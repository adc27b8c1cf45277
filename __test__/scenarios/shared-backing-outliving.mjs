// The memory outlives the worker that mapped it.

import fs from 'node:fs'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { mapShared } from '../../index.js'
import { areasOfFile, check, collect, stayBusy, turn, until } from '../helpers/observe.mjs'
import { path, length, options, post } from './shared-backing.mjs'

if (isMainThread) {
  for (const how of ['naturally', 'exit', 'terminate', 'busy']) {
    for (const closes of [false, true]) {
      const { worker, exit, message } = post({ how, closes })
      const buffer = await message
      if (how === 'terminate' || how === 'busy') await worker.terminate()
      await exit
      for (let i = 0; i < 4; i++) {
        collect()
        await turn(5)
        for (let at = 0; at < length; at += 4096)
          check(buffer[at] === (closes ? 0 : 65), how + ' ' + closes + ' ' + buffer[at])
      }
      if (!closes) {
        buffer[5] = 70
        check(fs.readFileSync(path)[5] === 70, how + ': stores still reach the file')
        buffer[5] = 65
      }
    }
  }
  for (let i = 0; i < 5; i++) {
    collect()
    await turn(5)
  }
  check(await until(() => areasOfFile(path) === 0), 'the memory goes when no thread can reach it: ' + areasOfFile(path))
} else {
  const { how, closes } = workerData
  const map = mapShared(path, options)
  globalThis.kept = map
  const { buffer } = map
  check(buffer[9] === 65, 'the mapping has its bytes')
  if (closes) map.close()
  parentPort.postMessage(buffer)
  await turn(5)
  if (how === 'exit') process.exit()
  if (how === 'terminate') setInterval(() => {}, 1000)
  if (how === 'busy') stayBusy()
}
if (isMainThread) console.log('reached the end')
