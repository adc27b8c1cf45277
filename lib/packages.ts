// The packages with the native library, each required by its own name. Tools that pack or trace programs look for such
// calls, and take those in a `try` for packages that may be missing. The CommonJS build has its own `require` here.

import module from 'node:module'

import type { Native } from './native.js'

/** Requires the package for a platform of `prebuilt`, as from this file; calls `otherwise` where that fails. */
export function requirePackage(platform: string, otherwise: (error: unknown) => Native): Native {
  try {
    const require = module.createRequire(import.meta.url)
    switch (platform) {
      case 'darwin-arm64':
        return require('memory-map-darwin-arm64')
      case 'darwin-x64':
        return require('memory-map-darwin-x64')
      case 'freebsd-x64':
        return require('memory-map-freebsd-x64')
      case 'linux-arm-gnueabihf':
        return require('memory-map-linux-arm-gnueabihf')
      case 'linux-arm64-gnu':
        return require('memory-map-linux-arm64-gnu')
      case 'linux-arm64-musl':
        return require('memory-map-linux-arm64-musl')
      case 'linux-riscv64-gnu':
        return require('memory-map-linux-riscv64-gnu')
      case 'linux-x64-gnu':
        return require('memory-map-linux-x64-gnu')
      case 'linux-x64-musl':
        return require('memory-map-linux-x64-musl')
      case 'win32-arm64-msvc':
        return require('memory-map-win32-arm64-msvc')
      case 'win32-x64-msvc':
        return require('memory-map-win32-x64-msvc')
      default:
        throw new Error(`there is no package for ${platform}`)
    }
  } catch (error) {
    return otherwise(error)
  }
}
