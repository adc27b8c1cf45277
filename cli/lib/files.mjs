// The files that are meant, and mappings of them.

import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { SingleBar } from 'cli-progress'
import { mapShared } from 'memory-map'

/** The regular files that are named, or lie in folders that are named. Links in folders are not followed. */
export function filesOf(names) {
  return names.flatMap((name) => {
    if (!statSync(name).isDirectory()) return [name]
    const entries = readdirSync(name, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  })
}

/**
 * Calls `look` with each file and a mapping of it. A bar shows how far it is, where there are several. Of a file that
 * cannot be mapped it tells, and goes on.
 */
export async function eachFile(names, look) {
  const files = filesOf(names)
  const bar = files.length > 1 && process.stderr.isTTY ? new SingleBar({ clearOnComplete: true }) : undefined
  bar?.start(files.length, 0)
  const results = []
  const problems = []
  try {
    for (const path of files) {
      try {
        const map = mapShared(path)
        try {
          results.push(await look(path, map))
        } finally {
          map.close()
        }
      } catch (error) {
        problems.push(`memory-map: ${path}: ${error.message}`)
      }
      bar?.increment()
    }
  } finally {
    bar?.stop()
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
  return results
}

/**
 * Whether the system says which pages of a file are in memory. Linux tells its owner, and those who may write it; others
 * it tells that all are. (mincore(2))
 */
export function isTold(path) {
  if (process.platform !== 'linux' || statSync(path).uid === process.geteuid()) return true
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
