// Files to map, which are removed when the test ends.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'

import { isWindows, isWine } from './system.ts'

/** All that this process has made. */
export const scratchFolders: string[] = []

/** A folder on disk that is removed with everything in it when the test ends. */
export function scratchFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-test-'))
  scratchFolders.push(folder)
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

/** Writes to a file that is there, as any program may. */
export function writeAt(path: string, offset: number, bytes: Uint8Array | string): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from(bytes), 0, null, offset)
  closeSync(fd)
}

/** Reads from a file, as any program may. */
export function readAt(path: string, offset: number, length: number): Buffer {
  const fd = openSync(path, 'r')
  const bytes = Buffer.alloc(length)
  readSync(fd, bytes, 0, length, offset)
  closeSync(fd)
  return bytes
}

/** Bytes in which no two neighbours, and no two pages, are the same. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13 + (i >> 12) * 101) & 255
  return bytes
}
