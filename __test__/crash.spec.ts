// What a process that is killed, or a machine that loses power, leaves: all that sync() had resolved for, and locks and
// channels that work. A few of each; many are `npm run test:crash`.

import test from 'ava'

import { killSharers, killWriters } from './crash/kills.ts'
import { losePower, noPower } from './crash/power.ts'
import { onLinux, where } from './helpers/platform.ts'
import { scratchFolder } from './helpers/scratch.ts'

const powerless = noPower('ext4')
const losing = where(powerless === undefined, powerless ?? '')

test.serial('what was made durable is in the file of a process that was killed', async (t) => {
  const { done, wrong } = await killWriters(scratchFolder(t), { seed: 1, kills: 12 })
  t.deepEqual(wrong, [])
  t.true(done.records! > 12, JSON.stringify(done))
})

onLinux.serial('a process that shares a lock and a channel with one that was killed goes on', async (t) => {
  const { done, wrong } = await killSharers(scratchFolder(t), { seed: 1, kills: 12 })
  t.deepEqual(wrong, [])
  t.true(done.locked! > 12 && done.received! > 12, JSON.stringify(done))
})

losing.serial('what was made durable is on a disk that lost power', async (t) => {
  const { done, wrong } = await losePower(scratchFolder(t), 'ext4', { seed: 1, times: 3 })
  t.deepEqual(wrong, [])
  t.true(done.records! > 3, JSON.stringify(done))
})

losing.serial(
  'what was not made durable is not on a disk that lost power, or this test would see nothing',
  async (t) => {
    const { wrong } = await losePower(scratchFolder(t), 'ext4', { seed: 1, times: 3, env: { PRETEND: '1' } })
    t.true(wrong.length > 0)
  },
)
