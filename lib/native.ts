// Finds and loads the native library.

import { existsSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join, toNamespacedPath } from 'node:path'
import { fileURLToPath } from 'node:url'

import type * as Binding from './binding.js'
import { embedded } from './embedded.js'
import { environment } from './environment.js'
import { type Attempt, notLoaded } from './not-loaded.js'
import { requirePackage } from './packages.js'
import { allPlatforms, hasMusl, platforms, prebuilt } from './platform.js'

export type Native = typeof Binding

// In CommonJS, also as bundlers make it of this module, `import.meta.url` is nothing, or where the bundle was made. In
// `node -e` every module has a `__filename`, which is '[eval]'; in a worker of Deno's that evaluates text it is
// '[worker eval]' in some folder.
const here: string =
  typeof __filename === 'string' && isAbsolute(__filename) && !__filename.endsWith('[worker eval]')
    ? __filename
    : fileURLToPath(import.meta.url)
const folder = dirname(here)

function load(): Native {
  const only = openOnly()
  if (only !== undefined) return only
  const names = platforms()
  const attempts: Attempt[] = []
  for (const name of names) {
    const file = fileOf(name)
    const places: [place: string, open: () => Native][] = [[join(folder, file), () => openBeside(file)]]
    if (prebuilt.includes(name)) places.push([`memory-map-${name}`, () => openPackage(name)])
    for (const [place, take] of places) {
      try {
        return take()
      } catch (error) {
        attempts.push({ place, isThere: isThere(place), error })
      }
    }
  }
  const others = prebuilt.filter((name) => !names.includes(name) && isThere(`memory-map-${name}`))
  throw notLoaded(names, attempts, others)
}

/**
 * Finding out which C library the process has takes half the time of loading the library: if the libraries for one alone
 * are there, it is that one. Nothing where that is not so, or may be wrong: musl opens many libraries for glibc.
 */
function openOnly(): Native | undefined {
  try {
    const names = allPlatforms()
    if (names.length > 1 && hasMusl()) return undefined
    const found = names.map((name) => {
      const packaged = prebuilt.includes(name) ? installed(name) : []
      return [`${folder}/${fileOf(name)}`, ...packaged].find((file) => existsSync(file))
    })
    const [only, another] = found.filter((file) => file !== undefined)
    return only === undefined || another !== undefined ? undefined : open(only)
  } catch {
    return undefined // the search says why
  }
}

const fileOf = (platform: string) => `memory-map.${platform}.node`

/** Where most installers put the package with the library. `join` would take several times as long as looking there. */
function installed(platform: string): string[] {
  const rest = `memory-map-${platform}/${fileOf(platform)}`
  return [`${folder}/node_modules/${rest}`, `${dirname(folder)}/${rest}`]
}

/** Where a checkout is built, and where the files of a bundle are copied to. */
function openBeside(file: string): Native {
  const path = join(folder, file)
  if (existsSync(path)) return open(path)
  const library = embedded(file)
  if (library === undefined) throw new Error('there is no such file')
  try {
    return open(library.path)
  } finally {
    library.remove()
  }
}

/**
 * `require` takes as long to find a package as the library takes to load. So it is asked only if the package is not where
 * most installers put it.
 */
function openPackage(platform: string): Native {
  const name = `memory-map-${platform}`
  const path = installed(platform).find((file) => existsSync(file))
  if (path !== undefined) return open(path)
  return requirePackage(platform, (error) => {
    // A bundler may have taken in the package's JavaScript, which then looks for the library beside the bundle.
    for (const start of starts()) if (isThere(name, start)) return requireFrom(start)(name) as Native
    throw error
  })
}

function open(path: string): Native {
  const module = { exports: {} as Native }
  process.dlopen(module, toNamespacedPath(path))
  return module.exports
}

/**
 * Where to look for packages from: this file, where it is if `--preserve-symlinks` says that it is where a link is, or the
 * program's if a bundle does not know its own place.
 */
function starts(): string[] {
  const places = existsSync(here) ? new Set([here, realpathSync(here)]) : [here]
  const program = process.argv[1]
  return program !== undefined && isAbsolute(program) ? [...places, program] : [...places]
}

/** The `require` of a file, which is slow to make. */
function requireFrom(start: string): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(start)
}

function isThere(place: string, start = here): boolean {
  if (isAbsolute(place)) return existsSync(place)
  try {
    requireFrom(start).resolve(place)
    return true
  } catch {
    return false
  }
}

export const native: Native = (environment.native ??= load())
