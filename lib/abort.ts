// Work on other threads that an AbortSignal can end.

import type { NativeStop } from './binding.js'
import { aborted } from './errors.js'
import { native } from './native.js'
import { onAbort, toSignal } from './signal.js'

/**
 * Runs work that checks `stop`. If `given`, an AbortSignal or undefined, is aborted, rejects at once and tells the work to
 * stop, unless it can no longer be stopped.
 */
export async function abortable<T>(given: unknown, run: (stop: NativeStop) => Promise<T>): Promise<T> {
  const signal = toSignal(given)
  if (signal?.aborted) throw aborted(signal)
  const stop = new native.NativeStop()
  if (signal === undefined) return run(stop)
  let forget: (() => void) | undefined
  const ended = new Promise<never>((_, reject) => {
    forget = onAbort(signal, () => {
      if (stop.stop()) reject(aborted(signal))
    })
  })
  try {
    return await Promise.race([run(stop), ended])
  } finally {
    forget?.()
  }
}
