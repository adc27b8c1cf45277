// Memory that messages pass through on their way between JavaScript and a channel.

import { cut } from '../buffers.js'

/** Messages up to this length share memory with others, as those of `Buffer.allocUnsafe` do. */
export const SMALL = 4096
const POOL = 64 * 1024

/** How many messages go in one call at most. */
export const MOST = 1024

/** Memory for messages that come. */
export class Pool {
  memory: Buffer | undefined
  /** Where the next message goes. */
  used = 0

  /** The same with place for a small message. */
  ready(): Buffer {
    if (this.memory === undefined || POOL - this.used < SMALL) {
      this.memory = Buffer.allocUnsafeSlow(POOL)
      this.used = 0
    }
    return this.memory
  }

  /** A message of `length` bytes that was put there. */
  cut(length: number): Buffer {
    const start = this.used
    this.used = (start + length + 7) & ~7
    return cut(this.memory!.buffer, start, length)
  }
}

/** Messages that are put together to be sent in one call. */
export class Batch {
  bytes = Buffer.alloc(0)
  ends = new Uint32Array(0)

  /** Collects messages from `start` on, and returns the index of the first that does not fit. */
  pack(messages: readonly Uint8Array[], start: number): number {
    if (this.bytes.length === 0) {
      this.bytes = Buffer.allocUnsafeSlow(POOL)
      this.ends = new Uint32Array(MOST)
    }
    const { bytes, ends } = this
    let index = start
    for (let used = 0; index < messages.length && index - start < MOST; index++) {
      const message = messages[index]!
      if (message.length > SMALL || used + message.length > POOL) break
      bytes.set(message, used)
      ends[index - start] = used += message.length
    }
    return index
  }
}
