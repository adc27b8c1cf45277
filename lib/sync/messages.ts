// Buffers for messages on their way between JavaScript and the native library.

import { cut } from '../buffers.js'

/** Messages up to this length share memory with others, as those of `Buffer.allocUnsafe` do. */
export const SMALL = 4096
const POOL = 64 * 1024
export const HALF = POOL / 2

/** The most messages in one call. */
export const MOST = 1024

/** Memory for messages that come. */
export class Pool {
  memory: Buffer | undefined
  /** Where the next message goes. */
  used = 0

  /** The memory, with room for a small message from `used` on, or for more. */
  ready(room = SMALL): Buffer {
    if (!this.isThere || this.room < room) {
      this.memory = Buffer.allocUnsafeSlow(POOL)
      this.used = 0
    }
    return this.memory!
  }

  /** Whether it has memory: who got a message may have transferred what that shares with others. */
  get isThere(): boolean {
    return this.memory !== undefined && this.memory.length > 0
  }

  /** How many bytes are left in it. */
  get room(): number {
    return POOL - this.used
  }

  /** Cuts out a message of `length` bytes that was received there. */
  cut(length: number): Buffer {
    const start = this.used
    this.used = (start + length + 7) & ~7
    return cut(this.memory!.buffer, start, length)
  }
}

/** Packs messages together, to be sent in one call. */
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
