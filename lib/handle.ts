// An object that stands for something of the system's, such as a mapping or a lock: not an array, and not clonable.

import type { inspect } from 'node:util'

import { util, withCode } from './errors.js'

/** Of a module that is not loaded for this alone. */
const custom: typeof inspect.custom = Symbol.for('nodejs.util.inspect.custom') as typeof inspect.custom

/** What no runtime clones, and engines make as fast as an object of a class without a parent. */
const Uncloneable = WeakSet as unknown as new () => object

/**
 * Makes functions throw that would otherwise take the object for an array of holes (`Buffer.from`, `new Uint8Array`,
 * `Array.from`), or clone it as an object without properties (`structuredClone`, `postMessage`).
 */
export abstract class Handle extends Uncloneable {
  static {
    // Its own object has the methods of this class alone: it is no WeakSet to anybody.
    Object.setPrototypeOf(this.prototype, Object.prototype)
    // Not all that takes arrays iterates: the rest looks at the first element, or as `Buffer.from` at the memory.
    Object.defineProperty(this.prototype, 'buffer', { get: refuseThis, configurable: true })
    Object.defineProperty(this.prototype, Symbol.iterator, { value: refuseThis, configurable: true, writable: true })
    Object.defineProperty(this.prototype, 0, { get: refuseThis, configurable: true })
  }

  /** What it is, as `util.inspect` shows it. */
  abstract toJSON(): object

  /** What `console.log` shows. */
  [custom](): string {
    return `${this.constructor.name} ${util().inspect(toShown(this), { breakLength: Infinity, compact: true })}`
  }

  /** What it is, as `util.inspect` shows it. */
  override toString(): string {
    // V8 looks at the tag only of what has this method.
    return this[custom]()
  }
}

/** What a handle is. A stub or a Proxy has the methods, but not the private fields: it is shown without any. */
function toShown(handle: Handle): object {
  try {
    return handle.toJSON()
  } catch {
    return {}
  }
}

/** Names the objects of a class in errors of `structuredClone` and `postMessage`: V8 words these with its tag. */
export function tag({ name, prototype }: { name: string; prototype: Handle }): void {
  Object.defineProperty(prototype, Symbol.toStringTag, { value: `${name}: pass map.handle`, configurable: true })
}

function refuseThis(this: Handle): never {
  refuse(this)
}

/** Says what to pass instead. */
export function refuse(handle: Handle): never {
  const what = `A ${handle.constructor.name} is no array, and cannot be copied as one`
  throw withCode(new TypeError(`${what}: the bytes of a mapping are \`map.buffer\``), 'ERR_INVALID_ARG_TYPE')
}
