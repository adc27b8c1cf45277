// Typed arrays over memory that others can change at any time.

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
  // A class of the user's may have its own `sort`.
  const sorted =
    sort === methods.sort ? methods.toSorted.call(array, compare) : (sort as Function).call(array.slice(), compare)
  // It is empty if `compare` has closed the mapping.
  if (array.length > 0) methods.set.call(array, sorted)
  return array
}
