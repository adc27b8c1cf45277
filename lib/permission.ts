// Node's permission model, which does not check the files that addons open.

import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'

interface Permission {
  has(scope: 'fs.read' | 'fs.write', path: string): boolean
}

/** What is asked for, as the flags of `fs.open`: to read, to read and write, to write. */
type Access = 'r' | 'r+' | 'a'

/** Throws the error of `fs` if the process may not open a file this way (`--allow-fs-read`, `--allow-fs-write`). */
export function checkPermission(file: string, access: Access): void {
  const { permission } = process as { permission?: Permission }
  if (permission === undefined) return
  const path = resolve(file)
  const mayRead = access === 'a' || permission.has('fs.read', path)
  const mayWrite = access === 'r' || permission.has('fs.write', path)
  if (!mayRead || !mayWrite) closeSync(openSync(path, access))
}

/** The same for memory that has a name, with its slash: on Linux it is a file, elsewhere it counts as one of that name. */
export function checkNamePermission(name: string, access: Access): void {
  checkPermission(process.platform === 'linux' ? `/dev/shm${name}` : name, access)
}
