// Named shared memory: what is there, and removing it.

import { readdirSync, statSync } from 'node:fs'

import { unlinkSharedMemory } from 'memory-map'

import { size } from './draw.mjs'
import { usersOf } from './processes.mjs'

const FOLDER = '/dev/shm'

export function list({ json }) {
  if (process.platform !== 'linux') {
    console.error('memory-map: only Linux has a list of named memory')
    process.exitCode = 1
    return
  }
  const users = usersOf(FOLDER)
  const found = readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => {
      const path = `${FOLDER}/${name}`
      const { size: length, blocks, uid, mtime } = statSync(path)
      return { name, length, allocated: blocks * 512, uid, modified: mtime.toISOString(), pids: users.get(path) ?? [] }
    })
    .toSorted((one, other) => other.length - one.length)
  if (json) return console.log(JSON.stringify(found, null, 2))
  const rows = found.map(({ name, length, allocated, uid, modified, pids }) => [
    size(length),
    size(allocated),
    String(uid),
    modified.slice(0, 19),
    pids.length === 0 ? 'nobody' : pids.join(','),
    name,
  ])
  const table = [['LENGTH', 'IN MEMORY', 'USER', 'MODIFIED', 'MAPPED BY', 'NAME'], ...rows]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
}

export function remove(names) {
  for (const name of names) {
    try {
      unlinkSharedMemory(name)
    } catch (error) {
      console.error(`memory-map: ${name}: ${error.message}`)
      process.exitCode = 1
    }
  }
}
