// The main module, to `memory-map/sync`: a file of its own, so that one is read where only one is needed.

import { MemoryMap } from '../../index.js'
import { INTERNALS, type Internals } from '../internals.js'

export { MemoryMap }

export const { native, tokenOf, explain } = (MemoryMap as unknown as { [INTERNALS]: Internals })[INTERNALS]
