// Node's permission model, which does not check the files that addons open.

import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'

interface Permission {
  has(scope: 'fs.read' | 'fs.write', path: string): boolean
}

/** Throws the error of `fs` if the process may not open a file this way (`--allow-fs-read`, `--allow-fs-write`). */
export function checkPermission(file: string, stores: boolean): void {
  const { permission } = process as { permission?: Permission }
  if (permission === undefined) return
  const path = resolve(file)
  const isAllowed = permission.has('fs.read', path) && (!stores || permission.has('fs.write', path))
  if (!isAllowed) closeSync(openSync(file, stores ? 'r+' : 'r'))
}
