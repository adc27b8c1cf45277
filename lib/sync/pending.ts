// Waits that leave the event loop free, on threads of the native library.

import type { NativeWaits } from '../binding.js'
import { explain, type MemoryMap, native } from './main.js'

interface Pending {
  readonly map: MemoryMap<any>
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
    const wait = pending.get(id)
    pending.delete(id)
    if (error === undefined) wait?.resolve(value)
    else wait?.reject(explain(wait.map, error))
  }
  if (pending.size === 0) alive!.unref()
}

/** Begins a wait by `start`, and resolves to its result. `started` is told a function that ends it. */
export function waitFor(
  map: MemoryMap<any>,
  start: (waits: NativeWaits, id: number) => void,
  started?: (cancel: () => void) => void,
): Promise<number> {
  waits ??= new native.NativeWaits(settle)
  alive ??= setInterval(() => {}, 2 ** 30)
  do last = (last + 1) % 2 ** 32
  while (pending.has(last))
  const id = last
  return new Promise((resolve, reject) => {
    try {
      start(waits!, id)
    } catch (error) {
      reject(explain(map, error))
      if (pending.size === 0) alive!.unref()
      return
    }
    alive!.ref()
    pending.set(id, { map, resolve, reject })
    started?.(() => waits!.cancel(id))
  })
}

/** Runs a call of the native library, with its errors made the user's. */
export function call<T>(map: MemoryMap<any>, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw explain(map, error)
  }
}
