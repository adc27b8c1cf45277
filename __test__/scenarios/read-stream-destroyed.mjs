// A stream that is destroyed while a read is under way has not finished.

import { finished } from 'node:stream'

import { mapAnonymous } from '../../index.js'
import { check } from '../helpers/observe.mjs'

const map = mapAnonymous(2 ** 22)

// After the first chunk, and after the last of 1 MiB, which is brought in together, and the last of all: between each
// two of the promises that the next read waits for.
for (const chunks of [1, 16, 64]) {
  for (let promises = 0; promises < 12; promises++) {
    const stream = map.createReadStream()
    /** @type {Promise<NodeJS.ErrnoException | null | undefined>} */
    const outcome = new Promise((resolve) => finished(stream, resolve))
    let seen = 0
    stream.on('data', async () => {
      if (++seen < chunks) return
      stream.pause()
      for (let i = 0; i < promises; i++) await Promise.resolve()
      stream.destroy()
    })
    const error = await outcome
    check(error?.code === 'ERR_STREAM_PREMATURE_CLOSE', `${chunks} chunks, ${promises} promises: ${error}`)
    check(seen === chunks && !stream.readableEnded, `${seen} of ${chunks} chunks, ${promises} promises`)
  }
}
map.close()
console.log('reached the end')
