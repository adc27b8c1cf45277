// A mixed load on four processes and eight workers, while files are truncated and processes killed and stopped, leaves no
// memory, descriptors, memory areas or handles behind. This runs for seconds, `npm run test:soak` for ten minutes.

import { judge, soak } from './soak/run.ts'
import { onLinux } from './helpers/platform.ts'
import { scratchFolder } from './helpers/scratch.ts'

onLinux('a mixed load leaves nothing behind', async (t) => {
  const soaked = await soak(scratchFolder(t), { seconds: 20, seed: 1 })
  t.deepEqual(soaked.wrong, [])
  // So early, the resident memory still grows; and times on a busy machine say nothing.
  const held = judge(soaked).filter(({ measure }) => measure !== 'rss' && measure !== 'held')
  t.deepEqual(
    held.filter(({ isGrown }) => isGrown),
    [],
  )
  t.true(soaked.done.kills! > 0 && soaked.done.stops! > 0 && soaked.done.faults! > 0, JSON.stringify(soaked.done))
})
