// What a random program can do, what each step is as source text, and what must come of it according to the model: the bytes of
// each file, and for each mapping where they are to be found.
//
// A step is plain numbers, so that it shrinks; they are brought into range when the step is made. It has no effect, and no
// text, where its outcome is not defined: where a mapping ends after its file, the bytes of its last page.

import assert from 'node:assert'

/** The mappings, views and files that a program may have at a time. */
export const SLOTS = 3
const PAGES = 5
const FAULT = 'ERR_MMAP_FAULT'

/** An error's code that is expected instead of a value. */
const throws = (...codes) => ({ throws: codes })

/** Whatever comes. */
const ANYTHING = Symbol('anything')

export class Model {
  /** `canShare`: whether this thread has the shared backing. */
  constructor(pageSize, canShare) {
    this.pageSize = pageSize
    this.backings = ['array-buffer', 'array-buffer', canShare ? 'shared-array-buffer' : 'array-buffer']
    this.files = Array.from({ length: SLOTS }, (_, i) =>
      this.bytes(i * 1000, i === 0 ? 3 * pageSize : pageSize * 2 - 100),
    )
    this.mappings = Array.from({ length: SLOTS }, () => undefined)
    this.held = Array.from({ length: SLOTS }, () => undefined)
  }

  /** Bytes that look random, as `bytes` in a program gives them. */
  bytes(seed, length) {
    return bytes(seed, length)
  }
}

export function bytes(seed, length) {
  const made = Buffer.alloc(length)
  for (let i = 0; i < length; i++) made[i] = ((seed + i) * 2654435761) >>> 24
  return made
}

/** What all holders of a mapping have in common. */
const COMMON = ['own', 'memory', 'protection', 'unsettled']

class Mapping {
  constructor(model, options, common = { own: new Map(), unsettled: false }) {
    this.model = model
    /** Its private pages, by page of its addresses, and all of anonymous memory. */
    this.common = common
    for (const name of COMMON) {
      const [get, set] = [() => common[name], (value) => (common[name] = value)]
      Object.defineProperty(this, name, { get, set })
    }
    Object.assign(this, options)
  }

  /** Another holder of the same mapping. */
  again() {
    const options = Object.entries(this).filter(([name]) => name !== 'model' && name !== 'common')
    return new Mapping(this.model, Object.fromEntries(options), this.common)
  }

  /** Whether another holder has it open. */
  get isHeld() {
    return this.model.mappings.some((mapping) => mapping !== this && mapping?.common === this.common)
  }

  get lead() {
    return this.offset % this.model.pageSize
  }

  /** How many of its bytes the file has. */
  get there() {
    return this.kind === 'anonymous'
      ? this.length
      : Math.max(0, Math.min(this.length, this.model.files[this.file].length - this.offset))
  }

  /** Whether the whole range is in the file. */
  has(start, end) {
    return start === end || end <= this.there
  }

  contents(start = 0, end = this.length) {
    if (this.kind === 'shared')
      return Buffer.from(this.model.files[this.file].subarray(this.offset + start, this.offset + end))
    if (this.kind === 'anonymous') return Buffer.from(this.memory.subarray(start, end))
    const { pageSize } = this.model
    const whole = Buffer.from(this.model.files[this.file].subarray(this.offset, this.offset + this.length))
    for (const [page, bytes] of this.own) {
      const at = page * pageSize - this.lead
      bytes.copy(whole, Math.max(0, at), Math.max(0, -at))
    }
    return whole.subarray(start, end)
  }

  store(start, data) {
    if (this.kind === 'shared') return void data.copy(this.model.files[this.file], this.offset + start)
    if (this.kind === 'anonymous') return void data.copy(this.memory, start)
    const { pageSize } = this.model
    for (let i = 0; i < data.length; i++) {
      const page = Math.floor((this.lead + start + i) / pageSize)
      this.makeOwn(page)
      this.own.get(page)[(this.lead + start + i) % pageSize] = data[i]
    }
  }

  /** A private page does not follow the file any more. */
  makeOwn(page) {
    if (this.own.has(page)) return
    const { pageSize } = this.model
    const copied = Buffer.alloc(pageSize)
    const first = this.offset - this.lead + page * pageSize
    this.model.files[this.file].copy(copied, 0, first, first + pageSize)
    this.own.set(page, copied)
  }
}

// ---- The steps

const numbers = { slot: SLOTS, file: SLOTS, a: 2 ** 20, b: 2 ** 20, c: 2 ** 20 }
const text = JSON.stringify

/** Of a mapping: a range, from two numbers; often from its start or to its end. */
function rangeOf({ length }, a, b) {
  const start = a % 4 === 0 ? 0 : a % (length + 1)
  return [start, b % 4 === 0 ? length : start + (b % (length - start + 1))]
}

/** A step on an open mapping. */
const onMapping = (make) => (model, step) => {
  const mapping = model.mappings[step.slot]
  return mapping && make(mapping, step, model, `maps[${step.slot}]`)
}

/** A step that reads a range in some way: `code` of what is read, and `want` of the bytes that are there. */
const reading = (code, want, { isCopy = true, beyond = throws(FAULT) } = {}) =>
  onMapping((mapping, { a, b, c }, model, map) => {
    const [start, end] = rangeOf(mapping, a, b)
    if (!mapping.has(start, end)) {
      if (!isCopy) return undefined
      mapping.unsettled = true
      return { code: code(map, start, end, c), want: beyond }
    }
    const settling = !isCopy && mapping.unsettled ? `await settle(${map}); ` : ''
    return {
      code: code(map, start, end, c),
      before: settling,
      want: want(mapping.contents(start, end), c, start, mapping),
    }
  })

/** A step that stores bytes. */
const storing = (code, isCopy) =>
  onMapping((mapping, { a, b, c }, model, map) => {
    const [start, end] = rangeOf(mapping, a, b)
    const data = bytes(c, end - start)
    const readOnly = mapping.protection === 'read'
    if (readOnly && !isCopy) return undefined
    if (readOnly)
      return { code: code(map, start, end, c), want: end > start ? throws('ERR_MMAP_NOT_WRITABLE') : ANYTHING }
    if (!mapping.has(start, end)) {
      const afterFile = Math.ceil((mapping.lead + mapping.there) / model.pageSize) * model.pageSize - mapping.lead
      if (!isCopy || start < afterFile) return undefined
      mapping.unsettled = true
      return { code: code(map, start, end, c), want: throws(FAULT) }
    }
    const before = !isCopy && mapping.unsettled ? `await settle(${map}); ` : ''
    mapping.store(start, data)
    return { code: code(map, start, end, c), before, want: isCopy ? data.length : ANYTHING }
  })

const ELEMENTS = ['Uint8Array', 'Int16Array', 'Uint32Array', 'Float64Array', 'BigInt64Array']
const ADVICE = ['normal', 'random', 'sequential', 'willneed', 'dontneed', 'cold', 'pageout']
const ENCODINGS = ['latin1', 'hex', 'base64', 'utf8']
const pick = (list, number) => list[number % list.length]

const isBusy = (model, file) =>
  model.mappings.some((mapping) => mapping?.file === file && (mapping.kind === 'private' || !mapping.keepOpen))

/** By name: the outcome for the model, and the source text of each step. */
export const STEPS = {
  map(model, { slot, file, a, b, c }) {
    if (model.mappings[slot]) return undefined
    const kind = pick(['shared', 'shared', 'private', 'anonymous'], a)
    const isReadOnly = kind !== 'anonymous' && a % 5 === 0
    const backing = pick(model.backings, c)
    const options = { protection: isReadOnly ? 'read' : 'read-write', backing }
    if (kind === 'anonymous') {
      const length = b % (PAGES * model.pageSize)
      const shared = a % 3 === 0
      const memory = Buffer.alloc(length)
      model.mappings[slot] = new Mapping(model, { kind, shared, offset: 0, length, memory, keepOpen: true, ...options })
      return {
        code: `maps[${slot}] = mapAnonymous(${length}, ${text({ ...options, shared, onFault: 0 }).replace('"onFault":0', 'onFault')})`,
        want: ANYTHING,
      }
    }
    const { length: size } = model.files[file]
    const offset = b % 3 === 0 ? 0 : b % (size + 1)
    const toEnd = c % 2 === 0
    const isOpenForReading = kind === 'shared' && isReadOnly
    const length = toEnd ? size - offset : c % (size - offset + 1)
    const keepOpen = backing !== 'array-buffer' || c % 7 !== 0
    model.mappings[slot] = new Mapping(model, { kind, file, offset, length, keepOpen, isOpenForReading, ...options })
    const given = { ...options, offset, ...(toEnd ? {} : { length }), ...(keepOpen ? {} : { keepOpen }) }
    const call = kind === 'shared' ? 'mapShared' : 'mapPrivate'
    return {
      code: `maps[${slot}] = ${call}(files[${file}], ${text({ ...given, onFault: 0 }).replace('"onFault":0', 'onFault')})`,
      want: ANYTHING,
    }
  },
  /** One more holder of a mapping, as another thread has one. */
  from(model, { slot, a }) {
    const other = a % SLOTS
    const mapping = model.mappings[other]
    if (model.mappings[slot] || !mapping) return undefined
    model.mappings[slot] = mapping.again()
    return { code: `maps[${slot}] = MemoryMap.from(maps[${other}].handle, { onFault })`, want: ANYTHING }
  },
  close: onMapping((mapping, { slot, a }, model, map) => {
    model.mappings[slot] = undefined
    for (const [i, held] of model.held.entries()) {
      if (held?.mapping !== mapping) continue
      // What others have open may be there still.
      if (mapping.isHeld) model.held[i] = undefined
      else held.isGone = true
    }
    return { code: pick([`${map}.close()`, `await ${map}.closeAsync()`], a), want: undefined }
  }),
  collect: () => ({ code: 'collect()', want: ANYTHING }),
  turn: () => ({ code: 'await turn()', want: ANYTHING }),
  read: reading(
    (map, start, end) => `${map}.read(${start}, ${end - start})`,
    (there) => there,
  ),
  view: reading(
    (map, start, end) => `Buffer.from(${map}.view(${start}, ${end - start}))`,
    (there) => there,
    { isCopy: false },
  ),
  dataView: reading(
    (map, start, end) =>
      `Buffer.from(new Uint8Array(${map}.dataView(${start}, ${end - start}).buffer, ${map}.dataView(${start}, ${end - start}).byteOffset, ${end - start}))`,
    (there) => there,
    { isCopy: false },
  ),
  buffer: reading(
    (map, start, end) => `Buffer.from(${map}.buffer.subarray(${start}, ${end}))`,
    (there) => there,
    { isCopy: false },
  ),
  text: reading(
    (map, start, end, c) => `${map}.toString('${pick(ENCODINGS, c)}', ${start}, ${end})`,
    (there, c) => there.toString(pick(ENCODINGS, c)),
  ),
  count: reading(
    (map, start, end, c) =>
      `${pick([`${map}.count(`, `await ${map}.countAsync(`], c)}${c % 256}, { offset: ${start}, length: ${end - start} })`,
    (there, c) => there.filter((byte) => byte === c % 256).length,
  ),
  find: reading(
    (map, start, end, c) => `await ${map}.find(bytes(${c}, 2), { offset: ${start}, length: ${end - start} })`,
    (there, c, start) => (there.includes(bytes(c, 2)) ? start + there.indexOf(bytes(c, 2)) : -1),
    // It may be found before what is not there.
    { beyond: ANYTHING },
  ),
  lines: reading(
    (map, start, end) =>
      `Array.from(${map}.lines({ offset: ${start}, length: ${end - start}, encoding: 'latin1' })).length`,
    (there) => there.toString('latin1').split('\n').length - (there.length === 0 || there.at(-1) === 10 ? 1 : 0),
  ),
  indexOf: onMapping((mapping, { a, c }, model, map) => {
    if (mapping.there < mapping.length) return undefined
    const from = a % (mapping.length + 1)
    const [call, needle] = [pick(['indexOf', 'lastIndexOf', 'includes'], a), bytes(c, 1 + (c % 2))]
    return {
      code: `${map}.${call}(bytes(${c}, ${needle.length}), ${from})`,
      want: mapping.contents()[call](needle, from),
    }
  }),
  typedArray: onMapping((mapping, { a, b, c }, model, map) => {
    const name = pick(ELEMENTS, c)
    const size = globalThis[name].BYTES_PER_ELEMENT
    // The first that is aligned at `a` or after, and as many as there are from there up to `b`.
    const start = a % (mapping.there + 1)
    const aligned = start + ((size - ((mapping.lead + start) % size)) % size)
    const count = Math.min(Math.floor((mapping.there - aligned) / size), b % 500)
    if (count < 1) return undefined
    const before = mapping.unsettled ? `await settle(${map}); ` : ''
    const array = `${map}.typedArray(${name}, ${aligned}, ${count})`
    if (c % 3 === 0 && mapping.protection === 'read-write') {
      const data = bytes(c, count * size)
      mapping.store(aligned, data)
      return { before, code: `${array}.set(new ${name}(bytes(${c}, ${count * size}).buffer))`, want: ANYTHING }
    }
    const want = mapping.contents(aligned, aligned + count * size)
    return { before, code: `Buffer.from(new Uint8Array(${array}.slice().buffer))`, want }
  }),
  write: storing((map, start, end, c) => `${map}.write(bytes(${c}, ${end - start}), ${start})`, true),
  store: storing(
    (map, start, end, c) => `${map}.view(${start}, ${end - start}).set(bytes(${c}, ${end - start}))`,
    false,
  ),
  hold: onMapping((mapping, { a, b, c }, model, map) => {
    const [start, end] = rangeOf(mapping, a, b)
    const slot = c % SLOTS
    model.held[slot] = { mapping, start, end, isGone: false }
    return { code: `held[${slot}] = ${map}.view(${start}, ${end - start})`, want: ANYTHING }
  }),
  held(model, { slot }) {
    const held = model.held[slot]
    if (!held) return undefined
    const { mapping, start, end, isGone } = held
    const code = `copy(held[${slot}])`
    // Emptied, or zeros where it may be in use and where it is shared.
    const gone = (bytes) => Buffer.isBuffer(bytes) && bytes.every((byte) => byte === 0)
    if (isGone) return { code, want: gone }
    if (!mapping.has(start, end) || mapping.unsettled) return undefined
    const want = mapping.contents(start, end)
    // What was transferred is empty.
    return { code, want: (bytes) => bytes.length === 0 || bytes.equals(want) }
  },
  transfer(model, { slot }) {
    const held = model.held[slot]
    if (!held || held.isGone || held.mapping.backing !== 'array-buffer') return undefined
    model.held[slot] = undefined
    const { mapping, start, end } = held
    const isThere = mapping.has(start, end) && !mapping.unsettled
    const want = mapping.contents(start, end)
    return {
      code: `transferred(held[${slot}])`,
      want: (bytes) => bytes.length === 0 || !isThere || bytes.equals(want),
    }
  },
  protect: onMapping((mapping, { a }, model, map) => {
    const protection = pick(['read', 'read-write'], a)
    const isRefused = mapping.isOpenForReading && protection === 'read-write'
    if (isRefused) return { code: `${map}.protect('read-write')`, want: throws('EACCES') }
    // The library touches the first page of what it forbids stores to, so that areas can be joined again.
    if (mapping.kind === 'private' && mapping.protection !== protection && protection === 'read' && mapping.length > 0)
      mapping.makeOwn(0)
    mapping.protection = protection
    return { code: `${map}.protect('${protection}')`, want: undefined }
  }),
  advise: onMapping((mapping, { a, b, c }, model, map) => {
    const advice = pick(ADVICE, c)
    if (advice !== 'dontneed') {
      const [start, end] = rangeOf(mapping, a, b)
      return { code: `${map}.advise('${advice}', { offset: ${start}, length: ${end - start} })`, want: undefined }
    }
    if (mapping.unsettled || mapping.there < mapping.length) return undefined
    mapping.own.clear()
    if (mapping.kind === 'anonymous' && !mapping.shared) mapping.memory.fill(0)
    return { code: `${map}.advise('dontneed')`, want: undefined }
  }),
  resize: onMapping((mapping, { a }, model, map) => {
    const length = a % (PAGES * model.pageSize)
    const code = `${map}.resize(${length})`
    if (!mapping.keepOpen && mapping.kind !== 'anonymous') return { code, want: throws('ERR_MMAP_UNSUPPORTED') }
    if (mapping.isHeld) return { code, want: throws('ERR_MMAP_BUSY') }
    if (mapping.there < mapping.length) return undefined
    const end = mapping.offset + length
    if (mapping.kind !== 'anonymous' && end > model.files[mapping.file].length) {
      const canExtend = mapping.kind === 'shared' && !mapping.isOpenForReading
      if (!canExtend && length > mapping.length) return { code, want: throws('ERR_MMAP_BEYOND_END') }
      if (!canExtend) return undefined
      const file = Buffer.alloc(end)
      model.files[mapping.file].copy(file)
      model.files[mapping.file] = file
    }
    if (mapping.kind === 'anonymous') {
      const memory = Buffer.alloc(length)
      mapping.memory.copy(memory)
      mapping.memory = memory
    }
    if (mapping.kind === 'private') {
      const pages = Math.ceil((mapping.lead + length) / model.pageSize)
      for (const page of mapping.own.keys()) if (page >= pages) mapping.own.delete(page)
    }
    mapping.length = length
    for (const held of model.held) if (held?.mapping === mapping) held.isGone = true
    return { code, want: undefined }
  }),
  sync: onMapping((mapping, { a }, model, map) => {
    const code = pick([`await ${map}.sync()`, `${map}.syncSync()`], a)
    const isShared = mapping.kind === 'shared' || mapping.shared
    if (!isShared) return { code, want: throws('ERR_MMAP_NOT_SHARED', ...(mapping.unsettled ? [FAULT] : [])) }
    if (mapping.there < mapping.length) {
      mapping.unsettled = true
      return { code, want: ANYTHING }
    }
    return { code, want: mapping.unsettled ? ANYTHING : undefined }
  }),
  /** Another program makes the file shorter or longer. */
  truncate(model, { file, a }) {
    const size = a % (PAGES * model.pageSize)
    const before = model.files[file]
    if (size < before.length && isBusy(model, file)) return undefined
    const after = Buffer.alloc(size)
    before.copy(after)
    model.files[file] = after
    return { code: `truncate(files[${file}], ${size})`, want: ANYTHING }
  },
  /** Another program stores in the file. */
  others(model, { file, a, b, c }) {
    const contents = model.files[file]
    const start = a % (contents.length + 1)
    const data = bytes(c, b % Math.min(contents.length - start + 1, 5000))
    data.copy(contents, start)
    return { code: `store(files[${file}], bytes(${c}, ${data.length}), ${start})`, want: ANYTHING }
  },
  file: (model, { file }) => ({ code: `readFile(files[${file}])`, want: model.files[file] }),
  length: onMapping((mapping, _, model, map) => ({ code: `${map}.length`, want: mapping.length })),
}

/** Of a random step: which it is, and its numbers. */
export const NUMBERS = numbers

export function check(want, outcome, code) {
  if (want === ANYTHING) {
    if (outcome.error !== undefined && outcome.error?.code !== FAULT) throw outcome.error
    return
  }
  if (want?.throws) {
    assert.ok(outcome.error, `${code} gave ${outcome.value}, and was to throw ${want.throws}`)
    assert.ok(
      want.throws.includes(outcome.error.code),
      `${code} threw ${outcome.error.stack}, and was to throw ${want.throws}`,
    )
    return
  }
  if (outcome.error !== undefined) throw new Error(`${code} threw ${outcome.error?.stack ?? outcome.error}`)
  const { value } = outcome
  if (typeof want === 'function')
    assert.ok(want(value), `${code} gave what it should not: ${value.toString('hex').slice(0, 100)}`)
  else if (Buffer.isBuffer(want)) {
    let at = 0
    while (at < want.length && want[at] === value[at]) at++
    assert.ok(
      want.equals(value),
      `${code} gave ${value.length} bytes, wanted ${want.length}; at ${at}: ${value[at]}, not ${want[at]}`,
    )
  } else assert.deepStrictEqual(value, want, code)
}
