// Buffers over memory that others can change at any time.

import { checkText, isUtf16 } from './arguments.js'
import { allocateForText, copyOf, type Cut } from './buffers.js'
import { setVolatile, sortCopy } from './typed-arrays.js'

/** A Buffer over memory that others can change at any time; see {@link VolatileBuffer}. */
export const cutVolatile: Cut = (memory, byteOffset, length) =>
  new VolatileBuffer(memory as ArrayBuffer, byteOffset, length) as Buffer<any>

/** The methods of all Buffers. */
const plain = Buffer.prototype as Buffer & Record<string, (...parameters: unknown[]) => unknown>

/** For copies that are short, and done with before the next one is made. */
const SCRATCH = 65_536
let scratch: Buffer | undefined

/** A Buffer that begins with a copy of the bytes of `view` from `start` to before `end`. */
function copy(view: Uint8Array, start: number, end: number): Buffer {
  const length = end - start
  const copied = length <= SCRATCH ? (scratch ??= Buffer.allocUnsafeSlow(SCRATCH)) : allocateForText(length)
  if (length > 0)
    copied.set(length === view.length ? view : new Uint8Array(view.buffer, view.byteOffset + start, length))
  return copied
}

/** What a method of Buffer gives for a copy of all of `view`. */
function onCopy(view: Uint8Array, method: Function, parameters: ArrayLike<unknown>): any {
  return Reflect.apply(method, copyOf(view), parameters)
}

/** An index as `slice` takes it: from the end where it is negative. */
function toIndex(value: unknown, length: number): number {
  const index = Math.trunc(value as number) || 0
  return index < 0 ? Math.max(0, index + length) : Math.min(index, length)
}

const ONE = Buffer.alloc(1)

const isIndex = (value: unknown) => value === undefined || typeof value === 'number'

/** Whether Node would search without end: for UTF-16 in memory that is not aligned. */
function isEndless(view: Uint8Array, parameters: readonly unknown[]): boolean {
  return view.byteOffset % 2 === 1 && parameters.some((name) => typeof name === 'string' && isUtf16(name))
}

/**
 * A Buffer over memory that others can change at any time: another process, another thread, another mapping.
 *
 * A runtime reads a Buffer twice to decode it: it counts the characters, and then writes them. Where the bytes change
 * in between it writes beyond the memory that it counted for. So this one decodes copies, and sorts copies.
 *
 * Its `constructor` is `Buffer`, which `util.inspect`, `assert` and others look at. So what `map` and `filter` make has
 * memory of its own, and is an ordinary Buffer.
 */
class VolatileBuffer extends Uint8Array {
  override toString(encoding?: BufferEncoding, start?: number, end?: number): string {
    if (!isIndex(start) || !isIndex(end) || (encoding !== undefined && typeof encoding !== 'string')) {
      return onCopy(this, plain.toString, arguments)
    }
    const first = Math.max(0, Math.trunc(start!) || 0)
    const last = end === undefined ? this.length : Math.min(Math.trunc(end) || 0, this.length)
    const isNothing = first >= last
    // Runtimes differ in when they refuse an encoding.
    if (isNothing || (encoding !== undefined && !Buffer.isEncoding(encoding)))
      return ONE.toString(encoding, 0, isNothing ? 0 : 1)
    checkText(last - first, encoding)
    return copy(this, first, last).toString(encoding, 0, last - first)
  }

  override toLocaleString(encoding?: any, start?: any, end?: any): string {
    return this.toString(encoding, start, end)
  }

  override subarray(start?: number, end?: number): any {
    const first = toIndex(start, this.length)
    const last = end === undefined ? this.length : toIndex(end, this.length)
    return new VolatileBuffer(this.buffer, this.byteOffset + first, Math.max(0, last - first))
  }

  override slice(start?: number, end?: number): any {
    return this.subarray(start, end)
  }

  override sort(compare?: (a: number, b: number) => number): this {
    return sortCopy(this, compare)
  }
}

const { prototype } = VolatileBuffer
Object.setPrototypeOf(prototype, plain)

/** Makes a Buffer one over memory that others can change. */
export const toVolatileBuffer = (buffer: Buffer): Buffer => Object.setPrototypeOf(buffer, prototype)

setVolatile(Buffer, VolatileBuffer)

function define(name: string, value: (this: Uint8Array, ...parameters: any[]) => unknown): void {
  Object.defineProperty(value, 'name', { value: name })
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true })
}

/** `utf8Slice` and its kind, which `toString` calls. */
for (const name of Object.getOwnPropertyNames(plain)) {
  if (!name.endsWith('Slice')) continue
  const method = plain[name]!
  const encoding = name.slice(0, -'Slice'.length) as BufferEncoding
  define(name, function (this: Uint8Array, start: number = 0, end: number = this.length) {
    // The runtime refuses a range that is not one, or corrects it.
    if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= this.length)) {
      return onCopy(this, method, arguments)
    }
    checkText(end - start, encoding)
    return method.call(copy(this, start, end), 0, end - start)
  })
}

for (const name of ['indexOf', 'lastIndexOf', 'includes']) {
  const method = plain[name]!
  // Where the encoding stands depends on the runtime's version.
  define(name, function (value: unknown, ...rest: unknown[]) {
    return isEndless(this, rest) ? onCopy(this, method, [value, ...rest]) : method.call(this, value, ...rest)
  })
}

/** `for (const name in buffer)` gives method names if the runtime's own methods are enumerable. */
for (const name of Object.getOwnPropertyNames(prototype)) {
  const { enumerable = false } = Object.getOwnPropertyDescriptor(plain, name) ?? {}
  Object.defineProperty(prototype, name, { enumerable })
}
