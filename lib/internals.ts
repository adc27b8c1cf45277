// What `memory-map/sync` needs from the main module. Users do not need it, so it is not exported by name.

import type { Token } from './binding.js'
import type { MemoryMap } from './memory-map.js'

/** Where they are: a property of `MemoryMap`. */
export const INTERNALS: unique symbol = Symbol.for('memory-map.internals')

export interface Internals {
  /** Whether a value is a mapping of this copy of the package. */
  readonly isMap: (value: unknown) => value is MemoryMap<any>
  /** What a mapping that is open is called. */
  readonly tokenOf: (map: MemoryMap<any>) => Token
  /** Where a mapping is in memory; undefined once it is closed. */
  readonly placeOf: (map: MemoryMap<any>) => bigint | undefined
  /** The error that the user sees for one of the native library's about the mapping. */
  readonly explain: (map: MemoryMap<any>, error: unknown) => unknown
}
