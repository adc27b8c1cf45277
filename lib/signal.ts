// What an AbortSignal may be.

import { invalidType } from './errors.js'

/** `signal`, if it is one or undefined. */
export function toSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal as AbortSignal | undefined
  throw invalidType('options.signal', 'an AbortSignal', signal)
}
