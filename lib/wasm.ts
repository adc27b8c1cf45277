// A mapping's pages in a WebAssembly memory: what `map.into` returns.

import { toBytes } from './arguments.js'
import type { Token } from './binding.js'
import { illegalConstructor, invalidType, KEY, outOfRange, unsupported } from './errors.js'
import { Handle, tag } from './handle.js'
import { native } from './native.js'

const { mapping } = native

/** A `WebAssembly.Memory`, as far as TypeScript has to know one: the type of that name is the browser's. */
export interface WasmMemory {
  /** All of its bytes; another object after it has grown. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  /** Makes it longer by so many pages of 64 KiB; gives how many it had. */
  grow(pages: number): number
}

/** A mapping, as this file needs it. */
export interface Layable {
  readonly token: Token
  /** Bytes of the mapping. */
  readonly length: number
  /** Collects the faults that have happened so far. */
  collect(): void
  /** The error that the user sees for one of the native library's. */
  explain(error: unknown): unknown
}

/**
 * Where a mapping lies in a memory. It holds neither of them strongly: a function of the user's (`onFault`) may hold the
 * memory, which could never be collected then.
 */
interface Place {
  readonly token: Token
  readonly address: number
  readonly memory: WeakRef<WasmMemory>
  /** Where in the memory the mapping begins, in bytes. */
  readonly offset: number
  readonly laid: WeakRef<WasmMapping>
  closed: boolean
}

/** The places in memories of each mapping. */
const places = new Map<Token, Set<Place>>()

/** The mappings in each memory, which keeps them alive. */
const laidIn = new WeakMap<WasmMemory, Set<WasmMapping>>()

/** Memories that must not be collected, because the guard would not notice that they are gone. */
const kept = new Map<Place, WasmMemory>()

/** Forgets the places in a memory that was collected. */
const collected = new FinalizationRegistry<Place>((place) => forget(place))

let lay: (map: Layable, memory: WasmMemory, offset: number, pages: Uint8Array) => WasmMapping
let mapOf: (laid: WasmMapping) => Layable

/**
 * The pages of a mapping in a WebAssembly memory; made by {@link MemoryMap.into}. They stay there until this is closed, or the
 * mapping, or nothing can reach the memory any more.
 */
export class WasmMapping extends Handle {
  readonly #map: Layable
  readonly #place: Place
  readonly #length: number

  private constructor(key: unknown, map: Layable, memory: WasmMemory, offset: number, pages: Uint8Array) {
    super()
    if (key !== KEY) throw illegalConstructor('`map.into`')
    const { token, length } = map
    const { address, watched } = mapping.layOver(token, pages)
    const laid = new WeakRef<WasmMapping>(this)
    this.#place = { token, address, memory: new WeakRef(memory), offset, laid, closed: false }
    if (!watched) kept.set(this.#place, memory)
    this.#map = map
    this.#length = length
  }

  static {
    lay = (...all) => {
      const laid = new WasmMapping(KEY, ...all)
      const [{ token }, memory] = all
      add(places, token, laid.#place)
      add(laidIn, memory, laid)
      collected.register(memory, laid.#place, laid.#place)
      return laid
    }
    mapOf = (laid) => laid.#map
    tag(WasmMapping)
  }

  /** Where in the memory the mapping begins, in bytes. */
  get offset(): number {
    return this.#place.offset
  }

  /** How many bytes of the mapping are there. They take up the whole of their last page. */
  get length(): number {
    return this.#length
  }

  /** Whether the pages are not there any more: this was closed, or the mapping. */
  get closed(): boolean {
    return this.#place.closed
  }

  /**
   * Takes the pages out, and puts zeros there, on every thread that has the memory. A second call does nothing.
   *
   * @throws the OS's errors (`ENOMEM`), after which the pages are there still
   */
  close(): void {
    const place = this.#place
    if (place.closed) return
    if (!isThere(place)) return forget(place)
    try {
      mapping.takeUp(place.token, place.address)
    } catch (error) {
      throw this.#map.explain(error)
    }
    end(place)
    this.#map.collect()
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  toJSON(): object {
    const { offset, length, closed } = this
    return { offset, length, closed }
  }
}

function add<K, V>(
  sets: { get(key: K): Set<V> | undefined; set(key: K, set: Set<V>): unknown },
  key: K,
  value: V,
): void {
  const set = sets.get(key)
  if (set) set.add(value)
  else sets.set(key, new Set([value]))
}

function isThere({ memory, offset, address }: Place): boolean {
  // `deref` keeps the memory alive until this turn of the event loop is over.
  const there = memory.deref()
  return there !== undefined && addressIn(there, offset) === address
}

function forget(place: Place): void {
  if (place.closed) return
  const { token, address, laid } = place
  const map = laid.deref()
  end(place)
  try {
    mapping.forsake(token, address)
  } catch {
    return // the mapping was collected with the memory, and the native library has forgotten both
  }
  if (map) mapOf(map).collect()
}

function end(place: Place): void {
  const { token, memory, laid } = place
  place.closed = true
  kept.delete(place)
  collected.unregister(place)
  const others = places.get(token)
  if (others?.delete(place) && others.size === 0) places.delete(token)
  const [there, own] = [memory.deref(), laid.deref()]
  if (there && own) laidIn.get(there)?.delete(own)
}

/** Forgets what lies in memories that are gone: call it before the native library touches the pages of a mapping. */
export function forgetGone(token: Token): void {
  for (const place of places.get(token) ?? []) if (!isThere(place)) forget(place)
}

/** Marks all places of a mapping as closed, because the mapping is. */
export function endAll(token: Token): void {
  for (const place of places.get(token) ?? []) end(place)
}

const MOVES =
  "Bun's WebAssembly memories can move: when one grows that is not among the first eight, its bytes are copied to " +
  'another place, and nothing says which it is. Copy into it: `new Uint8Array(memory.buffer).set(map.view(), offset)`'

const UNSEEN =
  "Deno's WebAssembly memories can move where addresses are scarce, which this system does not let the guard see. " +
  'Copy into it: `new Uint8Array(memory.buffer).set(map.view(), offset)`'

/** Lays all pages of a mapping over a part of a memory. */
export function layOver(map: Layable, memory: WasmMemory, offset: unknown): WasmMapping {
  if ('bun' in process.versions) throw unsupported(MOVES)
  if ('deno' in process.versions && process.platform !== 'linux') throw unsupported(UNSEEN)
  const buffer = bufferOf(memory)
  if (buffer === undefined) throw invalidType('memory', 'a WebAssembly.Memory', memory)
  const start = toBytes(offset, 'offset')
  const page = native.pageSize()
  const bytes = Math.ceil(map.length / page) * page
  if (start % page !== 0 || start + bytes > buffer.byteLength) {
    const requirement = `a multiple of ${page}, with ${bytes} bytes of the memory's ${buffer.byteLength} from there on`
    throw outOfRange('offset', requirement, offset)
  }
  for (const token of places.keys()) forgetGone(token) // whose addresses may be of this memory by now
  try {
    return lay(map, memory, start, new Uint8Array(buffer, start, bytes))
  } catch (error) {
    throw map.explain(error)
  }
}

/** The runtime's getter of `memory.buffer`, which throws for an object that only looks like a memory. */
const getBuffer = Object.getOwnPropertyDescriptor(
  (globalThis as { WebAssembly?: { Memory: { prototype: object } } }).WebAssembly?.Memory.prototype ?? {},
  'buffer',
)?.get

/** The present buffer of a memory, which growing replaces; undefined if it is not a memory. */
function bufferOf(memory: WasmMemory): ArrayBuffer | SharedArrayBuffer | undefined {
  try {
    return getBuffer?.call(memory)
  } catch {
    return undefined
  }
}

/** Where in the process's memory a byte of a WebAssembly memory is; 0 where there is none. */
function addressIn(memory: WasmMemory, offset: number): number {
  const buffer = bufferOf(memory)
  return buffer === undefined ? 0 : native.addressOf(new Uint8Array(buffer, offset, 1))
}
