// What `memory-map/sync` has of the main module, which hands it in: a file of its own, so that one is read where only one is
// needed.

import { environment } from '../environment.js'
import { INTERNALS, type Internals } from '../internals.js'
import type { MemoryMap } from '../memory-map.js'
import type { Native } from '../native.js'

export type { MemoryMap }

/** What the main module has loaded. */
export const native: Native = environment.native!
export let tokenOf: Internals['tokenOf']
export let placeOf: Internals['placeOf']
export let explain: Internals['explain']
export let isMap: Internals['isMap']

/** Takes the class that the main module has, before anything is made. */
export function connect(main: typeof MemoryMap): void {
  ;({ isMap, tokenOf, placeOf, explain } = (main as unknown as { [INTERNALS]: Internals })[INTERNALS])
}
