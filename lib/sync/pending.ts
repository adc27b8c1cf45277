// Waits that leave the event loop free, on threads of the native library.

import type { NativeWait } from '../binding.js'
import { aborted } from '../errors.js'
import { onAbort } from '../signal.js'
import type { Limit } from './arguments.js'
import { explain, type MemoryMap, native } from './main.js'

/**
 * Begins a wait by `start`, and resolves to its result, or rejects and has nothing. While it is pending, `ends` has a
 * function that ends it.
 */
export async function waitFor(
  map: MemoryMap<any>,
  { signal, timeout }: Limit,
  start: (timeout: number, wait: NativeWait) => Promise<number>,
  ends?: Set<() => void>,
): Promise<number> {
  const wait = new native.NativeWait()
  const end = () => wait.end()
  const forget = onAbort(signal, end)
  ends?.add(end)
  try {
    return await start(timeout, wait)
  } catch (error) {
    throw signal?.aborted && !map.closed ? aborted(signal) : explain(map, error)
  } finally {
    forget?.()
    ends?.delete(end)
  }
}

/** Runs a call of the native library, with its errors made the user's. */
export function call<T>(map: MemoryMap<any>, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw explain(map, error)
  }
}
