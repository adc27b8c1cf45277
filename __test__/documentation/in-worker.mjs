// Runs an example in a worker that is given the handle of a mapping.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { mapShared } from 'memory-map'

const map = mapShared('in-worker.bin', { protection: 'read-write', create: true, length: 4096 })
const worker = new Worker(process.argv[2], { workerData: map.handle })
const [code] = await once(worker, 'exit')
process.exitCode = code
