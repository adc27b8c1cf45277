// Bringing pages of files into memory, keeping them there, and dropping them.

import { setTimeout as sleep } from 'node:timers/promises'

import { mapShared, MemoryMap, pageSize } from 'memory-map'

import { size } from './draw.mjs'
import { eachFile, filesOf } from './files.mjs'
import { drawn, look, rangesOf } from './residency.mjs'

/** How often at most to drop the pages of a file: those that others have mapped stay. */
const ROUNDS = 5

export async function touch(names) {
  const found = await eachFile(names, async (path, map) => {
    if (map.length > 0) await map.prefetch()
    return look(path, map)
  })
  console.log(drawn(found).join('\n'))
}

export async function evict(names) {
  if (!MemoryMap.supports('pageout')) {
    console.error('memory-map: this system cannot be told to drop pages')
    process.exitCode = 1
    return
  }
  const found = await eachFile(names, async (path, map) => {
    await map.sync() // dirty pages have to be on the disk first
    // Pages that came in a moment ago stand in lists of other processors, where Linux leaves them alone.
    for (let round = 0; round < ROUNDS && dropPages(map) > 0; round++) await sleep(10 * round)
    return look(path, map)
  })
  console.log(drawn(found).join('\n'))
}

/** Drops the pages of a mapping that are in memory, and says how many those were. */
function dropPages(map) {
  const { bitmap, pages, resident } = map.residency()
  for (const [first, count] of rangesOf(bitmap, pages)) {
    const offset = first * pageSize
    const range = { offset, length: Math.min(count * pageSize, map.length - offset) }
    map.advise('populate-read', range) // 'pageout' is for pages that this process has in its tables
    map.advise('pageout', range)
  }
  return resident
}

export function lock(names) {
  const maps = filesOf(names).map((path) => mapShared(path, { keepOpen: false }))
  for (const map of maps) if (map.length > 0) map.lock()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())
  const bytes = maps.reduce((sum, { length }) => sum + length, 0)
  console.log(
    `${maps.length === 1 ? '1 file' : `${maps.length} files`} locked, ${size(bytes)}: until this program ends (Ctrl-C)`,
  )
  setInterval(() => maps.length, 2 ** 30) // it goes on, and none of them is collected
}

export async function watch(names, { interval }) {
  for (;;) {
    const lines = drawn(await eachFile(names, look))
    if (process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J')
    console.log(lines.join('\n'))
    await sleep(interval * 1000)
  }
}
