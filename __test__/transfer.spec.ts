// Memory of a mapping that was transferred into another ArrayBuffer, of which the library does not know: it stays valid for
// as long as any thread has it, and reads as its old bytes or zeros after the mapping is closed.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

const transfers = [
  ['on one thread, then closed', 'then-closed'],
  ['on one thread, already closed', 'already-closed'],
  ['on one thread, never closed', 'never-closed'],
  ['while the mapping is in use', 'in-use'],
  ['on one thread, again and again', 'again'],
  ['from a worker that then ends', 'from-worker'],
  ['to a worker that then ends', 'to-worker'],
  ['into a port that nobody reads', 'never-received'],
] as const

const chunks = [
  ['a fault in a transferred chunk is reported when only the new ArrayBuffer is left', 'of-chunk'],
  ['a use of a transferred chunk of a closed mapping is reported', 'of-closed'],
  ['chunks that a worker transferred keep their bytes when the worker ends', 'chunks-from-worker'],
  ['a use of memory that a worker transferred is reported after the worker has ended', 'told-to-others'],
] as const

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`

  for (const [title, name] of transfers) {
    test.serial(`transfer ${title}, ${where}`, async (t) => {
      await endsWell(t, runtime, scenario(`transfer-${name}`))
    })
  }

  for (const [title, name] of chunks) {
    test(`${title}, ${where}`, async (t) => {
      await endsWell(t, runtime, scenario(`transfer-${name}`))
    })
  }
}
