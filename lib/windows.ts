// The ArrayBuffers and SharedArrayBuffers over the memory of a mapping, which its views are cut from.

import { constants } from 'node:buffer'

import type { Token } from './binding.js'
import { type Cut, isDetached } from './buffers.js'
import { tooLarge, unsupported } from './errors.js'
import { adopt, listen, numbered, type Teller } from './faults.js'
import { native } from './native.js'

const { mapping } = native

/**
 * Where windows begin where the runtime cannot have the mapping in one piece. Each is twice as long, so that a view
 * of up to this length lies in one of them wherever it begins.
 */
const WINDOW_STEP = constants.MAX_LENGTH < 2 ** 31 ? 2 ** 28 : 2 ** 30

/** More than any mapping has: there is one window, with everything. */
const NO_STEP = 2 ** 53

/** What an ArrayBuffer over the mapping begins at a multiple of, in bytes, so that elements in it can be aligned. */
const ALIGNMENT = 64

/** What memory is given out over, and what explains why it could not be. */
interface Owner extends Teller {
  /** The error that the user sees for one of the native library's. */
  explain(error: unknown): unknown
}

/** Memory that has the bytes of a mapping from `start` to before `end`. */
export interface Window {
  readonly memory: ArrayBuffer | SharedArrayBuffer
  readonly start: number
  readonly end: number
}

/** The windows of one mapping. */
export class Windows {
  readonly #token: Token
  readonly #shares: boolean
  readonly #owner: Owner
  /** Makes a Buffer over a part of a window's memory. */
  readonly cut: Cut
  /** Whether nothing can have been stored yet. */
  #fresh = true
  #length = 0
  /** Bytes between the start of the first page and the mapping's own first byte. */
  #lead = 0
  /** One for each `#step` bytes, from the start of the first page on. */
  #made: (Window | undefined)[] = []
  #step = NO_STEP

  constructor(token: Token, shares: boolean, cut: Cut, owner: Owner) {
    this.#token = token
    this.#shares = shares
    this.#owner = owner
    this.cut = cut
  }

  /** Something that is another object once the windows of before are of no use any more. */
  get epoch(): unknown {
    return this.#made
  }

  /** How many bytes a window can have at most. */
  get longest(): number {
    return 2 * this.#step
  }

  /** Notes where the mapping is, and forgets the windows over where it was. */
  measure(lead: number, length: number): void {
    this.#lead = lead
    this.#length = length
    this.#step = lead + length > constants.MAX_LENGTH ? WINDOW_STEP : NO_STEP
    this.forget()
  }

  /** Notes that the mapping may have been stored to. */
  touch(): void {
    this.#fresh = false
  }

  forget(): void {
    this.#made = []
  }

  /** The window that has a range of the mapping. */
  over(start: number, end: number): Window {
    const first = this.#windowStart(start)
    const last = Math.min(first + 2 * this.#step, this.#length)
    if (end > last) throw viewTooLarge()
    const index = (this.#lead + first) / this.#step
    const made = this.#made[index]
    if (made !== undefined && this.#isAttached(made.memory, last - first)) return made
    return (this.#made[index] = { memory: this.#make(this.#lead + first, last - first), start: first, end: last })
  }

  /** The memory from the start of the mapping's first page to its end, in one piece. */
  whole(): ArrayBuffer | SharedArrayBuffer {
    if (this.#step === WINDOW_STEP) throw wholeTooLarge(this.#lead + this.#length)
    return this.over(-this.#lead, 0).memory
  }

  /** A Buffer over a range of the mapping. */
  view(start: number, end: number): Buffer<any> {
    const window = this.over(start, end)
    return this.cut(window.memory, start - window.start, end - start)
  }

  /** A view that the closing of the mapping does not take away. */
  lastingView(start: number, end: number): Buffer {
    if (this.#shares) return this.view(start, end)
    const skipped = (this.#lead + start) % ALIGNMENT
    return this.cut(this.#make(this.#lead + start - skipped, skipped + end - start, true), skipped, end - start)
  }

  /** Where the window of the byte at `start` begins: before the mapping where that is in the middle of a page. */
  #windowStart(start: number): number {
    return Math.floor((this.#lead + start) / this.#step) * this.#step - this.#lead
  }

  /** Whether memory of `size` bytes is still there: what is not shared may have been transferred away. */
  #isAttached(memory: ArrayBuffer | SharedArrayBuffer, size: number): boolean {
    return this.#shares || (memory.byteLength === size && (size > 0 || !isDetached(memory)))
  }

  #make(start: number, size: number, lasting = false): ArrayBuffer | SharedArrayBuffer {
    if (size === 0) return this.#shares ? new SharedArrayBuffer(0) : new ArrayBuffer(0)
    listen()
    const token = this.#token
    try {
      const buffer = this.#shares
        ? share(token, start, size, this.#fresh)
        : mapping.arrayBuffer(token, start, size, lasting)
      if (this.#shares && !numbered.has(token)) numbered.set(token, new WeakRef(this.#owner))
      return adopt(buffer, this.#owner)
    } catch (error) {
      throw this.#owner.explain(error)
    }
  }
}

export const LIMIT = `a Buffer of this runtime has at most ${constants.MAX_LENGTH} bytes`

function wholeTooLarge(size: number): RangeError {
  return tooLarge(
    `The mapping needs ${size} bytes, and ${LIMIT}`,
    `\`view\` has up to ${WINDOW_STEP} of them, anywhere`,
  )
}

function viewTooLarge(): RangeError {
  return tooLarge(`The view is too large, for ${LIMIT}`, `views of a larger mapping can have ${WINDOW_STEP}, anywhere`)
}

/** Whether the runtime makes them of memory that it does not own; else mappings are put over its own. */
export const external: boolean = native.canShareExternal()

/** A second object of the same memory. */
const clone = structuredClone

/**
 * Makes one over the bytes from `start` on that begin with the mapping's first page. `fresh` says that nothing was
 * stored yet.
 */
function share(token: Token, start: number, size: number, fresh: boolean): SharedArrayBuffer {
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
