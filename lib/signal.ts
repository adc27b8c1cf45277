// AbortSignals of the user's.

import { invalidType } from './errors.js'

/** `signal`, if it is one or undefined. */
export function toSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || isSignal(signal)) return signal as AbortSignal | undefined
  throw invalidType('options.signal', 'an AbortSignal', signal)
}

function isSignal(value: unknown): value is AbortSignal {
  if (!(value instanceof AbortSignal)) return false
  try {
    void Reflect.get(AbortSignal.prototype, 'aborted', value) // throws where only the prototype is that of a signal
    return true
  } catch {
    return false
  }
}

/**
 * Calls `listener` when `signal` is aborted, until the function that this returns is called. That one never throws, even if
 * the signal has methods of its own that do.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): (() => void) | undefined {
  if (signal === undefined) return undefined
  const { addEventListener, removeEventListener } = AbortSignal.prototype
  addEventListener.call(signal, 'abort', listener)
  return () => removeEventListener.call(signal, 'abort', listener)
}
