// Signal handlers that JavaScript installs and removes, in place of the guard's.

import { environment, thisProcess as process } from './environment.js'
import { native } from './native.js'

const SIGNALS = new Set<unknown>(['SIGBUS', 'SIGSEGV'])

/** How listeners come and go, in Bun's `process`. */
const OF_PROCESS = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
  'removeAllListeners',
]

/** The same, in Deno's own functions. */
const OF_DENO = ['addSignalListener', 'removeSignalListener']

/**
 * Puts the guard's handlers back each time listeners for their signals come or go: the runtime sets its own handler
 * then, and after the last listener the default action.
 */
export function watchListeners(): void {
  if (environment.watchesSignals) return
  environment.watchesSignals = true
  if (process.platform === 'win32') return
  if ('bun' in process.versions) wrapMethods(process, OF_PROCESS)
  const { Deno } = globalThis as { Deno?: object }
  if ('deno' in process.versions && Deno) wrapMethods(Deno, OF_DENO)
  // Node sets its handler before it calls these. Deno does it afterwards: the guard looks again, soon and on a thread.
  process.on('newListener', reclaim)
  process.on('removeListener', reclaim)
}

function reclaim(event: unknown): void {
  if (SIGNALS.has(event)) native.reclaimSignals()
}

/** Bun reports a listener before it sets its handler, and none that is removed; Deno's own functions report nothing. */
function wrapMethods(owner: object, names: readonly string[]): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>
  for (const name of names) {
    const method = methods[name]!
    const value = function (this: unknown, ...args: unknown[]) {
      const result = method.apply(this, args)
      reclaim(args.length === 0 ? 'SIGBUS' : args[0]) // none: the listeners of all events were removed
      return result
    }
    Object.defineProperty(owner, name, { value, configurable: true, writable: true })
  }
}
