// Lines of a mapping, cut from it without a copy.

import { checkText, isUtf16 } from './arguments.js'
import type { NativeFault } from './binding.js'
import type { Window, Windows } from './windows.js'

/** How many lines are fetched at a time. */
const BATCH = 2048

/** How many bytes of lines are copied at a time, to be decoded. */
const DECODED_AT_ONCE = 2 ** 18

const [LF, CR] = [0x0a, 0x0d]

/** Memory that has the bytes of a text from `start` to before `end`. */
type Piece = Window | { readonly memory: Buffer; readonly start: number; readonly end: number }

/** A mapping that has lines. */
interface Source {
  /**
   * Writes the start and end of each line of a range into `bounds`, and the start of the next line into its last
   * element. Returns how many lines those are. What comes after the last `\n` is not a line here. Its errors are
   * those of the native library.
   */
  fill(start: number, end: number, bounds: Float64Array): number
  /** The error that the user sees in place of a native one. */
  explain(error: unknown): unknown
  readonly windows: Windows
}

/** Something that has lines, and what they are cut from. */
interface Text<T> extends Source {
  /** How many bytes a line may have, as far as that is known before it is cut. */
  longest(): number
  /** A piece with the bytes from `start` to before `end`, and perhaps more, up to `limit`. */
  piece(start: number, end: number, limit: number): Piece
  /** Makes a line of a part of a piece. */
  cut(memory: Piece['memory'], byteOffset: number, length: number): T
}

type Next<T> = IteratorResult<T, undefined>

const NOTHING: Piece = { memory: new ArrayBuffer(0), start: 0, end: -1 }

/** The prototype of all iterators, with `map`, `take` and so on if the runtime has them. */
const IteratorPrototype: object = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()))

/** The lines of a range, including what follows the last `\n` unless it is empty. Faster than a generator. */
class Lines<T> implements IterableIterator<T, undefined, unknown> {
  readonly #text: Text<T>
  readonly #batches: Generator<number, undefined, void>
  readonly #bounds = new Float64Array(2 * BATCH + 1)
  /** Where the bounds of the next line are, and where those of the batch end. */
  #index = 0
  #count = 0
  #piece = NOTHING
  #epoch: unknown;
  declare [Symbol.iterator]: () => this

  static {
    Object.setPrototypeOf(this.prototype, IteratorPrototype)
  }

  constructor(text: Text<T>, start: number, end: number) {
    this.#text = text
    this.#batches = batches(text, this.#bounds, start, end)
  }

  next(): Next<T> {
    if (this.#index === this.#count && !this.#fetch()) return { done: true, value: undefined }
    const start = this.#bounds[this.#index]!
    const end = this.#bounds[this.#index + 1]!
    if (end > this.#piece.end || this.#epoch !== this.#text.windows.epoch) this.#take(start, end)
    this.#index += 2
    return { done: false, value: this.#cut(start, end) }
  }

  #cut(start: number, end: number): T {
    const piece = this.#piece
    try {
      return this.#text.cut(piece.memory, start - piece.start, end - start)
    } catch (error) {
      if (piece.memory.byteLength > 0) throw error
      // It was transferred away.
      this.#take(start, end)
      return this.#text.cut(this.#piece.memory, start - this.#piece.start, end - start)
    }
  }

  /** Ends the lines, as `break` does in a loop over them. */
  return(): Next<T> {
    this.#index = this.#count = 0
    this.#piece = NOTHING
    this.#batches.return(undefined)
    return { done: true, value: undefined }
  }

  /** As {@link return}: for `using`. */
  [Symbol.dispose](): void {
    this.return()
  }

  #fetch(): boolean {
    this.#index = this.#count = 0
    try {
      const { done, value } = this.#batches.next()
      if (done) return false
      this.#count = 2 * value
      return true
    } catch (error) {
      throw this.#text.explain(error)
    }
  }

  #take(start: number, end: number): void {
    try {
      this.#piece = this.#text.piece(start, end, this.#bounds[this.#count - 1]!)
      this.#epoch = this.#text.windows.epoch
    } catch (error) {
      this.return()
      throw error
    }
  }
}

/** Fetches lines batch by batch; yields how many. */
function* batches(
  text: Text<unknown>,
  bounds: Float64Array,
  start: number,
  end: number,
): Generator<number, undefined, void> {
  while (start < end) {
    const limit = Math.min(end, start + text.longest())
    let count: number
    let failure: { readonly fault?: NativeFault } | undefined
    try {
      count = text.fill(start, limit, bounds)
    } catch (error) {
      failure = error as { readonly fault?: NativeFault }
      if (failure.fault === undefined) throw error
      // The lines before the page that failed are good.
      count = text.fill(start, Math.max(start, Math.min(limit, failure.fault.offset)), bounds)
    }
    start = bounds[2 * BATCH]!
    if (count < BATCH && failure === undefined) {
      // There is no other `\n` before the limit.
      if (limit === end && start < end) {
        bounds.set([start, end], 2 * count++)
        start = end
      } else if (limit < end && count === 0) {
        text.piece(start, limit + 1, limit + 1) // is too large, and says so
      }
    }
    if (count > 0) yield count
    if (failure !== undefined) throw failure
  }
}

/** Lines without a copy: views of windows that `over` gives. */
export function linesAsViews<B extends ArrayBuffer | SharedArrayBuffer>(
  source: Source & { over(start: number, end: number): Window },
  start: number,
  end: number,
): Lines<Buffer<B>> {
  const cut = source.windows.cut as Text<Buffer<B>>['cut']
  return new Lines({ ...source, longest: () => source.windows.longest, piece: source.over, cut }, start, end)
}

/** Does what `fill` of a source does, for text in UTF-16: its lines end with the character `\n`, and not with that byte. */
function fillUtf16(readUnits: (offset: number, count: number) => Uint16Array): Source['fill'] {
  return (start, end, bounds) => {
    let count = 0
    let next = start
    let last: number | undefined
    for (let at = start; at + 1 < end && count < BATCH;) {
      const units = readUnits(at, Math.floor(Math.min(DECODED_AT_ONCE, end - at) / 2))
      for (let i = units.indexOf(LF); i >= 0 && count < BATCH; i = units.indexOf(LF, i + 1)) {
        const lineEnd = at + 2 * i
        const isCrLf = lineEnd > next && (i > 0 ? units[i - 1] : last) === CR
        bounds.set([next, isCrLf ? lineEnd - 2 : lineEnd], 2 * count++)
        next = lineEnd + 2
      }
      last = units.at(-1)
      at += 2 * units.length
    }
    bounds[2 * BATCH] = next
    return count
  }
}

/** Lines as strings, decoded from copies that `read` and `readUnits` make. */
export function linesAsText(
  source: Source & {
    read(offset: number, length: number): Buffer
    readUnits(offset: number, count: number): Uint16Array
  },
  encoding: BufferEncoding,
  start: number,
  end: number,
): Lines<string> {
  const piece = (from: number, to: number, limit: number) => {
    checkText(to - from, encoding)
    const memory = source.read(from, Math.min(Math.max(to, from + DECODED_AT_ONCE), limit) - from)
    return { memory, start: from, end: from + memory.length }
  }
  const cut = (bytes: Piece['memory'], from: number, count: number) =>
    (bytes as Buffer).toString(encoding, from, from + count)
  const fill = isUtf16(encoding) ? fillUtf16(source.readUnits) : source.fill
  return new Lines({ ...source, fill, longest: () => Infinity, piece, cut }, start, end)
}
