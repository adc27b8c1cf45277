// The system's pool of explicit huge pages, which is one for all processes. Linux only.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { type ExecutionContext } from 'ava'

const SIZE = '/proc/sys/vm/nr_hugepages'

/** How many pages of 2 MiB nobody has mapped. */
export function freeHugePages(): number {
  return Number(/HugePages_Free: +(\d+)/.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0)
}

/**
 * Asks for a pool of so many pages. Until the test ends, no other process that calls this changes it; then it is as before.
 *
 * @returns how many of 2 MiB are free
 */
export async function askForHugePages(t: ExecutionContext, wanted: number): Promise<number> {
  const release = await lock()
  t.teardown(release)
  const before = readFileSync(SIZE, 'latin1')
  try {
    writeFileSync(SIZE, String(wanted))
    t.teardown(() => writeFileSync(SIZE, before))
  } catch {
    // Only root may change it.
  }
  return freeHugePages()
}

/** An abstract address of a socket, which one process has at a time, and loses when it ends. Some versions of Node fill it up. */
const LOCK = `\0${'memory-map-test-huge-pages'.padEnd(107, '-')}`

async function lock(): Promise<() => Promise<void>> {
  for (;;) {
    const server = createServer()
    try {
      await once(server.listen(LOCK), 'listening')
      return async () => {
        await once(server.close(), 'close')
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      await sleep(10)
    }
  }
}
