// The native library inside a single executable application of Node's, where it is an asset.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A library that was written to a temporary file; nothing where the program has no such asset. */
export function embedded(name: string): { readonly path: string; remove(): void } | undefined {
  const sea = process.getBuiltinModule('node:sea')
  if (sea === undefined || !sea.isSea()) return undefined
  let asset: ArrayBuffer
  try {
    asset = sea.getRawAsset(name)
  } catch {
    return undefined
  }
  const folder = mkdtempSync(join(process.getBuiltinModule('node:os').tmpdir(), 'memory-map-'))
  const path = join(folder, name)
  writeFileSync(path, new Uint8Array(asset), { mode: 0o500 })
  return {
    path,
    remove() {
      // Windows keeps the file of a library that is loaded.
      if (process.platform !== 'win32') rmSync(folder, { recursive: true })
    },
  }
}
