// Waits that leave the event loop free, on threads of the native library.

import type { NativeWaits } from '../binding.js'
import { aborted } from '../errors.js'
import type { Limit } from './arguments.js'
import { explain, type MemoryMap, native } from './main.js'

interface Pending {
  readonly map: MemoryMap<any>
  readonly signal: AbortSignal | undefined
  readonly end: () => void
  readonly resolve: (value: number) => void
  readonly reject: (error: unknown) => void
}

let waits: NativeWaits | undefined
/** Keeps the process alive while a wait is pending. */
let alive: NodeJS.Timeout | undefined
let last = 0
const pending = new Map<number, Pending>()

function settle(): void {
  for (const { id, value, error } of waits!.take()) {
    const { map, signal, end, resolve, reject } = pending.get(id)!
    pending.delete(id)
    signal?.removeEventListener('abort', end)
    if (error === undefined) resolve(value)
    else reject(signal?.aborted && !map.closed ? aborted(signal) : explain(map, error))
  }
  if (pending.size === 0) alive!.unref()
}

/**
 * Begins a wait by `start`, and resolves to its result, or rejects and has nothing. While it is pending, `ends` has a
 * function that ends it.
 */
export async function waitFor(
  map: MemoryMap<any>,
  { signal, timeout }: Limit,
  start: (timeout: number, waits: NativeWaits, id: number) => void,
  ends?: Set<() => void>,
): Promise<number> {
  waits ??= new native.NativeWaits(settle)
  alive ??= setInterval(() => {}, 2 ** 30).unref()
  do last = (last + 1) % 2 ** 32
  while (pending.has(last))
  const id = last
  call(map, () => start(timeout, waits!, id))
  alive.ref()
  const end = () => waits!.cancel(id)
  signal?.addEventListener('abort', end)
  ends?.add(end)
  try {
    return await new Promise((resolve, reject) => pending.set(id, { map, signal, end, resolve, reject }))
  } finally {
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
