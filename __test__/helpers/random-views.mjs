// Random views, stores, transfers, resizes and lines of mappings, against plain bytes. Runs on any runtime:
// `random-views.mjs BACKING`.

import assert from 'node:assert'
import { createRequire } from 'node:module'

// Deno looks for it beside the script that it was started with.
const fc = createRequire(import.meta.url)('fast-check')
const { mapAnonymous, mapPrivate } = await import(new URL('../../index.js', import.meta.url).href)
const fs = process.getBuiltinModule('node:fs')

const [backing] = process.argv.slice(2)
const KIB = 2 ** 10
const MIB = 2 ** 20
const GIB = 2 ** 30

const path = fs.realpathSync('.') + '/content'
const content = Buffer.alloc(12 * MIB)
for (let i = 0; i < content.length; i += 4) content.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i)
fs.writeFileSync(path, content)

/** At and around borders of windows of each size, and anywhere. */
const place = fc.oneof(
  fc
    .tuple(fc.nat(3 * 256), fc.constantFrom(16, 64, 1024), fc.integer({ min: -9, max: 9 }))
    .map(([i, step, by]) => Math.max(0, i * step * KIB + by)),
  fc.nat(13 * MIB),
  fc.nat(45 * MIB),
)
const length = fc.oneof(
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 4, arbitrary: fc.nat(300 * KIB) },
  { weight: 1, arbitrary: fc.nat(9 * MIB) },
)

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ what: fc.constantFrom('view', 'typedArray', 'dataView'), place, length }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constantFrom('store', 'write'), place, length, byte: fc.nat(255) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('lines'), place, length }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('buffer', 'arrayBuffer') }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('transfer', 'resize'), place }) },
  // Far apart, until there are larger windows.
  { weight: 1, arbitrary: fc.record({ what: fc.constant('many'), place, length: fc.nat(64) }) },
)

const bytesOf = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)

/** Memory that is shared cannot be taken away. */
function assertGone(views) {
  if (backing === 'array-buffer') for (const { view } of views) assert.strictEqual(view.buffer.byteLength, 0)
}

/** A mapping, and what it must have. */
class Mapped {
  /** Views that have not been taken away: where they begin, and how long they are. */
  views = []

  constructor(map, bytes) {
    this.map = map
    this.bytes = bytes
  }

  range({ place, length = 0 }) {
    const start = Math.min(place, this.bytes.length)
    return [start, Math.min(length, this.bytes.length - start)]
  }

  check(view, start, length) {
    assert.strictEqual(view.byteLength, length)
    assert.ok(bytesOf(view).equals(this.bytes.subarray(start, start + length)), `${length} bytes at ${start}`)
  }

  keep(view, start, length) {
    this.check(view, start, length)
    if (length > 0 && this.views.length < 30) this.views.push({ view, start, length })
  }

  view(at) {
    const [start, length] = this.range(at)
    this.keep(this.map.view(start, length), start, length)
  }

  dataView(at) {
    const [start, length] = this.range(at)
    this.keep(this.map.dataView(start, length), start, length)
  }

  typedArray(at) {
    let [start, length] = this.range(at)
    const odd = (this.map.offset + start) % 8
    if (odd > start) return
    start -= odd
    length -= length % 8
    this.keep(this.map.typedArray(Float64Array, start, length / 8), start, length)
  }

  store(at) {
    const [start, length] = this.range(at)
    this.map.view(start, length).fill(at.byte)
    this.bytes.fill(at.byte, start, start + length)
  }

  write(at) {
    const [start, length] = this.range(at)
    this.map.write(Buffer.alloc(length, at.byte), start)
    this.bytes.fill(at.byte, start, start + length)
  }

  lines(at) {
    const [start, length] = this.range(at)
    let next = start
    for (const line of this.map.lines({ offset: start, length })) {
      assert.ok(line.equals(this.bytes.subarray(next, next + line.length)), `a line at ${next}`)
      next += line.length
      if (this.bytes[next] === 13) next++
      assert.ok(next === start + length || this.bytes[next] === 10, `the end of a line at ${next}`)
      next++
    }
  }

  buffer() {
    const whole = this.map.buffer
    assert.strictEqual(this.map.buffer, whole)
    assert.strictEqual(whole.buffer, this.map.arrayBuffer)
    this.check(whole, 0, this.bytes.length)
  }

  arrayBuffer() {
    const whole = this.map.arrayBuffer
    assert.strictEqual(this.map.arrayBuffer, whole)
    assert.strictEqual(this.map.view().buffer, whole)
  }

  transfer(at) {
    const [start] = this.range(at)
    const memory = this.map.view(start).buffer
    if (typeof memory.transfer !== 'function' || memory.byteLength === 0) return
    const gone = this.views.filter(({ view }) => view.buffer === memory)
    memory.transfer()
    assertGone(gone)
    this.views = this.views.filter(({ view }) => view.buffer !== memory)
    this.check(this.map.view(start), start, this.bytes.length - start)
  }

  resize(at) {
    const old = this.bytes
    const views = this.views.splice(0)
    const length = at.place
    if (length === old.length) return
    this.map.resize(length)
    this.bytes = Buffer.alloc(length)
    old.copy(this.bytes)
    assertGone(views)
  }

  many({ place, length }) {
    for (let i = 0; i < 150; i++) this.view({ place: (place + i * 307 * KIB) % (this.bytes.length + 1), length })
  }

  /** Views of different windows are views of the same bytes. */
  checkAll() {
    for (const { view, start, length } of this.views) this.check(view, start, length)
  }
}

const run = (make, steps) => {
  const mapped = make()
  try {
    for (const one of steps) {
      mapped[one.what](one)
      mapped.checkAll()
    }
    mapped.map.close()
    assertGone(mapped.views)
  } finally {
    mapped.map.close()
  }
}

const steps = fc.array(step, { maxLength: 25, size: 'max' })
const options = { seed: 15, numRuns: 60 }

fc.assert(
  fc.property(fc.constantFrom(0, 4096, 65_536 + 12_345), fc.nat(11 * MIB), steps, (offset, length, steps) => {
    const growing = steps.filter(({ what }) => what !== 'resize')
    run(
      () =>
        new Mapped(
          mapPrivate(path, { offset, length, backing }),
          Buffer.from(content.subarray(offset, offset + length)),
        ),
      growing,
    )
  }),
  options,
)

fc.assert(
  fc.property(fc.nat(44 * MIB), steps, (length, steps) => {
    run(() => new Mapped(mapAnonymous(length, { backing }), Buffer.alloc(length)), steps)
  }),
  options,
)

// In a mapping that no Buffer has all of, on some runtimes.
if (backing === 'array-buffer') {
  const map = mapAnonymous(6 * GIB, { reserve: false })
  const places = fc.tuple(fc.nat(5 * 64), fc.constantFrom(8 * KIB, MIB, 16 * MIB), fc.integer({ min: -9, max: 9 }))
  const ends = (view) => [view.at(0), view.at(-1)]
  fc.assert(
    fc.property(places, length, fc.nat(255), ([i, step, by], length, byte) => {
      const start = Math.max(0, i * step + by)
      map.write(Buffer.of(byte), start)
      map.write(Buffer.of(255 - byte), start + length + 1)
      assert.deepStrictEqual(ends(map.view(start, length + 2)), [byte, 255 - byte])
    }),
    { seed: 15, numRuns: 2000 },
  )
  map.close()
}

// A window whose memory was transferred away is made again, as often as that happens.
if (backing === 'array-buffer' && typeof ArrayBuffer.prototype.transfer === 'function') {
  const map = mapAnonymous(64 * MIB)
  map.view(3 * MIB, 5).fill(7)
  for (let i = 0; i < 1000; i++) {
    const view = map.view(3 * MIB, 5)
    assert.strictEqual(view.buffer.byteLength, 32 * KIB)
    assert.strictEqual(view[4], 7)
    view.buffer.transfer()
    assert.strictEqual(view.length, 0)
  }
  map.close()
}

console.log('end')
