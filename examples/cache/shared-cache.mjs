// A cache that processes share: keys and values of bytes, in a mapping whose length never changes. What was used longest ago
// makes room for what is new.
//
// The mapping is cut into shards, each with a lock; the hash of a key says which is its own. A shard has a head, a table of
// buckets, and blocks of one size. An entry is a chain of blocks: its own words in the first, then key and value. Blocks
// are known by their number plus one, so that 0 is none.
//
// A process can be killed at any moment. Its lock goes to the next one, who finds that the shard was being changed, and
// empties it: a cache may forget.

import { randomInt } from 'node:crypto'

import { Mutex } from 'memory-map/sync'

const HEAD = 64 // bytes, so that no two locks are in one cache line
const MAGIC = 0x6d6d6331 // "mmc1": version 1 of this layout

/** Words of the mapping's head, behind its lock. */
const [KIND, SHARDS, BLOCK_SIZE, SEED] = [2, 3, 4, 5]

/** Words of a shard's head, behind its lock: numbers of blocks, but for the first and the last two. */
const [STATE, FREE, NEWEST, OLDEST, ENTRIES, USED] = [2, 3, 4, 5, 6, 7]
const [READY, CHANGING] = [1, 2]

/** Words of a block, and of the first of an entry. */
const [NEXT, HASH, IN_BUCKET, NEWER, OLDER, KEY, VALUE, EXPIRES] = [0, 1, 2, 3, 4, 5, 6, 7]
const FIRST = 40 // bytes before the key
const LATER = 4 // bytes before what follows in another block

const DAMAGED = Symbol('another process has stored what does not fit')

export class SharedCache {
  #map
  #seed
  /** Reads from memory that is not there are zeros: their results are not to be used. */
  #faults
  #shards

  /**
   * The first to use a mapping lays it out; for the others both options may be left out.
   *
   * @param map shared memory that is writable, all zero at first
   * @param {{ shards?: number, blockSize?: number }} options shards are locked one by one; a block is what the memory
   *   for an entry is a multiple of, in bytes
   */
  constructor(map, { shards = 16, blockSize = 1024 } = {}) {
    this.#map = map
    this.#faults = map.faults
    const words = map.typedArray(Uint32Array, 0, HEAD / 4)
    const lock = new Mutex(map, 0)
    lock.lock()
    try {
      if (words[KIND] !== MAGIC) {
        if (!(shards >= 1 && blockSize >= 64 && blockSize % 8 === 0)) throw new RangeError('Such shards cannot be')
        ;[words[SHARDS], words[BLOCK_SIZE], words[SEED]] = [shards, blockSize, randomInt(2 ** 32)]
        Atomics.store(words, KIND, MAGIC)
      }
    } finally {
      lock.unlock()
    }
    this.#seed = words[SEED]
    const count = words[SHARDS]
    const length = Math.floor((map.length - HEAD) / count / HEAD) * HEAD
    this.#shards = Array.from({ length: count }, (_, i) => new Shard(map, HEAD + i * length, length, words[BLOCK_SIZE]))
  }

  /** Bytes of the longest key and value together. */
  get maxLength() {
    return this.#shards[0].maxLength
  }

  /** How many entries there are, and how many bytes they take of how many. */
  get usage() {
    const all = this.#shards.map((shard) => shard.usage)
    const sum = (what) => all.reduce((total, usage) => total + usage[what], 0)
    return { entries: sum('entries'), used: sum('used'), capacity: sum('capacity') }
  }

  /** A copy of the value; undefined where there is none any more. */
  get(key) {
    return this.#with(key, (shard, hash, bytes) => shard.get(hash, bytes))
  }

  /** Keeps a value, for `ttl` milliseconds at most; `false` if it is too long. */
  set(key, value, { ttl = Infinity } = {}) {
    const bytes = toBytes(value)
    return this.#with(key, (shard, hash, name) => shard.set(hash, name, bytes, Date.now() + ttl)) ?? false
  }

  /** Forgets a value; whether there was one. */
  delete(key) {
    return this.#with(key, (shard, hash, bytes) => shard.delete(hash, bytes)) ?? false
  }

  #with(key, use) {
    const bytes = toBytes(key)
    const hash = hashOf(bytes, this.#seed)
    const result = this.#shards[hash % this.#shards.length].use((shard) => use(shard, hash, bytes))
    if (this.#map.faults !== this.#faults) {
      this.#faults = this.#map.faults
      this.#map.check() // throws
    }
    return result
  }
}

class Shard {
  #lock
  #words
  #bytes
  #buckets
  #blockSize
  #blocks
  /** Where the blocks begin, in bytes. */
  #first

  constructor(map, start, length, blockSize) {
    this.#blocks = Math.floor((length - 2 * HEAD) / (blockSize + 8))
    if (!(this.#blocks >= 1)) throw new RangeError('The mapping is too small for so many shards')
    this.#buckets = 2 ** Math.floor(Math.log2(this.#blocks * 2))
    this.#first = HEAD + Math.ceil((this.#buckets * 4) / HEAD) * HEAD
    this.#blockSize = blockSize
    this.#lock = new Mutex(map, start)
    this.#words = map.typedArray(Uint32Array, start, length / 4)
    this.#bytes = map.view(start, length)
  }

  get maxLength() {
    return this.#blockSize - FIRST + (this.#blocks - 1) * (this.#blockSize - LATER)
  }

  get usage() {
    const [entries, used] = [this.#words[ENTRIES], this.#words[USED]]
    return { entries, used: used * this.#blockSize, capacity: this.#blocks * this.#blockSize }
  }

  /** Runs `run` with the lock held; undefined where the shard had to be emptied. */
  use(run) {
    this.#lock.lock()
    try {
      // It is new, or somebody died in here.
      if (Atomics.load(this.#words, STATE) !== READY) this.#clear()
      return run(this)
    } catch (error) {
      if (error !== DAMAGED) throw error
      this.#clear()
    } finally {
      this.#lock.unlock()
    }
  }

  get(hash, key) {
    const entry = this.#find(hash, key)
    if (entry === 0) return
    if (this.#read(entry, EXPIRES) + this.#read(entry, EXPIRES + 1) * 2 ** 32 < Date.now()) {
      this.#change(() => this.#remove(entry))
      return
    }
    const length = this.#read(entry, VALUE)
    if (key.length + length > this.maxLength) throw DAMAGED
    const value = Buffer.allocUnsafe(length)
    this.#walk(entry, key.length, length, (at, size, done) => this.#bytes.copy(value, done, at, at + size))
    if (this.#words[NEWEST] !== entry) {
      this.#change(() => {
        this.#unlink(entry)
        this.#link(entry)
      })
    }
    return value
  }

  set(hash, key, value, expires) {
    const total = key.length + value.length
    if (total > this.maxLength) return false
    this.#change(() => {
      const old = this.#find(hash, key)
      if (old !== 0) this.#remove(old)
      const entry = this.#allocate(
        1 + Math.max(0, Math.ceil((total - (this.#blockSize - FIRST)) / (this.#blockSize - LATER))),
      )
      const bucket = HEAD / 4 + (hash & (this.#buckets - 1))
      const time = Math.min(expires, Number.MAX_SAFE_INTEGER)
      const words = { [HASH]: hash, [IN_BUCKET]: this.#words[bucket], [KEY]: key.length, [VALUE]: value.length }
      for (const [word, content] of Object.entries(words)) this.#write(entry, Number(word), content)
      this.#write(entry, EXPIRES, time >>> 0)
      this.#write(entry, EXPIRES + 1, Math.floor(time / 2 ** 32))
      this.#walk(entry, 0, key.length, (at, size, done) => this.#bytes.set(key.subarray(done, done + size), at))
      this.#walk(entry, key.length, value.length, (at, size, done) => {
        this.#bytes.set(value.subarray(done, done + size), at)
      })
      this.#words[bucket] = entry
      this.#link(entry)
      this.#words[ENTRIES]++
    })
    return true
  }

  delete(hash, key) {
    const entry = this.#find(hash, key)
    if (entry !== 0) this.#change(() => this.#remove(entry))
    return entry !== 0
  }

  /** If the process dies meanwhile, the next one to lock finds that it was here. */
  #change(run) {
    Atomics.store(this.#words, STATE, CHANGING)
    run()
    Atomics.store(this.#words, STATE, READY)
  }

  #clear() {
    this.#change(() => {
      this.#words.fill(0, STATE + 1, this.#first / 4)
      for (let block = 1; block < this.#blocks; block++) this.#write(block, NEXT, block + 1)
      this.#write(this.#blocks, NEXT, 0)
      this.#words[FREE] = 1
    })
  }

  /** The entry of a key, or 0. */
  #find(hash, key) {
    let entry = this.#words[HEAD / 4 + (hash & (this.#buckets - 1))]
    for (let steps = 0; entry !== 0; steps++) {
      if (steps > this.#blocks) throw DAMAGED
      if (this.#read(entry, HASH) === hash && this.#read(entry, KEY) === key.length) {
        let same = true
        this.#walk(entry, 0, key.length, (at, size, done) => {
          same &&= this.#bytes.compare(key, done, done + size, at, at + size) === 0
        })
        if (same) return entry
      }
      entry = this.#read(entry, IN_BUCKET)
    }
    return 0
  }

  /** Takes so many blocks, in a chain, and has older entries make room. */
  #allocate(count) {
    while (this.#blocks - this.#words[USED] < count) this.#remove(this.#words[OLDEST])
    const first = this.#words[FREE]
    let last = first
    for (let i = 1; i < count; i++) last = this.#read(last, NEXT)
    this.#words[FREE] = this.#read(last, NEXT)
    this.#write(last, NEXT, 0)
    this.#words[USED] += count
    return first
  }

  #remove(entry) {
    this.#unlink(entry)
    const bucket = HEAD / 4 + (this.#read(entry, HASH) & (this.#buckets - 1))
    const after = this.#read(entry, IN_BUCKET)
    let before = this.#words[bucket]
    if (before === entry) this.#words[bucket] = after
    else {
      for (let steps = 0; this.#read(before, IN_BUCKET) !== entry; steps++) {
        if (steps > this.#blocks) throw DAMAGED
        before = this.#read(before, IN_BUCKET)
      }
      this.#write(before, IN_BUCKET, after)
    }
    let [last, count] = [entry, 1]
    for (let next = this.#read(last, NEXT); next !== 0; next = this.#read(last, NEXT)) {
      if (++count > this.#blocks) throw DAMAGED
      last = next
    }
    this.#write(last, NEXT, this.#words[FREE])
    this.#words[FREE] = entry
    this.#words[USED] -= count
    this.#words[ENTRIES]--
  }

  /** Makes an entry the newest. */
  #link(entry) {
    const newest = this.#words[NEWEST]
    this.#write(entry, OLDER, newest)
    this.#write(entry, NEWER, 0)
    if (newest === 0) this.#words[OLDEST] = entry
    else this.#write(newest, NEWER, entry)
    this.#words[NEWEST] = entry
  }

  #unlink(entry) {
    const [newer, older] = [this.#read(entry, NEWER), this.#read(entry, OLDER)]
    if (newer === 0) this.#words[NEWEST] = older
    else this.#write(newer, OLDER, older)
    if (older === 0) this.#words[OLDEST] = newer
    else this.#write(older, NEWER, newer)
  }

  /** Calls `visit` for each piece of what an entry has from the byte `from` on: where it is, its size, what came before. */
  #walk(entry, from, length, visit) {
    let [block, header, skip, done] = [entry, FIRST, from, 0]
    while (done < length) {
      const room = this.#blockSize - header
      if (skip < room) {
        const size = Math.min(room - skip, length - done)
        visit(this.#first + (this.#check(block) - 1) * this.#blockSize + header + skip, size, done)
        done += size
      }
      skip = Math.max(0, skip - room)
      block = this.#read(block, NEXT)
      header = LATER
    }
  }

  #read(block, word) {
    return this.#words[(this.#first + (this.#check(block) - 1) * this.#blockSize) / 4 + word]
  }

  #write(block, word, content) {
    this.#words[(this.#first + (this.#check(block) - 1) * this.#blockSize) / 4 + word] = content
  }

  #check(block) {
    if (block >= 1 && block <= this.#blocks) return block
    throw DAMAGED
  }
}

function toBytes(value) {
  return typeof value === 'string' ? Buffer.from(value) : value
}

/** FNV-1a with a seed, so that nobody can choose keys that share a bucket, and its bits mixed as murmur3 does. */
function hashOf(bytes, seed) {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
