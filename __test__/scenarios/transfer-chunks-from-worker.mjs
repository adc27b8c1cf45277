// Chunks of a stream that a worker has transferred keep their bytes when it ends.

import { isMainThread, parentPort, Worker } from 'node:worker_threads'

import { check } from '../helpers/observe.mjs'
import { map, path } from './transfer.mjs'
import { end, endings } from './transfer-worker.mjs'

if (isMainThread) {
  const own = map()
  const { buffer } = own
  for (const how of endings) {
    const child = new Worker(new URL(import.meta.url), { workerData: { path, how } })
    child.on('error', (error) => check(false, how + ': ' + (error.message ?? error)))
    const exit = new Promise((resolve) => child.once('exit', resolve))
    const chunks = []
    await new Promise((resolve) =>
      child.on('message', (chunk) => (chunk === 'all' ? resolve(chunk) : chunks.push(chunk))),
    )
    if (how.startsWith('terminated')) await child.terminate()
    await exit
    check(Buffer.concat(chunks.map((chunk) => new Uint8Array(chunk))).equals(buffer), how + ': the bytes are there')
  }
} else {
  const kept = (globalThis.kept = map())
  for await (const { buffer } of kept.createReadStream()) parentPort.postMessage(buffer, [buffer])
  parentPort.postMessage('all')
  setTimeout(end, 5)
}
if (isMainThread) console.log('reached the end')
