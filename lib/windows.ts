// The ArrayBuffers and SharedArrayBuffers over the memory of a mapping, which its views are cut from.

import { constants } from 'node:buffer'
import type { MessageChannel } from 'node:worker_threads'

import type { Token } from './binding.js'
import { allocateAlone, type Cut, isDetached } from './buffers.js'
import { closedError, invalidValue, tooLarge, unsupported } from './errors.js'
import type { Faulting } from './fault-log.js'
import { adopt, isInDenoWorker, isInWorker, listen, type Teller } from './faults.js'
import { native } from './native.js'
import { queueMicrotask } from './timers.js'

const { mapping } = native

/**
 * Windows begin at the multiples of a step, from the start of the first page on, and each is two steps long, so that a
 * view of up to a step lies in one of them wherever it begins. An engine counts the whole length of an ArrayBuffer
 * as memory in use, and making one takes microseconds. So a mapping begins with small windows, and gets larger
 * ones, in the end one over everything, as more of it is used.
 */
const FIRST_STEP = 2 ** 14

/**
 * How many small windows are made before larger ones: 4 MiB in all. V8 collects at 64, JavaScriptCore at some more than
 * these.
 */
const MOST_SMALL = 128

/**
 * The same where V8 cannot have the mapping in one piece (Node 20, beyond 4 GiB): it collects for each of the largest
 * windows. So there are {@link MOST_SMALL} for each of those, but no more than this.
 */
const MOST_OF_MANY = 2 ** 14

/** How many windows of each larger step are made: each of them can cost a collection. */
const MOST_LARGE = 4

/** The largest step if the runtime cannot have the mapping in one piece. */
const LAST_STEP = constants.MAX_LENGTH < 2 ** 31 ? 2 ** 28 : 2 ** 30

/** More than any mapping has: there is one window, with everything. */
const NO_STEP = 2 ** 53

/** The last index of the cache of windows. It is small, because every mapping with views has one. */
const LAST_SLOT = 255

/** How many times as many slots the cache gets when there are more windows than slots. */
const GROWTH = 16

/** A mapping of at most this many bytes has one window, with everything. */
const MAX_SMALL = 2 ** 20

/** The alignment of ArrayBuffers over the mapping, in bytes, so that elements in them can be aligned. */
const ALIGNMENT = 64

/** The mapping behind the windows, which explains why one could not be made. */
interface Owner extends Teller {
  /** The error that the user sees for one of the native library's. */
  explain(error: unknown): unknown
  /** Has faults in memory of this kind told from now on. */
  expect(memory: Faulting): void
}

/** Memory that has the bytes of a mapping from `start` to before `end`. */
export interface Window {
  readonly memory: ArrayBuffer | SharedArrayBuffer
  readonly start: number
  readonly end: number
}

/** What a mapping without views has: a Map of its own would cost more than all else here. */
const NONE = new Map<number, Window>()

/** What a mapping has that was closed. */
const CLOSED = new Map<number, Window>()

/** The windows of one mapping. */
export class Windows {
  readonly #token: Token
  /** Whether the memory is that of SharedArrayBuffers. */
  readonly shares: boolean
  readonly #owner: Owner
  /** Makes a Buffer over a part of a window's memory. */
  cut: Cut
  /** Memory that another thread has put the mapping over. */
  #borrowed: SharedArrayBuffer | undefined
  #length = 0
  /** Bytes between the start of the first page and the mapping's own first byte. */
  #pageOffset = 0
  /** Every window since the step changed: by its number, or for longer views by where it begins and its step. */
  #made = NONE
  /** A cache of windows, by where views begin: most are found here, in a few nanoseconds. */
  #recent: (Window | undefined)[] = []
  #lastSlot = LAST_SLOT
  #copies: boolean | undefined
  /** Whether there has been memory over the mapping. */
  wereUsed = false
  #step = NO_STEP
  #longestStep = NO_STEP
  /** How many windows may still be made before they become larger. */
  #allowance = 0
  /** Bytes of all windows that were made. */
  #billed = 0
  /** How many of them there may be before windows are of the largest kind. */
  #mostBilled = 0
  /** The range of the mapping that windows were made for. */
  #low = Infinity
  #high = 0

  constructor(token: Token, shares: boolean, cut: Cut, owner: Owner) {
    this.#token = token
    this.shares = shares
    this.#owner = owner
    this.cut = cut
  }

  /** What another thread needs to have the same memory. */
  get lent(): SharedArrayBuffer | undefined {
    return this.shares && !external && this.#length > 0 ? (this.whole() as SharedArrayBuffer) : undefined
  }

  /** Takes what another thread has `lent`. */
  borrow(memory: SharedArrayBuffer | undefined): void {
    if (!this.shares || external || this.#length === 0) return
    try {
      mapping.keep(this.#token, new Uint8Array(clone(memory!)))
    } catch (error) {
      throw (error as { nativeCode?: string }).nativeCode === 'ERR_MMAP_CLOSED' ? closedError() : notLent(memory)
    }
    this.#borrowed = clone(memory!)
  }

  /** An object that changes when earlier windows become useless. */
  get epoch(): unknown {
    return this.#made
  }

  /** Whether there is a window whose views could be emptied. */
  get areUsed(): boolean {
    return this.#made.size > 0
  }

  /** How many bytes a window can have at most. */
  get longest(): number {
    return 2 * this.#longestStep
  }

  /** Notes where the mapping is, and forgets the windows over where it was. */
  measure(pageOffset: number, length: number): void {
    const size = pageOffset + length
    this.#pageOffset = pageOffset
    this.#length = length
    const isMany = size > constants.MAX_LENGTH
    this.#longestStep = isMany ? LAST_STEP : NO_STEP
    const isCostly = isMany && !('bun' in process.versions)
    this.#allowance = isCostly ? Math.min(MOST_SMALL * Math.ceil(size / LAST_STEP), MOST_OF_MANY) : MOST_SMALL
    this.#billed = 0
    this.#mostBilled = length / (isCostly ? 16 : 2)
    this.#low = Infinity
    this.#high = 0
    this.#borrowed = undefined
    // SharedArrayBuffers are not billed.
    this.#setStep(this.shares || size <= MAX_SMALL ? this.#longestStep : FIRST_STEP)
  }

  forget(): void {
    this.#made = NONE
    this.#recent = []
    this.#lastSlot = LAST_SLOT
  }

  /** As {@link forget}, for good. */
  end(): void {
    this.forget()
    this.#made = CLOSED
  }

  /** The window that has a range of the mapping. */
  over(start: number, end: number): Window {
    const slot = ((this.#pageOffset + start) / this.#step) & this.#lastSlot
    const recent = this.#recent[slot]
    if (recent !== undefined && start >= recent.start && end <= recent.end && this.#isAttached(recent)) return recent
    return (this.#recent[slot] = this.#find(start, end))
  }

  /** The memory from the start of the mapping's first page to its end, in one piece. */
  whole(): ArrayBuffer | SharedArrayBuffer {
    if (this.#longestStep === LAST_STEP) throw wholeTooLarge(this.#pageOffset + this.#length)
    if (this.#step !== NO_STEP) this.#setStep(NO_STEP)
    return this.#find(-this.#pageOffset, 0).memory
  }

  /** A Buffer over a range of the mapping. */
  view(start: number, end: number): Buffer<any> {
    const window = this.over(start, end)
    return this.cut(window.memory, start - window.start, end - start)
  }

  /** Whether chunks are copies. */
  get copies(): boolean {
    return (this.#copies ??= this.shares || isInWorker())
  }

  /**
   * A Buffer of its own over a part of the mapping, which can be transferred, and which the closing of the mapping does
   * not empty. It is a copy of shared memory, which cannot be transferred, and in a worker, which may end before those
   * that it is transferred to.
   */
  chunk(start: number, end: number): Buffer {
    if (this.copies) {
      const copy = allocateAlone(end - start)
      mapping.read(this.#token, copy, start)
      return copy
    }
    const skipped = (this.#pageOffset + start) % ALIGNMENT
    const memory = this.#make(this.#pageOffset + start - skipped, skipped + end - start, true)
    return this.cut(memory, skipped, end - start)
  }

  #find(start: number, end: number): Window {
    let step = this.#step
    while (step < end - start && step < this.#longestStep) step *= 2
    const first = Math.floor((this.#pageOffset + start) / step) * step
    // V8 finds small integers faster than others.
    const key = step === this.#step ? first / step : -1 - first - Math.clz32(step / this.#step)
    const made = this.#made.get(key)
    if (made !== undefined && this.#isAttached(made)) return made
    const windowStart = first - this.#pageOffset
    const windowEnd = Math.min(windowStart + 2 * step, this.#length)
    const size = windowEnd - windowStart
    if (end > windowEnd) throw viewTooLarge()
    if (made === undefined && step < this.#longestStep && this.#widen(start, end, size)) return this.#find(start, end)
    const window = { memory: this.#make(first, size), start: windowStart, end: windowEnd }
    if (this.#made === NONE) this.#made = new Map()
    this.#made.set(key, window)
    if (this.#made.size > this.#lastSlot) this.#growCache()
    return window
  }

  /** Notes that a range needs a window. Returns whether this one, and all from now on, must be larger. */
  #widen(start: number, end: number, size: number): boolean {
    this.#low = Math.min(this.#low, start)
    this.#high = Math.max(this.#high, end)
    if (this.#billed + size >= this.#mostBilled) {
      this.#setStep(this.#longestStep)
      return true
    }
    if (this.#allowance-- === 0) {
      const span = this.#high - this.#low
      let step = this.#step
      do step *= 2
      while (step < span && step < this.#longestStep)
      this.#setStep(step)
      this.#allowance = MOST_LARGE
      return true
    }
    this.#billed += size
    return false
  }

  #growCache(): void {
    const slots = GROWTH * (this.#lastSlot + 1)
    this.#lastSlot = slots - 1
    this.#recent = []
    // V8 makes a dictionary of an empty array that gets a large index, and not of one that is long.
    this.#recent.length = slots
  }

  #setStep(step: number): void {
    this.#step = step
    this.forget()
  }

  /** Whether a window still has its memory: what is not shared may have been transferred away. */
  #isAttached({ memory, start, end }: Window): boolean {
    return this.shares || (memory.byteLength === end - start && (end > start || !isDetached(memory)))
  }

  #make(start: number, size: number, lasting = false): ArrayBuffer | SharedArrayBuffer {
    if (size === 0) return this.shares ? new SharedArrayBuffer(0) : new ArrayBuffer(0)
    this.wereUsed = true
    listen()
    const token = this.#token
    try {
      const buffer = this.shares
        ? (this.#borrowed ?? share(token, start, size))
        : mapping.arrayBuffer(token, start, size, lasting)
      this.#owner.expect(this.shares || lasting ? 'lasting' : 'views')
      return adopt(buffer, this.#owner)
    } catch (error) {
      throw this.#owner.explain(error)
    }
  }
}

/** The error of a handle whose mapping was resized since, or was given other memory. */
function notLent(memory: unknown): TypeError {
  const reason = 'must be the memory of the mapping. If the mapping was resized, take its `handle` again'
  return invalidValue('handle.memory', memory, reason)
}

/** Refuses to move a mapping whose memory this thread could not make anew. */
export function checkMovable(shares: boolean): void {
  if (shares && !external && isInDenoWorker()) throw noneInDenoWorker()
}

/** Deno ends a worker without telling, and frees its memory: the guard would not know. */
const noneInDenoWorker = (): Error =>
  unsupported("Deno has no 'shared-array-buffer' backing in a worker: map on the main thread, and post it")

const LIMIT = `a Buffer of this runtime has at most ${constants.MAX_LENGTH} bytes`

function wholeTooLarge(size: number): RangeError {
  return tooLarge(
    `The mapping needs ${size} bytes, and ${LIMIT}`,
    `\`view\` gives up to ${LAST_STEP} of them, at any offset`,
  )
}

export function readTooLarge(size: number): RangeError {
  const advice = 'read them in parts, or `view` them in place'
  return tooLarge(`${size} bytes cannot be read at once, for ${LIMIT}`, advice)
}

function viewTooLarge(): RangeError {
  return tooLarge(
    `The view is too large, for ${LIMIT}`,
    `views of a larger mapping can have ${LAST_STEP}, at any offset`,
  )
}

/** Whether the runtime makes them over memory that it does not own; if not, mappings are put over the runtime's memory. */
export const external: boolean = native.canShareExternal()

/** Where clones come through, until what runs now has ended: Deno's tests fail where they leave one open. */
let channel: MessageChannel | undefined

/** A second object over the same memory. A test's global object may have no `structuredClone`, or one that goes by JSON. */
function clone(memory: SharedArrayBuffer): SharedArrayBuffer {
  const { MessageChannel, receiveMessageOnPort } = process.getBuiltinModule('node:worker_threads')
  if (channel === undefined) {
    channel = new MessageChannel()
    queueMicrotask(() => {
      channel!.port1.close()
      channel = undefined
    })
  }
  channel.port1.postMessage(memory)
  return receiveMessageOnPort(channel.port2)!.message as SharedArrayBuffer
}

/** Makes one over the bytes from `start` on that begin with the mapping's first page. */
function share(token: Token, start: number, size: number): SharedArrayBuffer {
  if (external) return native.mapping.sharedArrayBuffer(token, start, size)
  if (isInDenoWorker()) throw noneInDenoWorker()
  const buffer = growable(size)
  // Views of all that it may become would be slow. What the runtime takes for a growable one are whole pages.
  native.mapping.putOver(token, new Uint8Array(clone(buffer), 0, size))
  return buffer
}

/** Refuses a mapping that `share` could not put into one buffer. */
export function checkSize(length: number): void {
  if (!external && length > constants.MAX_LENGTH) throw tooLong(length)
}

const tooLong = (length: number) =>
  tooLarge(
    `This runtime makes no SharedArrayBuffer of ${length} bytes, which the mapping needs`,
    "map less, or use the backing 'array-buffer'",
  )

function growable(size: number): SharedArrayBuffer {
  const Growable = SharedArrayBuffer as new (length: number, options: { maxByteLength: number }) => SharedArrayBuffer
  const make = () => new Growable(size, { maxByteLength: size })
  try {
    try {
      return make()
    } catch (error) {
      if (!mapping.giveBack()) throw error
      return make()
    }
  } catch {
    throw tooLong(size)
  }
}
