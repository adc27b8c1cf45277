// `close()` while something else uses the buffer. The addresses are kept for as long as anything holds the ArrayBuffer
// object: a system call that is given them fails with EFAULT, and what loads from them reads zeros.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { type Runtime, runtimes, scenario } from './helpers/runtimes.ts'

type Operation = {
  name: string
  /** Why a runtime is left out. */
  skip?: (runtime: Runtime) => string | undefined
}

const operations: Operation[] = [
  { name: 'fs.write' },
  { name: 'fs.promises write' },
  {
    name: 'fs.write to a full pipe',
    skip: ({ name }) => (name === 'deno' ? 'Deno writes on the JavaScript thread, which a full pipe stops' : undefined),
  },
  {
    name: 'fs.promises write to a full pipe',
    skip: ({ name }) => (name === 'deno' ? 'Deno writes on the JavaScript thread, which a full pipe stops' : undefined),
  },
  { name: 'fs.read from an empty pipe' },
  { name: 'zlib, which waits for a thread of the pool' },
  { name: 'crypto.subtle.digest' },
  { name: 'a hash in the thread pool' },
  {
    name: 'crypto.randomFill in the thread pool',
    skip: ({ name }) =>
      name === 'deno' ? 'Deno throws out of its own callback when the buffer was detached' : undefined,
  },
  { name: "an addon's thread that reads" },
  { name: "an addon's thread that writes" },
]

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  for (const { name, skip } of operations) {
    const title = `close() during ${name}, ${where}`
    const reason = skip?.(runtime)
    if (reason !== undefined) {
      test.skip(`${title}: ${reason}`, () => {})
      continue
    }
    test.serial(title, async (t) => {
      await endsWell(t, runtime, scenario('close-in-use-operations'), {
        args: [name],
        env: { UV_THREADPOOL_SIZE: '1' },
      })
    })
  }

  test.serial(`code that still reads or writes a closed mapping never reaches another one, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-use-stragglers'))
  })

  // Bun throws past the callback, as it does for any ArrayBuffer that is emptied then.
  if (runtime.name !== 'bun') {
    test.serial(
      `zlib goes on when its input is closed between two pieces, and a fault is reported, ${where}`,
      async (t) => {
        await endsWell(t, runtime, scenario('close-in-use-taken-away'))
      },
    )
  }

  test.serial(`zlib works if it is awaited before close(), or gets a copy, ${where}`, async (t) => {
    await endsWell(t, runtime, scenario('close-in-use-ways-out'))
  })
}
