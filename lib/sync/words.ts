// Words of shared memory that are changed here, by the runtime's own atomics, if no other owner is in the way.
//
// A call of the native library costs several times what an atomic operation does. So the simplest steps are taken here:
// those that are one atomic operation of the protocol (docs/memory-model.md). All others are the native library's. A
// process that is killed between two steps here was killed between two steps of the protocol, as in the native library.
//
// Why a step that says DONE has been taken in the memory that others see:
//
// - Engines compile Atomics to the same instructions on an ArrayBuffer as on a SharedArrayBuffer, in their
//   interpreters too: __test__/sync-words.spec.ts has two processes contend.
// - The guard lays scratch memory over a page that fails (its file was truncated), and over addresses that a mapping has
//   left while a view still has them. A compare-and-swap succeeds there too. So before the guard does this, it counts
//   (crates/memory-map/src/guard/changes.rs). A step is DONE only if the count after it is what it was before the native
//   library last found the words in place: nothing else can have been there meanwhile.
// - If the count has changed, for whatever reason, the step is UNKNOWN, and the caller asks the native library.
// - Only this thread has the views, so no step is under way while `close` or `resize` takes their memory. After that
//   Atomics throw.

import { thisProcess as process } from '../environment.js'
import { type MemoryMap, native, tokenOf } from './main.js'
import { call } from './pending.js'

/** Nothing was changed: the native library has to say why, or do it. */
export const NONE = 0
/** The step was taken. */
export const DONE = 1
/** The step was taken, perhaps not in the memory that others see. */
export const UNKNOWN = 2

export type Step = typeof NONE | typeof DONE | typeof UNKNOWN

/**
 * Whether the processor keeps loads in order: there a plain load before one by Atomics is enough, and faster where the
 * engine makes Atomics a call.
 */
export const isOrdered = process.arch === 'x64'

/** How often the native library is called before it pays to make views. */
const WORTH = 16

/** The guard's count of the times it has replaced pages of a mapping; null where it cannot be had. */
let changes: Int32Array | null | undefined

function findChanges(): Int32Array | null {
  // On big-endian processors the first half of a word is not the lower one.
  const memory = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? native.ipcChanges() : null
  return memory === null ? null : new Int32Array(memory)
}

/** Small numbers as bigints, for engines are slow to convert them. */
const BIGINTS = Array.from({ length: 64 }, (_, i) => BigInt(i))

function toBigInt(value: number): bigint {
  return BIGINTS[value] ?? BigInt(value)
}

/** Some words of a mapping, by their index. */
export class Words {
  readonly #map: MemoryMap<any>
  readonly #offset: number
  readonly #length: number
  /** The count at which the views are valid; one with a fraction is never reached. */
  #clean = 0.5
  #changes: Int32Array
  #words: BigInt64Array
  #halves: Int32Array
  /** Where the words were, and how many faults their mapping had had, at that count. */
  #mark: readonly number[] = []
  /** What the first word was last. */
  #last = 0
  /** The count when the native library was called last, and after how many more calls views are made. */
  #seen = 0
  #countdown = WORTH

  constructor(map: MemoryMap<any>, offset: number, length: number) {
    this.#map = map
    this.#offset = offset
    this.#length = length
    this.#words = new BigInt64Array(0)
    this.#halves = new Int32Array(0)
    changes ??= findChanges()
    this.#changes = changes ?? this.#halves
    if (changes === null) this.#countdown = Infinity
  }

  /** Swaps the first word from one value to another. */
  swap(from: bigint, to: bigint): Step {
    const clean = this.#clean
    if (this.#changes[0] !== clean) return NONE
    try {
      if (Atomics.compareExchange(this.#words, 0, from, to) !== from) return NONE
    } catch {
      return this.#lose()
    }
    return Atomics.load(this.#changes, 0) === clean ? DONE : UNKNOWN
  }

  /** Adds to the first word, unless that or the sum is less than `least` or more than `most`, which 32 bits hold. */
  add(count: number, least: number, most: number): Step {
    const clean = this.#clean
    if (this.#changes[0] !== clean) return NONE
    const words = this.#words
    try {
      for (let seen = this.#last; ;) {
        const sum = seen + count
        const can = seen >= least && sum >= least && sum <= most
        const before = toBigInt(seen)
        const was = can ? Atomics.compareExchange(words, 0, before, toBigInt(sum)) : Atomics.load(words, 0)
        if (was === before) {
          if (!can) return NONE
          this.#last = sum
          return Atomics.load(this.#changes, 0) === clean ? DONE : UNKNOWN
        }
        const now = Number(was)
        if (!(now >= 0 && now < 2 ** 32)) return NONE
        this.#last = seen = now
      }
    } catch {
      return this.#lose()
    }
  }

  /** Swaps half of a word from one value to another. */
  move(index: number, from: number, to: number): Step {
    const clean = this.#clean
    if (this.#changes[0] !== clean) return NONE
    try {
      if (Atomics.compareExchange(this.#halves, index, from, to) !== from) return NONE
    } catch {
      return this.#lose()
    }
    return Atomics.load(this.#changes, 0) === clean ? DONE : UNKNOWN
  }

  /** Whether steps can be taken here. */
  get isReady(): boolean {
    return this.#changes[0] === this.#clean
  }

  /** The lower half of the first word; undefined where only the native library can tell. */
  peek(): number | undefined {
    if (!this.isReady) return undefined
    // Undefined where the memory was taken away.
    const half = isOrdered ? this.#halves[0] : this.#load(0)
    // Atomics keeps this load behind the other: if the count is the same still, that was the word.
    if (Atomics.load(this.#changes, 0) !== this.#clean) return undefined
    if (half === undefined) this.#lose()
    return half
  }

  #load(index: number): number | undefined {
    try {
      return Atomics.load(this.#halves, index)
    } catch {
      return undefined
    }
  }

  /** The halves of the words, the lower ones first: what was read there is right if `intact` says so afterwards. */
  get halves(): Int32Array {
    return this.#halves
  }

  /** Whether only the words can have been in their place up to now. */
  get intact(): boolean {
    return Atomics.load(this.#changes, 0) === this.#clean
  }

  /** Whether all steps since the views were made have reached the memory. */
  get arrived(): boolean {
    return call(this.#map, () => String(this.#find()) === String(this.#mark))
  }

  /** Runs a call of the native library, makes its errors the user's, and makes views if they would be of use. */
  call<T>(run: () => T): T {
    const result = call(this.#map, run)
    this.prepare()
    return result
  }

  /** The native library was called for something that could be done here: makes views if they would be of use. */
  prepare(): void {
    if (--this.#countdown > 0) return
    const now = Atomics.load(this.#changes, 0)
    // The views are valid: it was called for another reason, such as an owner elsewhere.
    if (now === this.#clean) return
    // Where mappings fail or are closed all the time, views would be of no use.
    const isQuiet = now === this.#seen
    this.#seen = now
    if (!isQuiet) return
    try {
      const mark = this.#find()
      if (mark === null) {
        this.#countdown = Infinity
        return
      }
      const { buffer, byteOffset, byteLength } = this.#map.dataView(this.#offset, this.#length)
      this.#words = new BigInt64Array(buffer, byteOffset, byteLength / 8)
      this.#halves = new Int32Array(buffer, byteOffset, byteLength / 4)
      this.#mark = mark
      this.#clean = now
    } catch {
      this.#countdown = WORTH
    }
  }

  #find(): number[] | null {
    return native.ipcMark(tokenOf(this.#map), this.#offset, this.#length)
  }

  /** The views have lost their memory. */
  #lose(): Step {
    this.#clean = 0.5
    return NONE
  }
}
