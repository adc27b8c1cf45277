// The error if there is no native library: where it was looked for, and what to do.

import { unsupported } from './errors.js'
import { prebuilt } from './platform.js'

/** A file or a package that was tried. */
export interface Attempt {
  readonly place: string
  readonly isThere: boolean
  readonly error: unknown
}

/**
 * @param names the platforms whose libraries this process could load
 * @param others the platforms whose packages are installed besides
 */
export function notLoaded(names: readonly string[], attempts: readonly Attempt[], others: readonly string[]): Error {
  const lines = [
    `memory-map found no native library that this process can load. It needs the one for ${names.join(' or ')}, and looked for:`,
    ...attempts.map((attempt) => `- ${attempt.place}: ${reason(attempt)}`),
    advice(names, attempts, others),
  ]
  const cause = new AggregateError(attempts.map(({ error }) => error))
  return Object.assign(unsupported(lines.join('\n')), { cause })
}

function reason({ isThere, error }: Attempt): string {
  if (!isThere) return 'there is none'
  const words = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
  return `it is there, but could not be loaded: ${words}`
}

/** Whether the runtime may not load libraries: Node's error says so by its code, Deno's by its name. */
function isForbidden({ error }: Attempt): boolean {
  const { code, name } = error as NodeJS.ErrnoException
  return code === 'ERR_DLOPEN_DISABLED' || name === 'NotCapable'
}

function advice(names: readonly string[], attempts: readonly Attempt[], others: readonly string[]): string {
  if (!names.some((name) => prebuilt.includes(name))) {
    return `There are packages for ${prebuilt.join(', ')}. For other systems, build it from source: see the README.`
  }
  if (attempts.some(isForbidden)) {
    return (
      'This process may not load native libraries: Node must be started without --no-addons, and where it has ' +
      '--permission with --allow-addons too; Deno with --allow-ffi.'
    )
  }
  if (attempts.some(({ isThere }) => isThere)) {
    return 'What is there may be damaged, made for another processor or for a newer system. Install memory-map again.'
  }
  if (others.length > 0) {
    return (
      `What is installed is for ${others.join(', ')}: node_modules or the lock file was made on another machine, or ` +
      'with another C library. Install memory-map again, on this one.'
    )
  }
  return (
    'The library is in an optional dependency: install again without --omit=optional (npm), --no-optional (pnpm) or ' +
    '--ignore-optional (Yarn). If that does not help, remove node_modules and the lock file first. In a checkout, ' +
    'run npm run build.'
  )
}
