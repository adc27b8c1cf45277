// The main thread keeps what a worker sent, beyond the worker's end.

import { Worker, isMainThread } from 'node:worker_threads'

import { check, collect, turn, until } from '../helpers/observe.mjs'
import { orLong } from '../helpers/long.mjs'
import { path, isFree, isUntouched, isCopied, use } from './transfer.mjs'
import { begin, end, endings, moments } from './transfer-worker.mjs'

if (isMainThread) {
  const survivors = []
  for (const how of endings) {
    for (const when of moments) {
      for (let i = 0; i < orLong(1, 3); i++) {
        const child = new Worker(new URL(import.meta.url), { workerData: { path, how, when } })
        const exit = new Promise((resolve) => child.once('exit', resolve))
        child.on('error', (error) => check(false, how + ', ' + when + ': ' + (error.message ?? error)))
        const message = await new Promise((resolve) => child.once('message', resolve))
        survivors.push(message)
        use(message.moved, { store: when !== 'never' })
        if (how.startsWith('terminated')) await child.terminate()
        await exit
        use(message.moved, { store: false })
      }
    }
  }
  // Node tells of a worker's end before the worker's memory is gone.
  check(await until(isFree), 'the file is free when its workers have ended')
  for (let i = 0; i < 3; i++) {
    collect()
    await turn(5)
    for (const { moved } of survivors) use(moved)
  }
  check(isUntouched(), 'nothing more reaches the file')
  const ranges = survivors.map(({ address }) => address)
  check(isCopied || new Set(ranges).size === ranges.length, 'no range served twice while somebody had it')
  while (survivors.pop()) collect()
  await turn(20)
  collect()
} else {
  globalThis.kept = await begin()
  // The message goes out before the end.
  setTimeout(end, 5)
}
if (isMainThread) console.log('reached the end')
