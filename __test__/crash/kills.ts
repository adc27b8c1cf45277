// Kills processes at random moments with SIGKILL: those that make stores durable, and those that share locks and channels.

import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { mapShared } from 'memory-map'
import { Channel, Mutex } from 'memory-map/sync'

import { random } from '../helpers/random.ts'
import { type Runtime, runtimes } from '../helpers/runtimes.ts'
import { until } from '../helpers/until.ts'
import { Victim } from './children.ts'
import { Promised } from './durable.ts'
import { AT, LENGTH, ROLES } from './layout.mjs'

/** More than a writer writes. */
export const NUMBERS = 10_000_000

export type Outcome = {
  kills: number
  /** What was done by the processes that were killed, in numbers. */
  done: Record<string, number>
  /** What went wrong, in words. */
  wrong: string[]
}

/** Kills writers: what they had made durable is in the file. With `pretend` they say so too early. */
export async function killWriters(folder: string, { seed, kills, env = {} }: KillOptions): Promise<Outcome> {
  const [chance, promised, wrong] = [random(seed), new Promised(), [] as string[]]
  const all = runtimes()
  let files = 0
  for (let i = 1; i <= kills && wrong.length === 0; i++) {
    if (chance(5) === 0) files++
    const path = join(folder, `file-${files}`)
    const runtime = all[i % all.length]!
    const victim = new Victim(runtime, 'writer.mjs', [path, i * NUMBERS, chance(2 ** 31)], env)
    // A few are killed before they have said anything.
    if (chance(8) > 0) await victim.until(() => victim.stdout !== '')
    await sleep(chance(40))
    const failure = await victim.kill()
    if (failure !== undefined) wrong.push(`the writer on ${runtime.name} ${failure}`)
    promised.add(path, victim.stdout)
    wrong.push(...promised.missing((i + 1) * NUMBERS).map((what) => `after kill ${i}: ${what}`))
  }
  return { kills, done: { records: promised.records, files: files + 1 }, wrong }
}

export type KillOptions = { seed: number; kills: number; env?: Record<string, string> }

/** Kills those that share a mutex and a channel, one after the other: the rest gets on, and nothing is lost. */
export async function killSharers(folder: string, { seed, kills }: KillOptions): Promise<Outcome> {
  const [chance, wrong] = [random(seed), [] as string[]]
  const all = runtimes()
  const path = join(folder, 'shared')
  writeFileSync(path, Buffer.alloc(LENGTH))
  const map = mapShared(path, { protection: 'read-write' })
  const words = map.typedArray(Int32Array, 0, AT.channel / 4)
  const at = (offset: number, index: number) => Atomics.load(words, offset / 4 + index * 16)
  const channel = Channel.create(map, { offset: AT.channel })
  const start = (role: string) => {
    const runtime: Runtime = all[chance(all.length)]!
    return new Victim(runtime, 'sharer.mjs', [path, role, chance(2 ** 31)])
  }
  const victims = ROLES.map(start)
  const ended = () => victims.some((victim) => victim.hasEnded)
  /** Everybody has done something since now. */
  const getOn = async () => {
    const before = ROLES.map((_, i) => at(AT.progress, i))
    await until(() => ended() || before.every((count, i) => at(AT.progress, i) !== count))
  }
  let killed = 0
  try {
    await getOn()
    for (; killed < kills && !ended(); killed++) {
      await sleep(chance(30))
      const i = chance(ROLES.length)
      const failure = await victims[i]!.kill()
      if (failure !== undefined) wrong.push(`${ROLES[i]} ${failure}`)
      victims[i] = start(ROLES[i]!)
      await getOn()
    }
  } catch (error) {
    wrong.push(`after kill ${killed}: ${String(error)}: ${ROLES.map((role, i) => `${role} ${at(AT.progress, i)}`)}`)
  } finally {
    // The senders first, for the receiver to get all that they sent.
    for (const [i, role] of ROLES.entries()) {
      if (role === 'receiver') {
        const sent = [0, 1].map((id) => at(AT.sent, id))
        await victims[i]!.until(() => sent.every((count, id) => at(AT.received, id) >= count)).catch(
          (error: unknown) => {
            wrong.push(`${String(error)}: sent ${sent}, received ${[0, 1].map((id) => at(AT.received, id))}`)
          },
        )
      }
      const failure = await victims[i]!.kill()
      if (failure !== undefined) wrong.push(`${role} ${failure}`)
    }
  }
  const mutex = new Mutex(map, AT.mutex)
  const locked = mutex.lock(60_000)
  if (locked === 'timed-out') wrong.push('nobody has the lock, and it cannot be taken')
  else mutex.unlock()
  if (locked === 'acquired' && at(AT.one, 0) !== at(AT.two, 0)) wrong.push('the lock was given back too early')
  const done = {
    locked: at(AT.one, 0),
    sent: at(AT.sent, 0) + at(AT.sent, 1),
    received: at(AT.received, 0) + at(AT.received, 1),
  }
  channel.close()
  map.close()
  return { kills: killed, done, wrong }
}
