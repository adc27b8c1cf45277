// Random steps on many mappings: truncation, growth, protection, stores, loads, copies, syncs, closes and garbage collection,
// compared with a model of every byte. Runs on any runtime, in a folder of its own: `random-faults.mjs SEED STEPS PAGES`,
// with files of up to PAGES pages.
//
// Between a fault and its report a mapping is "unsettled": scratch memory may lie over its pages, so only accesses
// that are lost anyhow are made there. Whatever settles it (the report, `check`, `protect`, `read`, `write`, `sync`)
// must leave exactly what the model says.

import assert from 'node:assert'
import { createHash } from 'node:crypto'
import fs from 'node:fs'

import { random as randomFrom } from './random.mjs'

const { mapAnonymous, mapPrivate, mapShared, pageSize } = await import(new URL('../../index.js', import.meta.url).href)

const [seed, steps, maxPages] = process.argv.slice(2).map(Number)
const UNKNOWN = -1
const HANG_MS = 120_000

// ---- Chance

const random = randomFrom(seed)
const pick = (list) => list[random(list.length)]

function collectGarbage() {
  if (globalThis.Bun) globalThis.Bun.gc(true)
  else globalThis.gc?.()
}

// ---- The model

/** What a file must contain. */
class File {
  /** The mapping whose memory it is. */
  keeper

  constructor(fd, path, size) {
    this.fd = fd
    this.path = path
    this.size = size
    this.bytes = new Uint8Array(maxPages * pageSize)
    /** By page: grows with every change, so that a private mapping knows what it may have missed. */
    this.versions = Array.from({ length: maxPages }, () => 0)
  }

  resize(size) {
    fs.truncateSync(this.path, size)
    const from = Math.floor(Math.min(size, this.size) / pageSize)
    for (let page = from; page < maxPages; page++) this.versions[page]++
    if (size < this.size) this.bytes.fill(0, size)
    this.size = size
    for (const mapping of mappings) if (mapping.file === this) mapping.fileWasResized()
  }
}

class Mapping {
  name = ''

  constructor(map, file, protection) {
    this.map = map
    this.file = file
    this.buffer = map.buffer
    this.length = map.length
    this.lead = map.offset % pageSize
    this.first = Math.floor(map.offset / pageSize)
    this.pages = Math.ceil((this.lead + this.length) / pageSize)
    this.protections = Array.from({ length: this.pages }, () => protection)
    /** By page, of private and anonymous memory: what it has instead of the file's page. */
    this.own = Array.from({ length: this.pages }, () => null)
    this.seen = this.own.map((_, page) => file?.versions[this.first + page])
    if (!file) this.own = this.own.map(() => new Int16Array(pageSize))
    this.told = 0
    this.thrown = 0
    this.unsettled = false
  }

  pageOf(at) {
    return Math.floor((this.lead + at) / pageSize)
  }

  isBeyondEnd(page) {
    return this.file !== undefined && (this.first + page) * pageSize >= this.file.size
  }

  /** Whether a byte lies after the file's end in its last page: it can be accessed, and is part of no file. */
  isTail(at) {
    return this.file !== undefined && !this.isBeyondEnd(this.pageOf(at)) && this.map.offset + at >= this.file.size
  }

  /** Whether the file has become too short for some byte before `to`: calls throw, also inside the file's last page. */
  endsBefore(to) {
    return this.file !== undefined && this.map.offset + to > this.file.size
  }

  hasTail(from, to) {
    if (this.file === undefined) return false
    const end = this.file.size - this.map.offset
    return (
      this.file.size % pageSize !== 0 &&
      from < Math.ceil((this.lead + end) / pageSize) * pageSize - this.lead &&
      to > end
    )
  }

  isReadable(page) {
    return this.protections[page] !== 'none' && !this.isBeyondEnd(page)
  }

  isWritable(page) {
    return this.protections[page] === 'read-write' && !this.isBeyondEnd(page)
  }

  /** The byte that must be there, 0 where it cannot be read, or UNKNOWN. */
  expected(at) {
    const page = this.pageOf(at)
    if (!this.isReadable(page)) return 0
    const own = this.own[page]
    if (own) return own[(this.lead + at) % pageSize]
    if (this.map.kind === 'private' && this.seen[page] !== this.file.versions[this.first + page]) return UNKNOWN
    return this.isTail(at) ? UNKNOWN : this.file.bytes[this.map.offset + at]
  }

  /** Notes a store that must have succeeded. */
  stored(at, value) {
    const page = this.pageOf(at)
    if (this.file && this.map.kind !== 'private') {
      this.file.bytes[this.map.offset + at] = value
      this.file.versions[this.first + page]++
      return
    }
    if (!this.own[page]) {
      const base = page * pageSize - this.lead
      this.own[page] = Int16Array.from({ length: pageSize }, (_, i) =>
        base + i < 0 || base + i >= this.length ? UNKNOWN : this.expected(base + i),
      )
    }
    this.own[page][(this.lead + at) % pageSize] = value
  }

  /** The system takes private pages away that lie after the new end. */
  fileWasResized() {
    if (this.map.kind !== 'private') return
    for (let page = 0; page < this.pages; page++) {
      if (!this.isBeyondEnd(page)) continue
      this.own[page] = null
      this.seen[page] = UNKNOWN
    }
  }

  verify(bytes, from) {
    for (let i = 0; i < bytes.length; i++) {
      const expected = this.expected(from + i)
      if (expected !== UNKNOWN && bytes[i] !== expected) {
        assert.fail(`byte ${from + i} of ${this.describe()} is ${bytes[i]}, not ${expected}`)
      }
    }
  }

  describe() {
    const { kind, offset, length } = this.map
    return `${this.name} (${kind}, offset ${offset}, length ${length}, file of ${this.file?.size})`
  }
}

const files = []
const mappings = []
let made = 0

function makeFile() {
  const size = (1 + random(maxPages)) * pageSize
  const path = `file-${files.length}`
  fs.writeFileSync(path, '')
  fs.truncateSync(path, size)
  const file = new File(fs.openSync(path, 'r+'), path, size)
  files.push(file)
}

/** A file in memory; the mapping that made it stays open and is not used. */
function makeMemoryFile() {
  const length = (1 + random(maxPages)) * pageSize
  const keeper = mapAnonymous(length, { shared: true })
  const file = new File(keeper.fd, `/proc/self/fd/${keeper.fd}`, length)
  file.keeper = keeper
  files.push(file)
}

function makeMapping() {
  const number = made++
  let mapping
  const onFault = (fault) => {
    assert.strictEqual(fault.map, mapping.map)
    assert.ok(fault.contained, `a fault of ${mapping.describe()} was not rolled back`)
    assert.ok(fault.offset >= 0 && fault.length > 0 && fault.offset + fault.length <= mapping.length)
    mapping.told++
    mapping.unsettled = false
  }
  const protection = pick(['none', 'read', 'read', 'read-write', 'read-write'])
  if (random(5) === 0) {
    mapping = new Mapping(mapAnonymous(1 + random(maxPages * pageSize), { protection, onFault }), undefined, protection)
  } else {
    const file = pick(files)
    if (file.size === 0) return
    const offset = random(file.size)
    const length = 1 + random(file.size - offset)
    const make = pick([mapPrivate, mapShared])
    mapping = new Mapping(make(file.fd, { offset, length, protection, onFault }), file, protection)
  }
  mapping.name = `mapping ${number}`
  mappings.push(mapping)
}

// ---- What is done

function store(mapping) {
  const at = random(mapping.length)
  const page = mapping.pageOf(at)
  const good = mapping.isWritable(page)
  if (mapping.isTail(at) && mapping.protections[page] === 'read-write') return
  if (mapping.unsettled && good) return
  const value = 1 + random(255)
  const before = mapping.map.faults
  const way = random(4)
  if (way === 0) mapping.buffer[at] = value
  else if (way === 1) mapping.buffer.fill(value, at, at + 1)
  else if (way === 2) Buffer.from([value]).copy(mapping.buffer, at)
  else mapping.map.dataView(at, 1).setUint8(0, value)
  if (good) {
    assert.strictEqual(mapping.map.faults, before, `a good store to ${mapping.describe()} faulted`)
    mapping.stored(at, value)
  } else {
    assert.ok(mapping.unsettled || mapping.map.faults > before, `a bad store to ${mapping.describe()} did not fault`)
    mapping.unsettled = true
  }
}

function load(mapping) {
  const at = random(mapping.length)
  const before = mapping.map.faults
  const value = mapping.buffer[at]
  if (mapping.unsettled) return
  mapping.verify([value], at)
  const good = mapping.isReadable(mapping.pageOf(at))
  assert.strictEqual(mapping.map.faults > before, !good, `a load of byte ${at} of ${mapping.describe()}`)
  mapping.unsettled = !good
}

function fill(mapping) {
  if (mapping.unsettled || mapping.hasTail(0, mapping.length)) return
  const value = random(256)
  mapping.buffer.fill(value)
  for (let at = 0; at < mapping.length; at++) {
    if (mapping.isWritable(mapping.pageOf(at))) mapping.stored(at, value)
    else mapping.unsettled = true
  }
}

function hash(mapping) {
  createHash('sha256').update(mapping.buffer).digest()
  if (mapping.protections.some((_, page) => !mapping.isReadable(page))) mapping.unsettled = true
}

function protect(mapping) {
  const from = random(mapping.pages)
  const to = from + 1 + random(mapping.pages - from)
  const protection = pick(['none', 'read', 'read-write'])
  const offset = Math.max(0, from * pageSize - mapping.lead)
  const end = Math.min(mapping.length, to * pageSize - mapping.lead)
  mapping.map.protect(protection, { offset, length: end - offset })
  mapping.protections.fill(protection, from, to)
  mapping.unsettled = false
}

function resize() {
  const file = pick(files)
  const size = random(4) === 0 ? random(maxPages * pageSize) : random(maxPages + 1) * pageSize
  file.resize(size)
}

/** Runs a call that throws its own faults; returns whether it threw. */
function throwsFault(mapping, run) {
  try {
    run()
    return false
  } catch (error) {
    if (error.code !== 'ERR_MMAP_FAULT') throw error
    assert.strictEqual(error.fault.map, mapping.map)
    mapping.thrown++
    return true
  }
}

function check(mapping) {
  throwsFault(mapping, () => mapping.map.check())
  mapping.unsettled = false
}

function read(mapping) {
  const offset = random(mapping.length)
  const length = 1 + random(mapping.length - offset)
  let good = !mapping.endsBefore(offset + length)
  for (let page = mapping.pageOf(offset); page <= mapping.pageOf(offset + length - 1); page++) {
    good &&= mapping.isReadable(page)
  }
  const failed = throwsFault(mapping, () => mapping.verify(mapping.map.read(offset, length), offset))
  assert.strictEqual(failed, !good, `read of ${length} bytes at ${offset} of ${mapping.describe()}`)
  mapping.unsettled = false
}

function write(mapping) {
  const offset = random(mapping.length)
  const length = 1 + random(mapping.length - offset)
  const data = Buffer.alloc(length, random(256))
  const pages = mapping.protections.slice(mapping.pageOf(offset), mapping.pageOf(offset + length - 1) + 1)
  if (pages.some((protection) => protection !== 'read-write')) {
    assert.throws(() => mapping.map.write(data, offset), { code: 'ERR_MMAP_NOT_WRITABLE' })
    return
  }
  const failed = throwsFault(mapping, () => mapping.map.write(data, offset))
  const lost = mapping.endsBefore(offset + length)
  assert.strictEqual(failed, lost, `write of ${length} bytes at ${offset} of ${mapping.describe()}`)
  if (!failed) for (let i = 0; i < length; i++) mapping.stored(offset + i, data[i])
  mapping.unsettled = false
}

async function sync(mapping) {
  if (mapping.map.kind === 'private' || !mapping.file) return
  const lost = mapping.unsettled
  const failed = await mapping.map.sync().then(
    () => false,
    (error) => throwsFault(mapping, () => assert.fail(error)) || true,
  )
  if (lost) assert.ok(failed, `sync of ${mapping.describe()} resolved over a fault`)
  mapping.unsettled = false
}

/** Lets the event loop turn until every fault so far has been reported. */
async function turn() {
  for (const end = Date.now() + HANG_MS; mappings.some((mapping) => mapping.unsettled);) {
    assert.ok(Date.now() < end, 'a fault was not told within many turns')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Everything must be as the model says, and every fault reported once in each way. */
async function close(index) {
  const mapping = mappings[index]
  await turn()
  for (let page = 0; page < mapping.pages; page++) {
    const from = Math.max(0, page * pageSize - mapping.lead)
    const to = Math.min(mapping.length, (page + 1) * pageSize - mapping.lead)
    const before = mapping.map.faults
    mapping.verify(mapping.buffer.subarray(from, to), from)
    assert.strictEqual(mapping.map.faults > before, !mapping.isReadable(page) && from < to)
    check(mapping)
  }
  while (throwsFault(mapping, () => mapping.map.check()));
  for (const end = Date.now() + HANG_MS; mapping.told !== mapping.thrown;) {
    assert.ok(Date.now() < end, `${mapping.name}: ${mapping.told} faults told as news, ${mapping.thrown} thrown`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  mappings.splice(index, 1)
  if (random(4) > 0) mapping.map.close()
}

/** What is done, and how often. */
/** @type {[number, () => unknown][]} */
const weights = [
  [30, store],
  [20, load],
  [4, fill],
  [2, hash],
  [6, protect],
  [6, resize],
  [4, check],
  [5, read],
  [5, write],
  [2, turn],
  [1, sync],
  [1, () => close(random(mappings.length))],
  [0.1, collectGarbage],
]
const actions = weights.flatMap(([weight, action]) => Array.from({ length: weight * 10 }, () => action))

let step = 0
process.on('uncaughtException', (error) => {
  console.error(`seed ${seed}, step ${step}:`, error)
  process.exit(1)
})

for (let i = 0; i < 3; i++) makeFile()
makeMemoryFile()
for (; step < steps; step++) {
  while (mappings.length < 8) makeMapping()
  await pick(actions)(pick(mappings))
}
while (mappings.length > 0) await close(0)
for (const file of files) {
  assert.ok(fs.readFileSync(file.path).equals(file.bytes.subarray(0, file.size)), 'a file differs from the model')
}
console.log(`seed ${seed}: ${steps} steps, ${made} mappings`)
