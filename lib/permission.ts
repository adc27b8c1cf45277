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

/** Where Linux has memory that has a name. */
const FOLDER = '/dev/shm'

/** Throws if the process may not list the names of memory. */
export function checkListPermission(): void {
  checkPermission(FOLDER, 'r')
}

/** Whether the process may remove names of memory that it was not asked to. */
export function mayRemoveNames(): boolean {
  const { permission } = process as { permission?: Permission }
  return permission === undefined || (permission.has('fs.read', FOLDER) && permission.has('fs.write', FOLDER))
}

/** As {@link checkPermission} for memory that has a name, with its slash: on Linux it is a file, elsewhere it counts as one of that name. */
export function checkNamePermission(name: string, access: Access): void {
  checkPermission(process.platform === 'linux' ? `${FOLDER}${name}` : name, access)
}
