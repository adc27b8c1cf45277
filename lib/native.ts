// Finds and loads the native library.

import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join, toNamespacedPath } from 'node:path'
import { fileURLToPath } from 'node:url'

import type * as Binding from './binding.js'
import { type Attempt, notLoaded } from './not-loaded.js'
import { platforms, prebuilt } from './platform.js'

export type Native = typeof Binding

// A bundler that makes a CommonJS file of this leaves no `import.meta.url`.
const here: string = import.meta.url ? fileURLToPath(import.meta.url) : __filename
const folder = dirname(here)

function load(): Native {
  const names = platforms()
  const attempts: Attempt[] = []
  for (const name of names) {
    const file = `memory-map.${name}.node`
    for (const place of places(name, file)) {
      try {
        return open(place, file)
      } catch (error) {
        attempts.push({ place, isThere: isThere(place), error })
      }
    }
  }
  const others = prebuilt.filter((name) => !names.includes(name) && isThere(`memory-map-${name}`))
  throw notLoaded(names, attempts, others)
}

/** Where the library of a platform may be: beside this package's files if it was built here, else in a package. */
function places(name: string, file: string): string[] {
  const beside = join(folder, file)
  return prebuilt.includes(name) ? [beside, `memory-map-${name}`] : [beside]
}

/**
 * Loads the library at a place. `require` takes as long to look for a file or a package as the library takes to load, so
 * that it is asked only where the package is not where it comes to lie with most installers.
 */
function open(place: string, file: string): Native {
  const paths = isAbsolute(place)
    ? [place]
    : [join(folder, 'node_modules', place, file), join(folder, '..', place, file)]
  const path = paths.find((one) => existsSync(one))
  if (path === undefined && isAbsolute(place)) throw new Error('there is no such file')
  if (path === undefined) return require()(place) as Native
  const module = { exports: {} as Native }
  process.dlopen(module, toNamespacedPath(path))
  return module.exports
}

/** `require` as of this file, which takes its time to be made. */
function require(): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(here)
}

function isThere(place: string): boolean {
  try {
    require().resolve(place)
    return true
  } catch {
    return false
  }
}

export const native: Native = load()
