// Worker threads have the same memory, with Atomics.

import fs from 'node:fs'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { mapAnonymous, mapPrivate, mapShared } from '../../index.js'
import { areasOfFile, check, descriptorsOf, turn, until } from '../helpers/observe.mjs'
import { path, length, options, told, post } from './shared-backing.mjs'

if (isMainThread) {
  const maps = [] // of one that was collected nothing is told
  for (const make of [
    () => mapShared(path, options),
    () => mapPrivate(path, options),
    () => mapAnonymous(length, options),
  ]) {
    fs.writeFileSync(path, Buffer.alloc(length, 65))
    const map = make()
    const { buffer } = map
    const cell = map.typedArray(Int32Array, 8192, 2)
    const { exit, message } = post({ buffer })
    check(Atomics.wait(cell, 0, cell[0], 120_000) !== 'timed-out', 'the worker wakes the main thread')
    check(buffer[100] === 7, 'what the worker stores is here')
    buffer[101] = 8
    Atomics.store(cell, 1, 5)
    Atomics.notify(cell, 1)
    check((await message) === 8, 'what is stored here is in the worker')
    await exit
    if (map.kind === 'shared') check(fs.readFileSync(path)[100] === 7, 'and in the file')
    if (map.kind === 'private') check(fs.readFileSync(path)[200] === 65, 'and not in the file')
    map.close()
    check(areasOfFile(path) === 0 && descriptorsOf(path) === 0, 'close lets go of the file')
    check(buffer[100] === 0, 'and leaves zeros')
    maps.push(map)
  }
  await until(() => told.length > 2)
  check(told.join() === 'closed,closed,closed', told)
  check(
    maps.every(({ faults }) => faults === 1),
    'and each has had one',
  )
} else {
  const { buffer } = workerData
  check(buffer.buffer instanceof SharedArrayBuffer, 'the memory is shared')
  const cell = new Int32Array(buffer.buffer, buffer.byteOffset + 8192, 2)
  buffer[100] = 7
  buffer[200] = 66
  const last = cell[1]
  Atomics.add(cell, 0, 1)
  while (Atomics.notify(cell, 0) === 0) await turn(5)
  Atomics.wait(cell, 1, last, 120_000)
  parentPort.postMessage(buffer[101])
}
if (isMainThread) console.log('reached the end')
