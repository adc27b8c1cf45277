// Waits that leave the event loop free, on threads of the native library.

import type { NativeWait } from '../binding.js'
import { aborted, withCode } from '../errors.js'
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

/**
 * What a wait of this thread gave. Where `terminate()` has ended it, Node gives and throws nothing, and goes on for a moment:
 * what follows must not run as if it had the lock.
 */
export function ended<T>(given: T | undefined): T {
  if (given === undefined) throw withCode(new Error('The thread was told to end'), 'ERR_MMAP_CLOSED')
  return given
}
