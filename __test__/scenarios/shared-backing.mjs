// A file, options for a mapping whose views are on a SharedArrayBuffer, and a worker that runs the same program.

import fs from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker, isMainThread, workerData } from 'node:worker_threads'

import { check, folder } from '../helpers/observe.mjs'

export const path = workerData?.path ?? join(folder(), 'file')
export const length = 1 << 20
export const backing = 'shared-array-buffer'
export const options = /** @type {const} */ ({
  backing,
  protection: 'read-write',
  onFault: ({ kind }) => told.push(kind),
})
export const told = []
if (isMainThread) fs.writeFileSync(path, Buffer.alloc(length, 65))
export const post = (data) => {
  const worker = new Worker(pathToFileURL(process.argv[1]), { workerData: { path, ...data } })
  worker.on('error', (error) => check(false, 'a worker: ' + (error?.stack ?? error?.message ?? error)))
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  return { worker, exit, message: new Promise((resolve) => worker.once('message', resolve)) }
}
