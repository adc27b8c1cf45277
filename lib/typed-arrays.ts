// Typed arrays over a mapping, whose memory others can change at any time.

import { type Bytes, toBytes, toOffset } from './arguments.js'
import { checkMemory } from './buffers.js'
import { invalidType, outOfRange } from './errors.js'

/** A constructor of typed arrays, such as `Float64Array`. */
export interface TypedArrayConstructor<T> {
  /** Bytes of one element. */
  readonly BYTES_PER_ELEMENT: number
  new (buffer: any, byteOffset: number, length: number): T
}

interface TypedArrays<B extends ArrayBufferLike> {
  Int8Array: Int8Array<B>
  Uint8Array: Uint8Array<B>
  Uint8ClampedArray: Uint8ClampedArray<B>
  Int16Array: Int16Array<B>
  Uint16Array: Uint16Array<B>
  Int32Array: Int32Array<B>
  Uint32Array: Uint32Array<B>
  Float32Array: Float32Array<B>
  Float64Array: Float64Array<B>
  BigInt64Array: BigInt64Array<B>
  BigUint64Array: BigUint64Array<B>
}

/** The typed array `T` over memory of the kind `B`; a subclass stays what it is. */
export type Over<T, B extends ArrayBufferLike> = T extends { readonly [Symbol.toStringTag]: infer Name }
  ? Name extends keyof TypedArrays<B>
    ? TypedArrays<ArrayBuffer>[Name] extends T
      ? TypedArrays<B>[Name]
      : T
    : T
  : T

type Constructor = new (memory: ArrayBufferLike, byteOffset: number, length: number) => any
type Compare = ((a: any, b: any) => number) | undefined

/** The classes of arrays over such memory, by the ordinary class. */
const classes = new WeakMap<Function, Constructor>()

/** The methods of all typed arrays. */
const methods: Uint8Array = Object.getPrototypeOf(Uint8Array.prototype)

/** Registers the class that makes such arrays instead of `plain`. */
export function setVolatile(plain: Function, constructor: Constructor): void {
  // Code that looks at an array's class finds the ordinary one.
  delete constructor.prototype.constructor
  classes.set(plain, constructor)
}

/**
 * Makes a typed array over memory that others can change: it is an instance of `plain` that sorts copies. Engines sort
 * in place with algorithms that leave the array where elements change meanwhile, and change what is beside it.
 */
export function makeVolatile(plain: Constructor, memory: ArrayBufferLike, byteOffset: number, length: number): unknown {
  const array = new (toVolatile(plain))(memory, byteOffset, length)
  // A function that is not a class makes arrays of another class.
  const constructor = array?.constructor
  return typeof constructor === 'function' && Object.getPrototypeOf(array) === constructor.prototype
    ? Object.setPrototypeOf(array, toVolatile(constructor).prototype)
    : array
}

function toVolatile(plain: Constructor): Constructor {
  const known = classes.get(plain)
  if (known) return known
  const made = derive(plain)
  setVolatile(plain, made)
  return made
}

function derive(plain: Constructor): Constructor {
  return class Volatile extends plain {
    sort(compare: Compare) {
      return sortCopy(this as unknown as Uint8Array, compare, super.sort)
    }

    subarray(start?: number, end?: number) {
      const { buffer, byteOffset, length } = super.subarray(start, end)
      return new Volatile(buffer, byteOffset, length)
    }
  }
}

/** Sorts a copy of `array`, and stores that. */
export function sortCopy<T extends Uint8Array>(array: T, compare: Compare, sort: unknown = methods.sort): T {
  checkMemory(array.byteLength)
  // A class of the user's may have its own `sort`.
  const sorted =
    sort === methods.sort ? methods.toSorted.call(array, compare) : (sort as Function).call(array.slice(), compare)
  // It is empty if `compare` has closed the mapping.
  if (array.length > 0) methods.set.call(array, sorted)
  return array
}

/** Bytes of an element of the arrays that `constructor` makes. */
export function elementSize<T>(constructor: TypedArrayConstructor<T>): number {
  const size: unknown = typeof constructor === 'function' ? constructor.BYTES_PER_ELEMENT : undefined
  if (typeof size !== 'number' || !constructor.prototype) throw notTypedArrays(constructor)
  return size
}

/** Typed array constructors are recognised by what they construct, because they may be of another realm. */
export function notTypedArrays(constructor: unknown): TypeError {
  return invalidType('constructor', 'a constructor of typed arrays', constructor)
}

/** Where the pages of a mapping begin before it, and where in a file it begins if it is of one. */
interface Place {
  readonly pageOffset: number
  readonly fileOffset: number | undefined
}

/** Where elements of `size` bytes begin in a mapping of `total` bytes, aligned or not, and how many there are. */
export function toElements(
  byteOffset: Bytes,
  length: Bytes | undefined,
  size: number,
  total: number,
): [start: number, count: number] {
  const start = toOffset(byteOffset, total, 'byteOffset')
  const most = (total - start) / size
  const count = length === undefined ? most : toBytes(length, 'length')
  if (!Number.isInteger(count)) {
    const requirement = `a multiple of ${size} bytes before the mapping's end, where no length is given`
    throw outOfRange('byteOffset', requirement, byteOffset)
  }
  if (count > most) throw outOfRange('length', `at most ${Math.floor(most)}, which are left from ${start} on`, length)
  return [start, count]
}

/** Checks that elements of `size` bytes are aligned in memory. */
export function checkAligned(start: number, size: number, { pageOffset, fileOffset }: Place): void {
  const beyond = (pageOffset + start) % size
  if (beyond === 0) return
  const place = fileOffset === undefined ? '' : `, as byte ${fileOffset + start} of the file is not`
  const next = start + size - beyond
  const requirement = `at a multiple of ${size} bytes in memory${place}; the next is ${next}. Copy others with \`readTyped\``
  throw outOfRange('byteOffset', requirement, start)
}
