// Threads with one memory: all of them see the mapping's pages, and the guard protects all of them.

import fs from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { mapShared, pageSize } from '../../index.js'
import { check, collect, folder, turn, until } from '../helpers/observe.mjs'
import { over } from '../helpers/wasm-module.mjs'

const at = 65536
const length = 64 * pageSize
const post = (data) => {
  const worker = new Worker(pathToFileURL(process.argv[1]), { workerData: data })
  worker.on('error', (error) => check(false, 'a worker: ' + (error?.stack ?? error)))
  const message = new Promise((resolve) => worker.once('message', resolve))
  return { worker, message, exit: new Promise((resolve) => worker.once('exit', resolve)) }
}
const sum = (peek) => {
  let count = 0
  for (let i = 0; i < length; i += pageSize) count += peek(at + i) === 65 ? 1 : 0
  return count
}
/** Lays the mapping, unless another is there. */
function layIfFree(map, memory) {
  try {
    return map.into(memory, at)
  } catch (error) {
    check(error.code === 'ERR_MMAP_BUSY', error)
  }
}

if (isMainThread) {
  const path = join(folder(), 'file')
  fs.writeFileSync(path, Buffer.alloc(length, 65))
  const told = []
  const memory = new WebAssembly.Memory({ initial: 100, maximum: 200, shared: true })
  const { peek } = over(memory)

  // This thread lays it, others read it and truncate the file.
  const map = mapShared(path, { onFault: ({ kind }) => told.push(kind) })
  const laid = map.into(memory, at)
  const readers = [1, 2].map(() => post({ job: 'read', memory, path }))
  for (const { message } of readers) check((await message) === 'read', 'the worker lives')
  fs.truncateSync(path, length)
  await until(() => told.length > 0)
  check(map.faults > 0 && told.every((kind) => kind === 'beyond-end'), told)

  // Two threads cannot lay in one place.
  const refused = await post({ job: 'overlap', memory, path }).message
  check(refused === 'ERR_MMAP_BUSY', refused)
  laid.close()
  check(peek(at) === 0, 'zeros')
  map.close()

  // A thread that lays it ends, by itself or not; the pages, or zeros, are there for the others.
  for (const job of ['lay', 'lay and stay']) {
    fs.writeFileSync(path, Buffer.alloc(length, 65))
    const { worker, message, exit } = post({ job, memory, path })
    check((await message) === 64, 'the worker reads it')
    if (job === 'lay and stay') await worker.terminate()
    await exit
    const count = sum(peek)
    check(count === 64 || count === 0, 'all is there: ' + count)
    fs.truncateSync(path, 0)
    check(sum(peek) === 0, 'zeros, and the process lives')
    // What nobody has any more can be laid over.
    fs.writeFileSync(path, Buffer.alloc(length, 65))
    const again = mapShared(path)
    let there
    await until(() => (there = layIfFree(again, memory)) !== undefined) // Deno ends a worker after it has said so
    check(sum(peek) === 64, 'it is there again')
    there.close()
    again.close()
    check(sum(peek) === 0, 'and gone again')
  }

  // Memories of a worker's own go with it.
  for (let i = 0; i < 5; i++) {
    fs.writeFileSync(path, Buffer.alloc(length, 65))
    const { worker, message, exit } = post({ job: 'own', path })
    await message
    if (i % 2) await worker.terminate()
    await exit
    fs.truncateSync(path, 0)
    collect()
    await turn()
  }
  console.log('reached the end')
} else {
  const { job, path, memory = new WebAssembly.Memory({ initial: 100 }) } = workerData
  const { peek } = over(memory)
  if (job === 'read') {
    for (let i = 0; i < 100; i++) {
      if (i === 50) fs.truncateSync(path, pageSize)
      const count = sum(peek)
      check(count >= 1 && count <= 64, 'a byte or zero')
      if (i % 10 === 0) await turn()
    }
    parentPort.postMessage('read')
  } else if (job === 'overlap') {
    let code = 'laid'
    try {
      mapShared(path).into(memory, at + 63 * pageSize)
    } catch (error) {
      code = error.code
    }
    parentPort.postMessage(code)
  } else {
    const laid = mapShared(path).into(memory, at)
    parentPort.postMessage(sum(peek))
    if (job === 'lay and stay') await new Promise((resolve) => setTimeout(resolve, 120_000, laid))
  }
}
