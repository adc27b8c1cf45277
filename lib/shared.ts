// SharedArrayBuffers over the memory of mappings.

import { constants } from 'node:buffer'
import type { Token } from './binding.js'
import { tooLarge, unsupported } from './errors.js'
import { native } from './native.js'

/** Whether the runtime makes them of memory that it does not own; else mappings are put over its own. */
export const external: boolean = native.canShareExternal()

/** A second object of the same memory. */
const clone = structuredClone

/**
 * Makes one over the bytes from `start` on that begin with the mapping's first page. `fresh` says that nothing was
 * stored yet.
 */
export function share(token: Token, start: number, size: number, fresh: boolean): SharedArrayBuffer {
  if (external) return native.mapping.sharedArrayBuffer(token, start, size)
  if ('deno' in process.versions && 'DedicatedWorkerGlobalScope' in globalThis) {
    // Deno ends a worker without telling, and frees its memory: the guard would not know.
    throw unsupported("Deno has no 'shared-array-buffer' backing in a worker: map on the main thread, and post it")
  }
  const buffer = growable(size)
  // Views of all that it may become would be slow. What the runtime takes for a growable one are whole pages.
  native.mapping.putOver(token, new Uint8Array(clone(buffer), 0, size), fresh)
  return buffer
}

/** Refuses a mapping that `share` could not put into one buffer. */
export function checkSize(length: number): void {
  if (!external && length > constants.MAX_LENGTH) throw tooLong(length)
}

const tooLong = (length: number) =>
  tooLarge(
    `This runtime makes no SharedArrayBuffer of ${length} bytes, over which all of the mapping would be`,
    "map less, or use the backing 'array-buffer'",
  )

function growable(size: number): SharedArrayBuffer {
  const options = { maxByteLength: size }
  try {
    return new (SharedArrayBuffer as new (length: number, options: { maxByteLength: number }) => SharedArrayBuffer)(
      size,
      options,
    )
  } catch {
    throw tooLong(size)
  }
}
