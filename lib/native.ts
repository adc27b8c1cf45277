// Finds and loads the native library.

import { createRequire } from 'node:module'

import type * as Binding from './binding.js'

type Native = typeof Binding

const require = createRequire(import.meta.url)

/** Names of the prebuilt libraries that this machine could run, the likelier one first. */
function candidates(): string[] {
  const { platform, arch } = process
  const abis: Record<string, string[]> =
    arch === 'arm' ? { linux: ['gnueabihf', 'musleabihf'] } : { linux: ['gnu', 'musl'], win32: ['msvc', 'gnu'] }
  return (abis[platform] ?? ['']).map((abi) => [platform, arch, abi].filter(Boolean).join('-'))
}

function load(): Native {
  const tried: string[] = []
  const errors: unknown[] = []
  for (const name of candidates()) {
    // In a checkout the library lies beside this package; installed, it is a package of its own.
    for (const path of [`../memory-map.${name}.node`, `memory-map-${name}`]) {
      try {
        return require(path) as Native
      } catch (error) {
        tried.push(path)
        errors.push(error)
      }
    }
  }
  throw new Error(
    `memory-map has no native library for ${process.platform} ${process.arch}: tried ${tried.join(', ')}. ` +
      'If your platform is supported, install again without --omit=optional; from source, run `npm run build`.',
    { cause: new AggregateError(errors) },
  )
}

export const native: Native = load()
