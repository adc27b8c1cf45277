// A use of memory that a worker transferred is reported in another thread after the worker has ended.

import { isMainThread, parentPort, Worker } from 'node:worker_threads'

import { check, until } from '../helpers/observe.mjs'
import { isCopied, map, movable, path } from './transfer.mjs'
import { end } from './transfer-worker.mjs'

if (isMainThread) {
  globalThis.kept = map().buffer // this thread uses the library, too
  const warnings = []
  process.on('warning', ({ message }) => warnings.push(message))
  for (const how of ['naturally', 'terminated, idle']) {
    const child = new Worker(new URL(import.meta.url), { workerData: { path, how } })
    const exit = new Promise((resolve) => child.once('exit', resolve))
    const moved = await new Promise((resolve) => child.once('message', resolve))
    if (how.startsWith('terminated')) await child.terminate()
    await exit
    if (!isCopied) check(await until(() => new Uint8Array(moved).every((byte) => byte === 0)), how + ': it is gone')
  }
  if (!isCopied) check(await until(() => warnings.length > 0), 'there is a warning')
  check(
    warnings.every((message) => message.includes('its worker has ended')),
    warnings.join(),
  )
  check(warnings.length <= 1, 'it is told once')
} else {
  const moved = movable((globalThis.kept = map()).arrayBuffer)
  parentPort.postMessage(moved, [moved])
  setTimeout(end, 5)
}
if (isMainThread) console.log('reached the end')
