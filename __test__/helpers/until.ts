// Waiting for something to happen, instead of for some time.

import { setTimeout as sleep } from 'node:timers/promises'

/** Waiting longer than this means that it never happens, on the slowest machine and under an emulator. */
export const HANG_MS = 120_000

/** Lets the event loop turn until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + HANG_MS
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`nothing has happened in ${HANG_MS} ms: ${isSo}`)
    await sleep(1)
  }
}

/** Lets the event loop turn a few times. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await sleep(5)
}
