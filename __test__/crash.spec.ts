// After a process is killed, or a machine loses power, everything for which sync() had resolved is there, and locks and
// channels work. A few kills and power losses; `npm run test:crash` has many.

import test from 'ava'

import { killSharers, killWriters } from './crash/kills.ts'
import { losePower, noPower } from './crash/power.ts'
import { onLinux, where } from './helpers/platform.ts'
import { scratchFolder } from './helpers/scratch.ts'

const powerless = noPower('ext4')
const losing = where(powerless === undefined, powerless ?? '')

test.serial('the file of a process that was killed has all that was made durable', async (t) => {
  const { done, wrong } = await killWriters(scratchFolder(t), { seed: 1, kills: 12 })
  t.deepEqual(wrong, [])
  t.true(done.records! > 12, JSON.stringify(done))
})

onLinux.serial('processes that share locks and messages with one that was killed go on', async (t) => {
  const { done, wrong } = await killSharers(scratchFolder(t), { seed: 1, kills: 12 })
  t.deepEqual(wrong, [])
  t.true(
    Object.values(done).every((count) => count > 12),
    JSON.stringify(done),
  )
})

losing.serial('a disk that lost power has all that was made durable', async (t) => {
  const { done, wrong } = await losePower(scratchFolder(t), 'ext4', { seed: 1, times: 3 })
  t.deepEqual(wrong, [])
  t.true(done.records! > 3, JSON.stringify(done))
})

losing.serial(
  'a disk that lost power lacks something that was not made durable: the other tests mean something',
  async (t) => {
    const { wrong } = await losePower(scratchFolder(t), 'ext4', { seed: 1, times: 3, env: { PRETEND: '1' } })
    t.true(wrong.length > 0)
  },
)
