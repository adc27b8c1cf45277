// Waiting until something happens, instead of for a fixed time.

import { setTimeout as sleep } from 'node:timers/promises'

/** What has not happened after this time never will, even on the slowest machine or in an emulator. */
export const HANG_MS = 120_000

/** Lets the event loop turn until a condition holds. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + HANG_MS
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`nothing has happened in ${HANG_MS} ms: ${isSo}`)
    await sleep(1)
  }
}

/** Blocks the thread until a condition holds. */
export function untilBlocking(isSo: () => boolean): void {
  const never = new Int32Array(new SharedArrayBuffer(4))
  for (const end = Date.now() + HANG_MS; !isSo(); Atomics.wait(never, 0, 0, 20)) {
    if (Date.now() > end) throw new Error(`nothing has happened in ${HANG_MS} ms: ${isSo}`)
  }
}

/** Lets the event loop turn a few times. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await sleep(5)
}
