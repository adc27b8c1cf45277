// A cache in shared memory: a fixed table, with a robust lock for each part of it.

import { createHash } from 'node:crypto'

import { Mutex } from 'memory-map/sync'

const WAYS = 4
const LOCK = 64 // bytes, so that no two locks are in one cache line
/** Of a slot: 16 bytes of the key's hash, when it was used last, the length of the value. */
const HEADER = 32

/**
 * Maps keys to values of bytes. Each key has one shard, by its hash, and in it one of `WAYS` slots of each set; the
 * slot of a set that was used longest ago makes room.
 */
export class SharedCache {
  #bytes
  #shards
  #slotSize
  #setsPerShard

  static byteLength({ shards, setsPerShard, slotSize }) {
    return shards * (LOCK + setsPerShard * WAYS * slotSize)
  }

  /** @param map shared memory of `byteLength` bytes, which are zero at first */
  constructor(map, { shards, setsPerShard, slotSize }) {
    this.#bytes = map.buffer
    this.#slotSize = slotSize
    this.#setsPerShard = setsPerShard
    const size = LOCK + setsPerShard * WAYS * slotSize
    this.#shards = Array.from({ length: shards }, (_, i) => ({ start: i * size, lock: new Mutex(map, i * size) }))
  }

  /** A copy of the value, or undefined. */
  get(key) {
    const hash = hashOf(key)
    return this.#inShard(hash, (slots) => {
      for (const at of slots) {
        if (this.#bytes.compare(hash, 0, 16, at, at + 16) !== 0) continue
        this.#bytes.writeDoubleLE(Date.now(), at + 16)
        const length = this.#bytes.readUInt32LE(at + 24)
        return Buffer.from(this.#bytes.subarray(at + HEADER, at + HEADER + length))
      }
    })
  }

  /** Keeps a value, if it is not too long. */
  set(key, value) {
    if (value.length > this.#slotSize - HEADER) return
    const hash = hashOf(key)
    this.#inShard(hash, (slots) => {
      const same = slots.find((at) => this.#bytes.compare(hash, 0, 16, at, at + 16) === 0)
      const used = (at) => this.#bytes.readDoubleLE(at + 16)
      const at = same ?? slots.reduce((oldest, at) => (used(at) < used(oldest) ? at : oldest))
      // The hash comes last: a slot that a killed process left half written has none.
      this.#bytes.fill(0, at, at + 16)
      this.#bytes.writeDoubleLE(Date.now(), at + 16)
      this.#bytes.writeUInt32LE(value.length, at + 24)
      this.#bytes.set(value, at + HEADER)
      this.#bytes.set(hash, at)
    })
  }

  /** Runs `use` with the lock of the key's shard held, and the slots of its set. */
  #inShard(hash, use) {
    const { start, lock } = this.#shards[hash.readUInt32LE(0) % this.#shards.length]
    const set = hash.readUInt32LE(4) % this.#setsPerShard
    const first = start + LOCK + set * WAYS * this.#slotSize
    const slots = Array.from({ length: WAYS }, (_, way) => first + way * this.#slotSize)
    // 'recovered': another worker died in here. What it wrote has no hash, or is whole.
    lock.lock()
    try {
      return use(slots)
    } finally {
      lock.unlock()
    }
  }
}

/** 16 bytes, not all zero. */
function hashOf(key) {
  const hash = createHash('md5').update(key).digest()
  hash[15] |= 1
  return hash
}
