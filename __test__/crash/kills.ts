// Kills processes at random moments with SIGKILL: those that make stores durable, and those that share locks and channels.

import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { mapShared } from 'memory-map'
import { Broadcast, Channel, Mutex, Queue, Rpc, RwLock } from 'memory-map/sync'

import { random } from '../helpers/random.mjs'
import { type Runtime, runtimes } from '../helpers/runtimes.ts'
import { until } from '../helpers/until.ts'
import { Victim } from './children.ts'
import { Promised } from './durable.ts'
import { AT, KEPT, LENGTH, ROLES, SIZE } from './layout.mjs'

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
  const words = map.typedArray(Int32Array, 0, AT.queue / 4)
  const at = (offset: number, index: number) => Atomics.load(words, offset / 4 + index * 16)
  const channel = Channel.create(map, { offset: AT.channel })
  Queue.create(map, { offset: AT.queue, length: SIZE.queue }).close()
  Broadcast.create(map, { offset: AT.broadcast, length: SIZE.broadcast, lossless: true }).close()
  Rpc.create(map, { offset: AT.rpc, length: SIZE.rpc, clients: 4 }).close()
  const both = (offset: number) => [0, 1].map((id) => at(offset, id))
  /** Whether a sender's job was done: later ones have its place, if there was room for them. */
  const isDone = (id: number, number: number) => at(AT.done + (id * KEPT + (number % KEPT)) * 4, 0) >= number
  /** Jobs that are not done, by their sender. */
  const undone = () =>
    both(AT.jobs).map((last, id) => {
      const numbers = Array.from({ length: Math.min(last, KEPT) }, (_, i) => last - i)
      return numbers.filter((number) => !isDone(id, number))
    })
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
    // The senders first, for the others to get all that they sent.
    for (const [i, role] of ROLES.entries()) {
      if (role === 'locker 0') {
        const [sent, started] = [both(AT.sent), victims.slice(i)]
        const isOver = () => started.some((victim) => victim.hasEnded)
        const hasAll = () => sent.every((count, id) => at(AT.received, id) >= count) && undone().flat().length === 0
        await until(() => isOver() || hasAll()).catch((error: unknown) => {
          wrong.push(`${String(error)}: sent ${sent}, received ${both(AT.received)}, not done ${undone().join('; ')}`)
        })
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
  const rwlock = new RwLock(map, AT.rwlock)
  const alone = rwlock.lockExclusive(60_000)
  if (alone === 'timed-out') wrong.push('nobody has the lock of readers and writers, and it cannot be taken')
  else rwlock.unlock()
  if (alone === 'acquired' && at(AT.three, 0) !== at(AT.four, 0)) wrong.push('a writer gave the lock back too early')
  const sum = (offset: number) => both(offset).reduce((one, two) => one + two)
  const done = {
    locked: at(AT.one, 0),
    written: at(AT.three, 0),
    sent: sum(AT.sent),
    received: sum(AT.received),
    jobs: sum(AT.jobs),
    told: sum(AT.told),
    calls: sum(AT.asked),
  }
  channel.close()
  map.close()
  return { kills: killed, done, wrong }
}
