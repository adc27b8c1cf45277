// Buffers over existing memory.

import { environment } from './environment.js'
import { outOfMemory } from './errors.js'

/** Whether memory is empty because it was transferred away: only an attempt to use it tells. */
export function isDetached(memory: ArrayBufferLike): boolean {
  try {
    void new Uint8Array(memory)
    return false
  } catch {
    return true
  }
}

/** Makes a Buffer over a part of `memory`, which must have that part. */
export type Cut = (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>

type Constructor = new (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>

/** The class behind `Buffer.from` and `subarray`: calling it directly takes half the time. */
const FastBuffer = (Buffer as unknown as { [Symbol.species]: Constructor })[Symbol.species]

/** A Buffer over memory that only this thread changes while it is used. */
export const cut: Cut =
  (FastBuffer as unknown) === Buffer
    ? Buffer.from
    : (memory, byteOffset, length) => new FastBuffer(memory, byteOffset, length)

type Allocate = (length: number) => Buffer<ArrayBuffer>

const throwing = (allocate: Allocate): Allocate => {
  return (length) => {
    try {
      return allocate(length)
    } catch {
      throw outOfMemory(length)
    }
  }
}

/** As `Buffer.allocUnsafe`, but throws the system's error if there is no memory. */
export const allocate = throwing((length) => Buffer.allocUnsafe(length))

/** The same, with an ArrayBuffer of its own. */
export const allocateAlone = throwing((length) => Buffer.allocUnsafeSlow(length))

/** Text of fewer bytes fits into what V8 has in reserve. */
const LONG = 2 ** 20

/** As {@link allocate}, for bytes to decode: V8 ends the process if there is no memory for the string. */
export function allocateForText(length: number): Buffer<ArrayBuffer> {
  const bytes = allocate(length)
  checkMemory(length, 2) // bytes for each of these, at most
  return bytes
}

/** Throws the system's error if there is no memory for `times` as many bytes. */
export function checkMemory(length: number, times = 1): void {
  if (length >= LONG && !environment.native!.hasMemory(times * length)) throw outOfMemory(length)
}

/** A copy of `bytes` that can be decoded. */
export function copyForText(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const copy = allocateForText(bytes.length)
  copy.set(bytes)
  return copy
}

/** A copy of `bytes`; throws the system's error if there is no memory. */
export function copyOf(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const copy = allocate(bytes.length)
  copy.set(bytes)
  return copy
}

/** The bytes of a text; throws the system's error if there is no memory. */
export function encode(text: string, encoding: BufferEncoding): Buffer<ArrayBuffer> {
  try {
    return Buffer.from(text, encoding)
  } catch {
    throw outOfMemory(Buffer.byteLength(text, encoding))
  }
}
