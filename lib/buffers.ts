// Buffers over memory that is there.

/** Whether memory of no bytes was transferred away, which only who uses it can tell. */
export function isDetached(memory: ArrayBufferLike): boolean {
  try {
    void new Uint8Array(memory)
    return false
  } catch {
    return true
  }
}

type Constructor = new (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>

/** What `Buffer.from` makes of memory in the end, and `subarray` makes too: in half the time. */
const FastBuffer = (Buffer as unknown as { [Symbol.species]?: Constructor })[Symbol.species]

/** A Buffer over a part of `memory`, which must have that part. */
export const cut: (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any> =
  FastBuffer === undefined || (FastBuffer as unknown) === Buffer
    ? Buffer.from
    : (memory, byteOffset, length) => new FastBuffer(memory, byteOffset, length)
