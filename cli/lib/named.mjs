// Named shared memory: what is there, and removing it.

import { listSharedMemory, unlinkSharedMemory } from 'memory-map'

import { size } from './draw.mjs'

export function list({ json }) {
  const found = listSharedMemory().toSorted((one, other) => other.length - one.length)
  if (json) return console.log(JSON.stringify(found, null, 2))
  const rows = found.map(({ name, length, allocated, uid, modified, temporary, inUse, users }) => [
    size(length),
    size(allocated),
    String(uid),
    modified.toISOString().slice(0, 19),
    users.join(',') || (inUse ? 'somebody' : 'nobody'),
    temporary ? 'yes' : 'no',
    name,
  ])
  const table = [['LENGTH', 'IN MEMORY', 'USER', 'MODIFIED', 'MAPPED BY', 'TEMPORARY', 'NAME'], ...rows]
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
