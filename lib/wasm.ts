// A mapping's pages in a WebAssembly memory: what `map.into` returns.

import { toBytes } from './arguments.js'
import type { Token } from './binding.js'
import { illegalConstructor, invalidType, outOfRange, unsupported } from './errors.js'
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
  /** Notes what has happened to it. */
  collect(): void
  /** The error that the user sees for one of the native library's. */
  explain(error: unknown): unknown
}

/** Without this key nothing can be made. */
const KEY = Symbol('memory-map')

/** What lies in a memory, by the mapping whose pages they are. */
const open = new Map<Token, Set<WasmMapping>>()

/** The memories that are to stay, where the guard does not find out that they are gone. */
const kept = new Map<WasmMapping, WasmMemory>()

/** Keeps what lies in a memory, and its mapping, for as long as the memory is there. */
const collected = new FinalizationRegistry<WasmMapping>((laid) => forget(laid))

let lay: (map: Layable, memory: WasmMemory, offset: number, pages: Uint8Array) => WasmMapping
let isThere: (laid: WasmMapping) => boolean
let forget: (laid: WasmMapping) => void
let end: (laid: WasmMapping) => void

/**
 * The pages of a mapping in a WebAssembly memory; made by {@link MemoryMap.into}. They stay there until this is closed, or the
 * mapping, or nothing can reach the memory any more.
 */
export class WasmMapping extends Handle {
  readonly #map: Layable
  readonly #memory: WeakRef<WasmMemory>
  readonly #address: number
  readonly #offset: number
  readonly #length: number
  #closed = false

  private constructor(key: unknown, map: Layable, memory: WasmMemory, offset: number, pages: Uint8Array) {
    super()
    if (key !== KEY) throw illegalConstructor('`map.into`')
    const { address, watched } = mapping.layOver(map.token, pages)
    this.#map = map
    this.#memory = new WeakRef(memory)
    if (!watched) kept.set(this, memory)
    this.#address = address
    this.#offset = offset
    this.#length = map.length
  }

  static {
    lay = (map, memory, offset, pages) => {
      const laid = new WasmMapping(KEY, map, memory, offset, pages)
      const others = open.get(map.token)
      if (others) others.add(laid)
      else open.set(map.token, new Set([laid]))
      collected.register(memory, laid, laid)
      return laid
    }
    isThere = (laid) => {
      // What was looked at stays until this turn of the event loop is over.
      const memory = laid.#memory.deref()
      return memory !== undefined && addressIn(memory, laid.#offset) === laid.#address
    }
    forget = (laid) => {
      if (laid.#closed) return
      end(laid)
      mapping.forsake(laid.#map.token, laid.#address)
      laid.#map.collect()
    }
    end = (laid) => {
      laid.#closed = true
      kept.delete(laid)
      collected.unregister(laid)
      const others = open.get(laid.#map.token)
      if (others?.delete(laid) && others.size === 0) open.delete(laid.#map.token)
    }
    tag(WasmMapping)
  }

  /** Where in the memory the mapping begins, in bytes. */
  get offset(): number {
    return this.#offset
  }

  /** How many bytes of the mapping are there. They take up the whole of their last page. */
  get length(): number {
    return this.#length
  }

  /** Whether the pages are not there any more: this was closed, or the mapping. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Takes the pages out, and puts zeros there, on every thread that has the memory. A second call does nothing.
   *
   * @throws the OS's errors (`ENOMEM`), after which the pages are there still
   */
  close(): void {
    if (this.#closed) return
    if (!isThere(this)) return forget(this)
    try {
      mapping.takeUp(this.#map.token, this.#address)
    } catch (error) {
      throw this.#map.explain(error)
    }
    end(this)
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

/** Forgets what lies in memories that are gone: call it before the native library touches the pages of a mapping. */
export function forgetGone(token: Token): void {
  for (const laid of open.get(token) ?? []) if (!isThere(laid)) forget(laid)
}

/** Notes that a mapping was closed, and so what was laid of it. */
export function endAll(token: Token): void {
  for (const laid of open.get(token) ?? []) end(laid)
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
  const start = toBytes(offset, 'offset') + 0 // which makes 0 of -0
  const page = native.pageSize()
  const bytes = Math.ceil(map.length / page) * page
  if (start % page !== 0 || start + bytes > buffer.byteLength) {
    const requirement = `a multiple of ${page}, with ${bytes} bytes of the memory's ${buffer.byteLength} from there on`
    throw outOfRange('offset', requirement, offset)
  }
  for (const token of open.keys()) forgetGone(token) // whose addresses may be of this memory by now
  try {
    return lay(map, memory, start, new Uint8Array(buffer, start, bytes))
  } catch (error) {
    throw map.explain(error)
  }
}

/** What the runtime itself calls for `memory.buffer`: it knows a memory from what looks like one. */
const getBuffer = Object.getOwnPropertyDescriptor(
  (globalThis as { WebAssembly?: { Memory: { prototype: object } } }).WebAssembly?.Memory.prototype ?? {},
  'buffer',
)?.get

/** The memory's buffer as it is now, for growing replaces it; undefined for what is no memory. */
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
