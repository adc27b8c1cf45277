// What lies in shared memory. It only looks, and takes nothing.

import { existsSync } from 'node:fs'

import { mapShared, openSharedMemory } from 'memory-map'

import { broadcastsOf } from './inspect/broadcast.mjs'
import { linesOf } from './inspect/lines.mjs'
import { Memory } from './inspect/memory.mjs'
import { channelsOf, queuesOf } from './inspect/rings.mjs'
import { rpcsOf } from './inspect/rpc.mjs'
import { barriersOf, conditionAt, eventAt, latestOf, rwLockAt, semaphoreAt } from './inspect/words.mjs'

export function inspectShared(name, { mutex, rwlock, semaphore, event, condition, json }) {
  const map = existsSync(name) ? mapShared(name) : openSharedMemory(name, { protection: 'read' })
  try {
    const memory = new Memory(map)
    const all = channelsOf(memory)
    const rpcs = rpcsOf(memory, all)
    const large = {
      rpcs,
      channels: all.filter(({ offset }) =>
        rpcs.every((rpc) => offset < rpc.offset || offset >= rpc.offset + rpc.length),
      ),
      queues: queuesOf(memory),
      broadcasts: broadcastsOf(memory),
      latest: latestOf(memory),
      barriers: barriersOf(memory),
      rwlocks: rwlock.map((offset) => rwLockAt(memory, offset)),
    }
    const ranges = Object.values(large).flat()
    const isApart = (at) => ranges.every(({ offset, length }) => at < offset || at >= offset + length)
    const held = memory.heldWords().filter((at) => isApart(at) && !mutex.includes(at))
    const found = {
      name,
      length: map.length,
      ...large,
      mutexes: [...mutex, ...held].toSorted((a, b) => a - b).map((offset) => memory.lock(offset)),
      semaphores: semaphore.map((offset) => semaphoreAt(memory, offset)),
      events: event.map((offset) => eventAt(memory, offset)),
      conditions: condition.map((offset) => conditionAt(memory, offset)),
    }
    if (json) console.log(JSON.stringify(found, (_, value) => (typeof value === 'bigint' ? String(value) : value), 2))
    else console.log(linesOf(found, memory.knowsAlive).join('\n'))
  } finally {
    map.close()
  }
}
