// Signal handlers that JavaScript installs and removes, in place of the guard's.

import { environment, thisProcess as process } from './environment.js'
import { native } from './native.js'

const SIGNALS = new Set<unknown>(['SIGBUS', 'SIGSEGV'])

/** How listeners come and go. */
const METHODS = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
  'off',
  'removeListener',
  'removeAllListeners',
]

/**
 * Puts the guard's handlers back each time listeners for their signals come or go: the runtime sets its own handler
 * then, and after the last listener the default action.
 */
export function watchListeners(): void {
  if (environment.watchesSignals) return
  environment.watchesSignals = true
  if (process.platform === 'win32') return
  if ('bun' in process.versions) wrapMethods()
  // Node sets its handler before it calls these. Deno does it afterwards: the guard looks again, soon and on a thread.
  process.on('newListener', reclaim)
  process.on('removeListener', reclaim)
}

function reclaim(event: unknown): void {
  if (SIGNALS.has(event)) native.reclaimSignals()
}

/** Bun reports a listener before it sets its handler, and does not report listeners that are removed. */
function wrapMethods(): void {
  const methods = process as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const name of METHODS) {
    const method = methods[name]!
    const value = function (this: unknown, ...args: unknown[]) {
      const result = method.apply(this, args)
      reclaim(args.length === 0 ? 'SIGBUS' : args[0]) // none: the listeners of all events were removed
      return result
    }
    Object.defineProperty(process, name, { value, configurable: true, writable: true })
  }
}
