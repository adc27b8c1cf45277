// `close()` of an Rpc or a receiver whose memory the file has lost.

import { survives } from './helpers/faults.ts'
import { truncating } from './helpers/platform.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'

for (const runtime of runtimes()) {
  truncating(
    `${runtime.name} ${runtime.version}: what is closed is closed also where the file has lost its memory`,
    async (t) => {
      await survives(t, runtime, scenario('sync-close-lost'))
    },
  )
}
