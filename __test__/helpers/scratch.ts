// Files to map, which go when the test ends.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'

import { isWindows, isWine } from './platform.ts'

/** A folder on disk that goes with everything in it when the test ends. */
export function scratchFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A file in a folder of its own. */
export function scratchFile(t: ExecutionContext, contents: Uint8Array | string, name = 'file.bin'): string {
  const path = join(scratchFolder(t), name)
  writeFileSync(path, contents)
  return path
}

/** A file of zeros that takes no blocks on disk. */
export function sparseFile(t: ExecutionContext, length: number): string {
  const path = scratchFile(t, '')
  // NTFS has to be told; where it refuses, the file takes its whole length.
  if (isWindows && !isWine) spawnSync('fsutil', ['sparse', 'setflag', path])
  truncateSync(path, length)
  return path
}

/** Bytes of which no two neighbours, and no two pages, are alike. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13 + (i >> 12) * 101) & 255
  return bytes
}

/** A file system of 64 MiB in memory that nobody else writes to; undefined where this user may not mount one. */
export function smallFileSystem(t: ExecutionContext): string | undefined {
  const folder = join(scratchFolder(t), 'mounted')
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  t.teardown(() => execFileSync('umount', ['--lazy', folder]))
  return folder
}
