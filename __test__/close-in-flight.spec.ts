// `close()` and `resize()` right after an operation with a view was begun and not awaited: the process lives, and
// the operation gives the right bytes, an error, or a fault of kind 'closed'. `closeAsync()` waits instead.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

const operations = ['gzip', 'deflateRaw', 'brotli', 'fs.writeFile', 'fs.promises.writeFile', 'a socket']

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  for (const name of operations) {
    test(`${name} whose view is closed or resized in the same turn gives the right bytes or reports, ${where}`, async (t) => {
      await endsWell(t, runtime, scenario('close-in-flight-operations'), { args: [name] })
    })
  }
  if (runtime.name !== 'deno') {
    test(`a zlib stream that waits for room when its view is emptied ends with an error, ${where}`, async (t) => {
      await endsWell(t, runtime, scenario('close-in-flight-waits-for-room'))
    })
  }
  test(`closeAsync waits for this library's own operations, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-flight-waits'))
  })
  test(`a stream with autoClose closes the mapping when it ends, fails or is destroyed, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-flight-auto-close'))
  })
  test(`chunks of a stream are transferred one by one, and empty nothing else, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-flight-transfers'))
  })
  test(`all views of shared memory read zeros after a stream and close, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-flight-zeros'))
  })
}
