// A zlib stream that holds a view, but waits for room for its output, and begins no operation of the runtime's.

import fs from 'node:fs'
import zlib from 'node:zlib'

import { mapShared } from '../../index.js'
import { check, turn, until } from '../helpers/observe.mjs'
import { bytes, path } from './close-in-flight.mjs'

for (const how of ['close', 'resize']) {
  for (const when of ['while it waits', 'in the middle of its output']) {
    const told = []
    const map = mapShared(path, { protection: 'read-write', onFault: ({ kind }) => told.push(kind) })
    const packer = zlib.createGzip()
    const failed = new Promise((resolve) => packer.once('error', resolve).once('end', () => resolve('end')))
    const finish = () => (how === 'close' ? map.close() : map.resize(bytes.length / 2))
    // A fault is told for as long as a view of the mapping is there.
    packer.write((globalThis.kept = map.buffer))
    if (when === 'while it waits') {
      for (let before = 0; before === 0 || before !== packer.readableLength; await turn(10))
        before = packer.readableLength
      finish()
      packer.resume().end()
    } else {
      packer.once('data', finish).resume().end()
    }
    const error = await failed
    // If the runtime is at work, as Bun may be on another thread, the view is left as it is, and reads zeros.
    const isTold = error === 'end' ? await until(() => told.includes('closed')) : error.code === 'ERR_MMAP_CLOSED'
    check(isTold, how + ' ' + when + ': ' + (error.stack ?? error))
    map.close()
    fs.writeFileSync(path, bytes)
  }
}
console.log('reached the end')
