// Makes a `MemoryMap` of what the native library maps.

import type { Token } from './binding.js'
import { translate } from './errors.js'
import { construct, type MemoryMap } from './memory-map.js'
import { native } from './native.js'
import type { Kind, Parsed } from './options.js'
import { remedyFor } from './remedies.js'
import { watchListeners } from './signals.js'
import { checkSize, external } from './windows.js'

/** Makes a `MemoryMap` of what `make` maps; `subject` is what its errors are about. */
export function create(
  kind: Kind,
  path: string | undefined,
  options: Parsed,
  make: () => Token,
  subject = path,
): MemoryMap<any> {
  let token: Token
  let map: MemoryMap<any>
  try {
    token = make()
    map = construct(token, kind, path, options)
  } catch (error) {
    throw translate(error, subject, (code, syscall) => remedyFor(kind, options, code, syscall))
  }
  const { advice, shares } = options
  watchListeners()
  try {
    // Before anything is stored, which would have to be copied.
    if (shares && !external) {
      checkSize(map.length)
      void map.arrayBuffer
    }
    if (advice !== undefined) map.advise(advice)
    return map
  } catch (error) {
    native.mapping.discard(token)
    map.close()
    throw error
  }
}
