// The newest value, for readers that need no other.

import { toBytes, toBytesOf } from '../arguments.js'
import type { NativeLatest } from '../binding.js'
import { allocate } from '../buffers.js'
import { check } from '../choices.js'
import { invalidType, outOfRange } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toExtent, toLimit, toMessage, toTimeout, toToken, type WaitOptions } from './arguments.js'
import { explain, type MemoryMap, native } from './main.js'
import { Pool, SMALL } from './messages.js'
import { call, waitFor } from './pending.js'
import { NONE, Slots } from './slots.js'

/** Where the newest value is, and how much memory it has. */
export interface LatestOptions {
  /** Where it begins, in bytes; a multiple of 8 in memory. Default: 0. */
  readonly offset?: number | bigint | undefined
  /**
   * Bytes of memory: {@link Latest.byteLengthFor} says how many values of a length need. All that use it must give the
   * same. Default: to the end of the mapping.
   */
  readonly length?: number | bigint | undefined
}

/** Bytes of the head (docs/latest.md), and of what each of the three slots has before its value. */
const [HEAD, SLOTS, HEADER] = [64, 3, 16]

/**
 * The newest of the values that any process writes: a price, a measurement, a configuration. The memory must be zero
 * before the first use.
 *
 * Writers wait for each other, never for readers. Readers wait for nobody: they get a whole value even while a writer is
 * stopped or killed in the middle of the next one. They need no writable mapping.
 *
 * ```js
 * const map = mapShared('price', { create: true, length: Latest.byteLengthFor(64), protection: 'read-write' })
 * const price = new Latest(map)
 * price.write('1.0843')
 * // elsewhere
 * const seen = price.version // before `read`, so that no later value is missed
 * price.read()?.toString()
 * await price.waitAsync(seen, 1000) // until there is another one
 * ```
 */
export class Latest extends Handle {
  static {
    tag(this)
  }

  /** Bytes of memory that values of up to `maxLength` bytes take. */
  static byteLengthFor(maxLength: number | bigint): number {
    return HEAD + SLOTS * (HEADER + Math.ceil(Math.max(1, toBytes(maxLength, 'maxLength')) / 8) * 8)
  }

  readonly #map: MemoryMap<any>
  readonly #native: NativeLatest
  readonly #max: number
  readonly #pool = new Pool()
  /** For values that are short. */
  readonly #slots: Slots | undefined
  /** How long the last value was that is too long for the pool. */
  #length = SMALL

  /**
   * @param map a mapping that is shared; to write, one that is writable
   * @throws `ERR_MMAP_INVALID` if the memory has something else, or values of another length; `ERR_MMAP_NOT_SHARED`,
   *   `ERR_OUT_OF_RANGE`
   */
  constructor(map: MemoryMap<any>, options?: Readonly<LatestOptions>) {
    const token = toToken(map)
    const { offset, length } = check<LatestOptions>(options, ['offset', 'length'])
    const [start, size] = toExtent(map, offset, length)
    super()
    this.#map = map
    this.#native = call(map, () => native.latestOpen(token, start, size))
    this.#max = native.latestMaxLength(this.#native)
    if (this.#max <= SMALL) this.#slots = new Slots(map, start, Latest.byteLengthFor(this.#max), this.#max)
  }

  /** Bytes of the longest value. */
  get maxLength(): number {
    return this.#max
  }

  /** How many values have been written; 0 before the first. */
  get version(): number {
    return call(this.#map, () => native.latestVersion(this.#native))
  }

  /**
   * Writes a value. Blocks the thread while another writer copies one; `false` if the time is up first.
   *
   * @param data a string is written as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_NOT_WRITABLE`, `ERR_MMAP_INVALID`,
   *   `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  write(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean {
    const bytes = toMessage(data)
    if (bytes.length > this.#max) throw outOfRange('data', `at most ${this.#max} bytes`, bytes.length)
    const limit = toTimeout(timeout)
    return call(this.#map, () => native.latestWrite(this.#native, bytes, limit))
  }

  /**
   * Copies the newest value; undefined before the first.
   *
   * @throws `ERR_MMAP_INVALID` if something else has stored to the memory; `ERR_MMAP_BUSY` if values are written for
   *   seconds faster than one can be copied; `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  read(): Buffer | undefined
  /**
   * Copies the newest value to the start of `target`, and returns how many bytes it has; undefined before the first.
   *
   * @throws `ERR_OUT_OF_RANGE` if `target` is too short; otherwise as above
   */
  read(target: NodeJS.ArrayBufferView): number | undefined
  read(target?: NodeJS.ArrayBufferView): Buffer | number | undefined {
    if (target !== undefined) return this.#readInto(target)
    if (this.#max > SMALL) return this.#readLong()
    const memory = this.#pool.ready()
    const length = this.#read(memory, this.#pool.used)
    return length < 0 ? undefined : this.#pool.cut(length)
  }

  /**
   * Waits until {@link Latest.version} is another one than `version`, and blocks the thread; `false` if the time is up first.
   *
   * @param timeout in milliseconds; for ever if there is none
   */
  wait(version: number, timeout?: number): boolean {
    const [seen, limit] = [toVersion(version), toTimeout(timeout)]
    return call(this.#map, () => native.latestWait(this.#native, seen, limit)) === 0
  }

  /**
   * As {@link wait}, without blocking the event loop. It keeps the process alive.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  async waitAsync(version: number, options?: number | Readonly<WaitOptions>): Promise<boolean> {
    const [seen, limit] = [toVersion(version), toLimit(options)]
    if (this.version !== seen) return true
    return (await waitFor(this.#map, limit, (...rest) => native.latestWaitAsync(this.#native, seen, ...rest))) === 0
  }

  toJSON(): object {
    const { maxLength } = this
    return this.#map.closed ? { maxLength } : { maxLength, version: this.version }
  }

  #readInto(target: NodeJS.ArrayBufferView): number | undefined {
    const bytes = toBytesOf(target, 'target')
    const length = this.#read(bytes, 0)
    if (length > bytes.length) throw outOfRange('target.length', `at least ${length}, that of the value`, bytes.length)
    return length < 0 ? undefined : length
  }

  #readLong(): Buffer | undefined {
    for (;;) {
      const buffer = allocate(this.#length)
      const length = this.#read(buffer, 0)
      if (length < 0) return undefined
      if (length <= buffer.length) return buffer.subarray(0, length)
      this.#length = length
    }
  }

  #read(target: Uint8Array, start: number): number {
    const copied = this.#slots?.read(target, start) ?? NONE
    if (copied !== NONE) return copied
    try {
      return native.latestRead(this.#native, target as Buffer, start)
    } catch (error) {
      throw explain(this.#map, error)
    } finally {
      this.#slots?.words.prepare()
    }
  }
}

function toVersion(version: unknown): number {
  if (typeof version !== 'number') throw invalidType('version', 'of type number', version)
  return toBytes(version, 'version')
}
