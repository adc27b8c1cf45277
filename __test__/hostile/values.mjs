// Hostile arguments. Each is made anew for every call: `at` has the call's mapping (`map`), and `close` and `resize`, which
// change it behind the library's back.

/** What hostile objects throw, which the library may pass on. */
export class Thrown extends Error {}

const fail = () => {
  throw new Thrown('thrown by an argument')
}

const view = (properties) => Object.defineProperties(Buffer.from('abc'), properties)
const getter = (get) => ({ get, configurable: true })

class OfBytes extends Uint8Array {}
class Longer extends Uint8Array {
  get length() {
    return 2 ** 31
  }
  get byteLength() {
    return 2 ** 31
  }
  get byteOffset() {
    return -8
  }
}

function detached() {
  const buffer = new ArrayBuffer(64)
  const bytes = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  return bytes
}

function shrunk() {
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 })
  const bytes = new Uint8Array(buffer, 32, 32)
  buffer.resize?.(8)
  return bytes
}

function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

/** A Proxy whose every trap does something first. */
function trapped(target, act) {
  const traps = Reflect.ownKeys(Reflect).filter((name) => typeof name === 'string')
  return new Proxy(target, Object.fromEntries(traps.map((name) => [name, (...args) => act(name, args)])))
}

const converting = (act) => ({ valueOf: act, toString: act, [Symbol.toPrimitive]: act })

/** Constructors that are not those of typed arrays, or that lie. */
const constructorOf = (size, act = () => {}) =>
  class extends Uint8Array {
    static BYTES_PER_ELEMENT = size
    constructor(...args) {
      act()
      super(...args)
    }
  }

const PRIMITIVES = {
  undefined: undefined,
  null: null,
  true: true,
  false: false,
  0: 0,
  '-0': -0,
  1: 1,
  '-1': -1,
  0.5: 0.5,
  '1e-320': 1e-320,
  NaN,
  Infinity,
  '-Infinity': -Infinity,
  '2**31-1': 2 ** 31 - 1,
  '2**31': 2 ** 31,
  '-2**31': -(2 ** 31),
  '2**32': 2 ** 32,
  '2**32+1': 2 ** 32 + 1,
  '2**53-1': 2 ** 53 - 1,
  '2**53': 2 ** 53,
  '-2**53': -(2 ** 53),
  '2**63': 2 ** 63,
  MAX_VALUE: Number.MAX_VALUE,
  '0n': 0n,
  '1n': 1n,
  '-1n': -1n,
  '2n**53n': 2n ** 53n,
  '2n**63n': 2n ** 63n,
  '2n**64n': 2n ** 64n,
  '-(2n**64n)': -(2n ** 64n),
  '2n**2000n': 2n ** 2000n,
  "''": '',
  "'hostile'": 'hostile',
  "'8'": '8',
  "'/'": '/',
  "'..'": '..',
  "'hostile/../x'": 'hostile/../x',
  'NUL inside': 'hostile\0hostile',
  NUL: '\0',
  'lone surrogate': 'hostile\ud800',
  '5,000 characters': 'hostile'.repeat(700),
  'a path of 4,100 folders': 'a/'.repeat(4100),
  'a million characters': 'x'.repeat(1_000_000),
  __proto__: '__proto__',
  'a symbol': Symbol('hostile'),
  'Symbol.iterator': Symbol.iterator,
}

/** By name, how each is made. */
export const VALUES = {
  ...Object.fromEntries(Object.entries(PRIMITIVES).map(([name, value]) => [name, () => value])),
  '{}': () => ({}),
  'an object without a prototype': () => Object.create(null),
  'a frozen object': () => Object.freeze({}),
  'an unknown option': () => ({ hostile: 1 }),
  '[]': () => [],
  '[0]': () => [0],
  'an array of holes': () => Array.from({ length: 3 }, () => undefined),
  'an array without an end': () => ({ length: 2 ** 53 - 1 }),
  'a function': () => () => {},
  'a function that throws': () => fail,
  'a function that closes': (at) => at.close,
  'a class': () => URLSearchParams,
  'a date': () => new Date(NaN),
  'a regular expression': () => /x/,
  'a promise': () => Promise.resolve(1),
  'a Map': () => new Map([['offset', 1]]),
  'an error': () => new Error('hostile'),
  'the mapping': (at) => at.map,
  'the prototype of a mapping': (at) => Object.getPrototypeOf(at.map),
  'an heir of the mapping': (at) => Object.create(at.map),
  'an object of the class': (at) => Object.create(Object.getPrototypeOf(at.map)),
  'a Proxy of the mapping': (at) => new Proxy(at.map, {}),
  'another mapping, closed': (at) => at.closed(),
  globalThis: () => globalThis,

  'converts to a number': () => converting(() => 4),
  'throws when converted': () => converting(fail),
  'closes when converted': (at) => converting(() => (at.close(), 4)),
  'shrinks when converted': (at) => converting(() => (at.resize(1), 4)),
  'converts to an object': () => converting(() => ({})),
  'has an fd': () => ({ fd: 1_000_000 }),
  'has the fd -1': () => ({ fd: -1 }),
  'has an fd that changes': () => ({
    n: 0,
    get fd() {
      return this.n++ === 0 ? 1_000_000 : 'x'
    },
  }),
  'has an fd that throws': () => ({
    get fd() {
      return fail()
    },
  }),

  'a Proxy that throws': () => trapped({}, fail),
  'a Proxy of a function that throws': () => trapped(() => {}, fail),
  'a Proxy that closes': (at) => trapped({}, (name, args) => (at.close(), Reflect[name](...args))),
  'a Proxy that shrinks': (at) => trapped({}, (name, args) => (at.resize(1), Reflect[name](...args))),
  'a Proxy that lies of its keys': () =>
    new Proxy({}, { ownKeys: () => ['offset', 'length', 'signal'], get: () => -1, has: () => true }),
  'a Proxy with every property': () => new Proxy({}, { get: (_, name) => name, has: () => true }),
  'a Proxy that is its own prototype': () => new Proxy({}, { getPrototypeOf: () => Uint8Array.prototype }),
  'a revoked Proxy': () => revoked({}),
  'a revoked Proxy of a function': () => revoked(() => {}),
  'a revoked Proxy of an array': () => revoked([]),
  'a Proxy of bytes': () => new Proxy(new Uint8Array(8), {}),
  'inspect throws': () => ({
    [Symbol.for('nodejs.util.inspect.custom')]: fail,
    get [Symbol.toStringTag]() {
      return fail()
    },
  }),
  'inspect closes': (at) => ({ [Symbol.for('nodejs.util.inspect.custom')]: () => (at.close(), 'x') }),
  // oxlint-disable-next-line no-thenable -- it is
  'then throws': () => Object.defineProperty({}, 'then', getter(fail)),

  'no bytes': () => new Uint8Array(0),
  'a byte': () => Uint8Array.of(120),
  'a Buffer': () => Buffer.from('hostile'),
  'a Buffer with NUL': () => Buffer.from('hostile\0x'),
  'an ArrayBuffer': () => new ArrayBuffer(8),
  'a SharedArrayBuffer': () => new SharedArrayBuffer(8),
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(8)),
  'detached bytes': detached,
  'bytes of a resizable buffer': () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 })),
  'bytes out of bounds': shrunk,
  'a DataView': () => new DataView(new ArrayBuffer(8), 3),
  'a Float64Array': () => Float64Array.of(NaN, 1),
  'many bytes': () => new Uint8Array(2 ** 20),
  'bytes of the mapping': (at) => at.map.view(0, 8),
  'all bytes of the mapping': (at) => at.map.buffer,
  'bytes of a subclass': () => new OfBytes(8),
  'bytes of a subclass that lies': () => new Longer(8),
  'bytes that say they are none': () => view({ length: { value: 0 }, byteLength: { value: 0 } }),
  'bytes that say they are many': () => view({ length: { value: 2 ** 20 }, byteLength: { value: 2 ** 20 } }),
  'bytes with a length that is no number': () => view({ length: { value: 'x' }, byteLength: { value: NaN } }),
  'bytes with a length that throws': () => view({ length: getter(fail), byteLength: getter(fail) }),
  'bytes with a length that closes': (at) =>
    view({ length: getter(() => (at.close(), 3)), byteLength: getter(() => (at.close(), 3)) }),
  'bytes with a length that shrinks': (at) =>
    view({ length: getter(() => (at.resize(1), 3)), byteLength: getter(() => (at.resize(1), 3)) }),
  'bytes with methods that throw': () =>
    view({ includes: { value: fail }, toString: { value: fail }, buffer: getter(fail) }),
  'bytes with methods that lie': () =>
    view({ includes: { value: () => false }, buffer: { value: new ArrayBuffer(1) } }),
  'bytes with the prototype null': () => Object.setPrototypeOf(new Uint8Array(8), null),
  'a DataView that lies': () =>
    Object.defineProperties(new DataView(new ArrayBuffer(8)), {
      byteLength: { value: 2 ** 20 },
      byteOffset: { value: 4 },
    }),
  'an object of Uint8Array': () => Object.create(Uint8Array.prototype),

  'a URL': () => new URL('file:///hostile%00x'),
  'a URL elsewhere': () => new URL('http://hostile/'),
  'an object of URL': () => Object.create(URL.prototype),
  'a signal': () => new AbortController().signal,
  'an aborted signal': () => AbortSignal.abort(),
  'a signal aborted with nothing': () => AbortSignal.abort(null),
  'an object of AbortSignal': () => Object.create(AbortSignal.prototype),
  'a signal that throws': () =>
    Object.defineProperties(new AbortController().signal, { addEventListener: { value: fail } }),
  'a signal that throws later': () =>
    Object.defineProperties(new AbortController().signal, { removeEventListener: { value: fail } }),
  'a signal that aborts at once': () => {
    const controller = new AbortController()
    const { signal } = controller
    return Object.defineProperties(signal, {
      addEventListener: { value: (_, listen) => (controller.abort(), listen()) },
    })
  },
  'a signal that closes': (at) =>
    Object.defineProperties(new AbortController().signal, { aborted: getter(() => (at.close(), false)) }),
  'a Proxy of a signal': () => new Proxy(new AbortController().signal, {}),

  'an iterator that throws': () => ({ [Symbol.iterator]: fail }),
  'an iterator that closes': (at) => ({
    *[Symbol.iterator]() {
      yield 'a'
      at.close()
      yield 'b'
    },
  }),
  'an iterator that shrinks': (at) => ({
    *[Symbol.iterator]() {
      yield 'a'
      at.resize(1)
      yield 'b'
    },
  }),
  'an iterator of everything': () => [1, null, {}, Symbol('x')],

  Uint8Array: () => Uint8Array,
  DataView: () => DataView,
  Array: () => Array,
  'elements of 0 bytes': () => constructorOf(0),
  'elements of -1 bytes': () => constructorOf(-1),
  'elements of NaN bytes': () => constructorOf(NaN),
  'elements of 0.1 bytes': () => constructorOf(0.1),
  'elements of 2**53 bytes': () => constructorOf(2 ** 53),
  'elements that close': (at) => constructorOf(1, at.close),
  'elements that shrink': (at) => constructorOf(1, () => at.resize(1)),
  'elements that throw': () => constructorOf(1, fail),
  'elements whose size closes': (at) =>
    Object.defineProperty(
      constructorOf(1),
      'BYTES_PER_ELEMENT',
      getter(() => (at.close(), 1)),
    ),
  'a constructor of something else': () =>
    Object.assign(
      function () {
        return {}
      },
      { BYTES_PER_ELEMENT: 1 },
    ),
  'a function that is no constructor': () => Object.assign(() => {}, { BYTES_PER_ELEMENT: 1 }),
  'a Proxy of Uint8Array': () => new Proxy(Uint8Array, {}),
}

/** Every way to read a value; each may throw. */
const READS = [
  String,
  Number,
  Object.keys,
  Array.isArray,
  Object.getPrototypeOf,
  (value) => value instanceof Uint8Array,
  (value) => Array.from(value),
  (value) => new value(new ArrayBuffer(64), 0, 8),
  (value) => new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  (value) => value.addEventListener('abort', () => {}),
]

/** Whether a value gives the same error when it is only read: then the error is the value's own, not the library's. */
export function throwsItself(value, error, names) {
  if (typeof value !== 'object' && typeof value !== 'function') return false
  for (const read of [...READS, ...names.map((name) => (object) => object[name])]) {
    try {
      read(value)
    } catch (own) {
      if (own?.message === error.message) return true
      // Engines name the caller in some messages.
      if (own instanceof TypeError && [own, error].every(({ message }) => message.endsWith('is not a function')))
        return true
    }
  }
  return false
}

/** Options with a property that does something when it is read. */
export const PROPERTIES = {
  'closes when read': (at, name, value) => ({
    get [name]() {
      at.close()
      return value
    },
  }),
  'shrinks when read': (at, name, value) => ({
    get [name]() {
      at.resize(1)
      return value
    },
  }),
  'grows when read': (at, name, value) => ({
    get [name]() {
      at.resize(100_000)
      return value
    },
  }),
  'throws when read': (_, name) => ({
    get [name]() {
      return fail()
    },
  }),
  'is another each time': (_, name, value) => {
    let reads = 0
    return {
      get [name]() {
        return [value, Symbol('later'), -1][Math.min(reads++, 2)]
      },
    }
  },
  'is inherited': (_, name, value) => Object.create({ [name]: value }),
}

/** What a method or a getter is called on. `object` is one that is right. */
export const RECEIVERS = {
  undefined: () => undefined,
  null: () => null,
  1: () => 1,
  '{}': () => ({}),
  'the prototype': (object) => Object.getPrototypeOf(object),
  'an heir': (object) => Object.create(object),
  'an object of the class': (object) => Object.create(Object.getPrototypeOf(object)),
  'a Proxy': (object) => new Proxy(object, {}),
  'a Proxy that throws': (object) => trapped(object, fail),
  'a revoked Proxy': (object) => revoked(object),
  'a Buffer': () => Buffer.alloc(8),
  'the class': (object) => object.constructor,
}
