// Finds and loads the native library.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type * as Binding from './binding.js'
import { type Attempt, notLoaded } from './not-loaded.js'
import { platforms, prebuilt } from './platform.js'

type Native = typeof Binding

// A bundler that makes a CommonJS file of this leaves no `import.meta.url`.
const here: string = import.meta.url ? fileURLToPath(import.meta.url) : __filename
const require = createRequire(here)

function load(): Native {
  const names = platforms()
  const attempts: Attempt[] = []
  for (const place of names.flatMap(places)) {
    try {
      // To ask first is much faster than to let `require` look for it.
      if (isAbsolute(place) && !existsSync(place)) throw new Error('there is no such file')
      return require(place) as Native
    } catch (error) {
      attempts.push({ place, isThere: isThere(place), error })
    }
  }
  const others = prebuilt.filter((name) => !names.includes(name) && isThere(`memory-map-${name}`))
  throw notLoaded(names, attempts, others)
}

/** Where the library of a platform may be: beside this package's files if it was built here, else in a package. */
function places(name: string): string[] {
  const file = join(here, '..', '..', `memory-map.${name}.node`)
  return prebuilt.includes(name) ? [file, `memory-map-${name}`] : [file]
}

function isThere(place: string): boolean {
  try {
    require.resolve(place)
    return true
  } catch {
    return false
  }
}

export const native: Native = load()
