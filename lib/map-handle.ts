// Handles: by one, another thread of the process gets the same mapping.

import { isSharedArrayBuffer } from 'node:util/types'

import type { Token } from './binding.js'
import { closedError, invalidType, invalidValue } from './errors.js'
import type { MemoryFault } from './faults.js'
import { native } from './native.js'
import type { Backing, Kind } from './options.js'

/**
 * What {@link MemoryMap.from} makes a mapping of, in another thread: `map.handle`. It can be cloned, and so be posted. It
 * keeps nothing open, and means nothing in another process.
 */
export interface MemoryMapHandle<B extends Backing = Backing> {
  /** What the mapping is called in this process. */
  readonly mapping: string
  /** What lies under the views. */
  readonly backing: B
  /** The memory itself, where the runtime can put a mapping under a SharedArrayBuffer only once (Node 20, Deno). */
  readonly memory?: SharedArrayBuffer
}

/** The options of {@link MemoryMap.from}. */
export interface FromOptions {
  /** Called with every fault, on this thread, on the next turn of its event loop. Default: a process warning, once. */
  readonly onFault?: ((fault: MemoryFault) => void) | undefined
}

/** What the native library keeps with a handle for the other threads. */
interface Note {
  readonly path?: string | undefined
  readonly shares: boolean
}

const backingOf = (shares: boolean): Backing => (shares ? 'shared-array-buffer' : 'array-buffer')

/** Makes the handle of a mapping. */
export function toHandle(token: Token, note: Note, memory: SharedArrayBuffer | undefined): MemoryMapHandle<any> {
  const handle = { mapping: native.mapping.handle(token, JSON.stringify(note)), backing: backingOf(note.shares) }
  return Object.freeze(memory === undefined ? handle : { ...handle, memory })
}

/** A mapping that was made in another thread. */
interface Adopted extends Note {
  readonly token: Token
  readonly kind: Kind
  readonly offset: number
  readonly memory: SharedArrayBuffer | undefined
}

const NONE = 'must be the `handle` of a mapping of this process, from this version of the package'

/** Finds the mapping of a handle. */
export function adopt(handle: unknown): Adopted {
  if (typeof handle !== 'object' || handle === null) throw invalidType('handle', 'the `handle` of a MemoryMap', handle)
  const { mapping, backing, memory } = handle as Partial<MemoryMapHandle>
  if (typeof mapping !== 'string') throw invalidType('handle', 'what `map.handle` gives', handle)
  if (memory !== undefined && !isSharedArrayBuffer(memory)) {
    throw invalidType('handle.memory', 'a SharedArrayBuffer', memory)
  }
  const adopted = find(mapping)
  if (adopted == null) throw invalidValue('handle', handle, NONE)
  const { token, kind, offset } = adopted
  const { path, shares } = JSON.parse(adopted.note) as Note
  if (backing !== backingOf(shares)) {
    native.mapping.close(token, false)
    native.mapping.forget(token)
    throw invalidValue('handle.backing', backing, `must be '${backingOf(shares)}'`)
  }
  return { token, kind, offset, path, shares, memory }
}

function find(mapping: string): ReturnType<typeof native.adopt> {
  try {
    return native.adopt(mapping)
  } catch {
    throw closedError()
  }
}
