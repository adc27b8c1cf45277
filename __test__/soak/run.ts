// Four processes with two workers each under a mixed load (load.mjs). Meanwhile files of theirs are truncated, one of them is
// killed and started again all the time, and each is stopped for seconds. What they hold must not grow.

import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { mapShared, unlinkSharedMemory } from 'memory-map'
import { Broadcast, Channel, Queue } from 'memory-map/sync'

import { Victim } from '../crash/children.ts'
import { random } from '../helpers/random.mjs'
import { type Runtime, runtimes } from '../helpers/runtimes.ts'
import { HANG_MS } from '../helpers/until.ts'
import { BROADCAST, CHANNEL, DATA, QUEUE, SHARED, TRUNCATED } from './layout.mjs'

const PROCESSES = 4
/** The one that is killed. */
const KILLED = PROCESSES - 1

/** What a process holds, and for how long its event loop was held up, once a second. */
export const MEASURES = {
  rss: 'resident memory, MiB',
  descriptors: 'descriptors',
  areas: 'memory areas',
  handles: 'handles of the event loop',
  held: 'longest delay of the event loop, ms',
} as const
export type Measure = keyof typeof MEASURES
export type Sample = Record<Measure, number> & { second: number }

export type Soaked = {
  /** The samples of the processes that are not killed, and last of the one that watches them and does nothing else. */
  samples: Sample[][]
  names: string[]
  done: Record<string, number>
  wrong: string[]
}

class Loaded extends Victim {
  readonly pid: number
  readonly runtime: Runtime
  #read = 0
  done: Record<string, number> = {}
  stopped = false
  /** Samples of the time when it was stopped. */
  excused = 0

  constructor(runtime: Runtime, args: (string | number)[]) {
    super(runtime, '../soak/load.mjs', args)
    this.runtime = runtime
    this.pid = this.child.pid!
  }

  /** The lines that came since the last call. */
  lines(): { done: Record<string, number>; held: number; handles: number; wrong: string[] }[] {
    const end = this.stdout.lastIndexOf('\n') + 1
    const text = this.stdout.slice(this.#read, end)
    this.#read = end
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ReturnType<Loaded['lines']>[number])
  }

  holds(): Pick<Sample, 'rss' | 'descriptors' | 'areas'> {
    const proc = `/proc/${this.pid}`
    const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`${proc}/status`, 'utf8'))
    return {
      rss: Number(rss?.[1] ?? 0) / 1024,
      descriptors: readdirSync(`${proc}/fd`).length,
      areas: readFileSync(`${proc}/maps`, 'latin1').split('\n').length,
    }
  }

  stop(): void {
    this.stopped = this.child.kill('SIGSTOP')
  }

  goOn(): void {
    this.stopped = false
    this.excused = 3
    this.child.kill('SIGCONT')
  }
}

export async function soak(folder: string, { seconds, seed }: { seconds: number; seed: number }): Promise<Soaked> {
  const chance = random(seed)
  const all = runtimes().filter(({ name }) => name.startsWith('node'))
  writeFileSync(join(folder, 'data'), DATA.contents())
  writeFileSync(join(folder, 'shared'), Buffer.alloc(SHARED))
  const files = Array.from({ length: TRUNCATED.files }, (_, i) => join(folder, `truncated-${i}`))
  for (const file of files) writeFileSync(file, Buffer.alloc(TRUNCATED.length))
  const map = mapShared(join(folder, 'shared'), { protection: 'read-write' })
  Channel.create(map, CHANNEL).close()
  Broadcast.create(map, BROADCAST).close()
  Queue.create(map, QUEUE).close()
  map.close()

  const start = (index: number) => new Loaded(all[index % all.length]!, [folder, index, chance(2 ** 31)])
  const processes = Array.from({ length: PROCESSES }, (_, index) => start(index))
  const samples: Sample[][] = Array.from({ length: PROCESSES }, () => [])
  const watching = samples[KILLED]!
  const done: Record<string, number> = { kills: 0, stops: 0, truncations: 0 }
  const wrong: string[] = []
  const add = (counts: Record<string, number>) => {
    for (const [name, count] of Object.entries(counts)) done[name] = (done[name] ?? 0) + count
  }

  await Promise.all(processes.map((loaded) => loaded.until(() => loaded.stdout !== '')))
  const begin = performance.now()
  const second = () => (performance.now() - begin) / 1000
  let [killAt, stopAt, goOnAt, held, before] = [3, 2, Infinity, 0, performance.now()]
  let sampledAt = 1
  let stopped: Loaded | undefined
  /** A busy machine needs longer for what is judged. */
  const hasEnough = () =>
    done.kills! > 0 && done.stops! > 0 && samples.slice(0, KILLED).every(({ length }) => length >= 12)
  try {
    while ((second() < seconds || (!hasEnough() && second() < seconds + HANG_MS / 1000)) && wrong.length === 0) {
      await sleep(20)
      const now = performance.now()
      held = Math.max(held, now - before - 20)
      before = now

      // Shorter, longer, and as long as at first.
      const file = files[chance(files.length)]!
      truncateSync(file, [chance(TRUNCATED.length), TRUNCATED.length][chance(2)]!)
      done.truncations!++

      for (const [index, loaded] of processes.entries()) {
        for (const line of loaded.lines()) {
          loaded.done = line.done
          wrong.push(...line.wrong.map((what) => `process ${index} (${loaded.runtime.version}), ${what}`))
          if (index === KILLED) continue
          if (loaded.excused > 0) loaded.excused--
          const delay = loaded.excused > 0 ? 0 : line.held
          samples[index]!.push({ ...loaded.holds(), handles: line.handles, held: delay, second: second() })
        }
        if (loaded.hasEnded) wrong.push(`process ${index} has ${await loaded.kill()}`)
      }
      if (second() >= sampledAt) {
        watching.push({ rss: 0, descriptors: 0, areas: 0, handles: 0, held: Math.round(held), second: second() })
        held = 0
        sampledAt++
      }

      if (second() >= goOnAt) {
        stopped!.goOn()
        ;[stopped, goOnAt, stopAt] = [undefined, Infinity, second() + 3 + chance(5)]
      } else if (stopped === undefined && second() >= stopAt) {
        stopped = processes[chance(PROCESSES)]!
        stopped.stop()
        done.stops!++
        goOnAt = second() + 1 + chance(4)
      }
      const victim = processes[KILLED]!
      if (second() >= killAt && !victim.stopped) {
        const failure = await victim.kill()
        if (failure !== undefined) wrong.push(`process ${KILLED} ${failure}`)
        add(victim.done)
        processes[KILLED] = start(KILLED)
        done.kills!++
        killAt = second() + 2 + chance(6)
      }
    }
  } finally {
    for (const loaded of processes) {
      if (loaded.stopped) loaded.goOn()
      if (!loaded.hasEnded) {
        const failure = await loaded.kill()
        if (failure !== undefined) wrong.push(failure)
      }
      add(loaded.done)
    }
    for (const name of readdirSync('/dev/shm')) if (name.startsWith(basename(folder))) unlinkSharedMemory(name)
  }
  const names = [...processes.slice(0, KILLED).map(({ runtime }) => `Node ${runtime.version}`), 'who watches']
  return { samples, names, done, wrong }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** How much more may be held at the end than after the warm-up: a tenth, and a fixed amount besides. */
const GROWTH: Record<Exclude<Measure, 'held'>, [part: number, besides: number]> = {
  rss: [0.1, 24],
  descriptors: [0.1, 6],
  areas: [0.1, 100],
  handles: [0.1, 4],
}
/** How much longer than that of a process which does nothing else an event loop may be held up, in ms. */
const DELAY = 1000

export type Verdict = { name: string; measure: Measure; early: number; late: number; isGrown: boolean }

/** What each process held in the third after the warm-up, a quarter of the time, and at the end. */
export function judge({ samples, names }: Soaked): Verdict[] {
  const idle = Math.max(0, ...samples.at(-1)!.map(({ held }) => held))
  return samples.slice(0, -1).flatMap((all, i) => {
    const warm = all.slice(Math.floor(all.length / 4))
    const third = Math.floor(warm.length / 3)
    const held = Math.max(0, ...warm.map((sample) => sample.held))
    const grown = (Object.keys(GROWTH) as (keyof typeof GROWTH)[]).map((measure): Verdict => {
      const [early, late] = [warm.slice(0, third), warm.slice(-third)].map((part) =>
        median(part.map((s) => s[measure])),
      )
      const [part, besides] = GROWTH[measure]
      return { name: names[i]!, measure, early: early!, late: late!, isGrown: late! > early! * (1 + part) + besides }
    })
    grown.push({ name: names[i]!, measure: 'held', early: idle, late: held, isGrown: held > idle + DELAY })
    return grown
  })
}
