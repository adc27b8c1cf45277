// What the specs of `memory-map/sync` need: a file that is mapped here and in a second process.

import type { ExecutionContext } from 'ava'
import { mapShared, type MemoryMap } from 'memory-map'

import { Peer } from './processes.ts'
import { type Runtime, runtimes } from './runtimes.ts'
import { HANG_MS } from './until.ts'

/** Maps a file for reading and writing until the test ends. Its faults are not printed as warnings. */
export function sharedMap(t: ExecutionContext, file: string): MemoryMap {
  const map = mapShared(file, { protection: 'read-write', onFault() {} })
  t.teardown(() => map.close())
  return map
}

/** Runs `act` while no view of a mapping can be made. */
export async function withoutViews(map: MemoryMap, act: () => unknown): Promise<void> {
  map.view = () => {
    throw new RangeError('no memory')
  }
  await act()
  Reflect.deleteProperty(map, 'view')
}

/**
 * Starts a second process in which `map` is the file, mapped for reading and writing, and `sync` is `memory-map/sync`.
 * Then runs `setup` there; what it assigns is global.
 */
export async function peerWith(
  t: ExecutionContext,
  file: string,
  setup: string,
  runtime: Runtime = runtimes()[0]!,
): Promise<Peer> {
  const peer = await Peer.start(t, runtime)
  await peer.run(`(async () => {
    sync = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    map = lib.mapShared(${JSON.stringify(file)}, { protection: 'read-write' })
    ${setup}
  })()`)
  return peer
}

/** Makes a mapping longer until the system has moved it. */
export function growUntilMoved(map: MemoryMap): void {
  const before = map.address
  for (let length = 2 ** 20; map.address === before; length *= 2) map.resize(length)
}

/** Blocks this thread until a condition holds, so that no promise settles before the next line runs. */
export function blockUntil(condition: () => boolean): void {
  for (const end = Date.now() + HANG_MS; !condition();) {
    if (Date.now() > end) throw new Error(`this never became true: ${condition}`)
  }
}
