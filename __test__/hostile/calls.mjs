// Calls everything in a list of what users can call (surface.ts) with hostile arguments, on any runtime:
//
//     calls.mjs SURFACE REPORT FIRST STEP RANDOM SEED
//
// makes the calls FIRST, FIRST + STEP, FIRST + 2 STEP and so on of all, and RANDOM calls of each function with all arguments
// hostile. The file REPORT has first which call is being made, then a line for each that went wrong: whoever started this
// knows what was called when it crashed or stopped. (run.ts)

import fs from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { inspect } from 'node:util'

import { collect, random, turn } from '../helpers/observe.mjs'
import { KINDS, main, makeFixture, modules, NAME, ofType, prepare, RECEIVER, right, SHARED } from './fixtures.mjs'
import { PROPERTIES, RECEIVERS, Thrown, throwsItself, VALUES } from './values.mjs'

const { unlinkSharedMemory } = main
const {
  Barrier,
  Broadcast,
  BroadcastReceiver,
  Channel,
  Condition,
  Event,
  Latest,
  Mutex,
  Queue,
  QueueMessage,
  Rpc,
  RwLock,
  Semaphore,
} = modules.sync

const [surfaceFile, reportFile, ...numbers] = process.argv.slice(2)
const [first, step, randomCalls, seed] = numbers.map(Number)
const surface = JSON.parse(fs.readFileSync(surfaceFile, 'utf8'))
const report = fs.openSync(reportFile, 'r+')
const chance = random(seed)

// ---- What calls may give

const CHECKS = {
  Buffer: Buffer.isBuffer,
  B: (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer,
  Over: (value) => ArrayBuffer.isView(value),
  DataView: (value) => value instanceof DataView,
  Date: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  Uint8Array: (value) => value instanceof Uint8Array,
  Readable: (value) => value instanceof Readable,
  Writable: (value) => value instanceof Writable,
  IteratorObject: (value) => typeof value.next === 'function',
  AsyncGenerator: (value) => typeof value.next === 'function',
  AsyncIterableIterator: (value) => typeof value.next === 'function',
  MemoryMap: (value) => value instanceof main.MemoryMap,
  MemoryFaultError: (value) => value instanceof main.MemoryFaultError,
  Barrier: (value) => value instanceof Barrier,
  Broadcast: (value) => value instanceof Broadcast,
  BroadcastReceiver: (value) => value instanceof BroadcastReceiver,
  Channel: (value) => value instanceof Channel,
  Condition: (value) => value instanceof Condition,
  Event: (value) => value instanceof Event,
  Latest: (value) => value instanceof Latest,
  Mutex: (value) => value instanceof Mutex,
  Queue: (value) => value instanceof Queue,
  QueueMessage: (value) => value instanceof QueueMessage,
  Rpc: (value) => value instanceof Rpc,
  RwLock: (value) => value instanceof RwLock,
  SharedArrayBuffer: (value) => value instanceof SharedArrayBuffer,
  Semaphore: (value) => value instanceof Semaphore,
  WasmMapping: (value) => value instanceof main.WasmMapping,
}

function isOf(type, value) {
  if (type.is === 'union') return type.of.some((part) => isOf(part, value))
  if (type.is === 'literal') return Object.is(value, type.value)
  if (type.is === 'array') return Array.isArray(value) && value.every((part) => isOf(type.of, part))
  if (type.is === 'object') return Object(value) === value && type.properties.every((p) => isOf(p.type, value[p.name]))
  if (type.is === 'primitive') {
    if (type.name === 'any' || type.name === 'unknown') return true
    if (type.name === 'void') return value === undefined
    if (type.name === 'object') return Object(value) === value
    // A negative zero would be one of an argument that was let through.
    return typeof value === type.name && !Object.is(value, -0) && !Number.isNaN(value)
  }
  if (type.name === 'Promise') return isOf(type.of[0], value)
  const check = CHECKS[type.name]
  if (!check) throw new Error(`no check of the type ${type.name} is known here: add one to CHECKS`)
  return check(value)
}

const CODES = /^(E[A-Z0-9]+|ERR_[A-Z0-9_]+|ABORT_ERR)$/

/** Whether a message tells where in memory something is, which no message should. */
function tellsAddress(message) {
  if (/0x[0-9a-f]{9,}/i.test(message)) return true
  // Lower ones have too few digits to be told from other numbers.
  return (
    address >= 2n ** 40n && [address.toString(16), String(address)].some((text) => message.includes(text.slice(0, 8)))
  )
}

/** Whether an error tells what is wrong. */
function isTold(error, call, values = []) {
  if (error instanceof Thrown || error?.cause instanceof Thrown) return true
  if (typeof error?.code === 'string') return CODES.test(error.code)
  if (!(error instanceof Error)) return false
  if (call.byEngine) return true
  const names = [
    ...NAMES,
    ...call.operation.parameters.flatMap((parameter) => optionsOf(parameter).map(({ name }) => name)),
  ]
  const all = values.flatMap((value) => [value, ...names.flatMap((name) => ownValue(value, name))])
  return all.some((value) => throwsItself(value, error, names))
}

const NAMES = [
  'fd',
  'offset',
  'length',
  'byteLength',
  'buffer',
  'aborted',
  'constructor',
  'BYTES_PER_ELEMENT',
  'href',
  'path',
]

function ownValue(object, name) {
  try {
    const descriptor = Object.getOwnPropertyDescriptor(object, name)
    return descriptor && 'value' in descriptor ? [descriptor.value] : []
  } catch {
    return []
  }
}

// ---- The calls

const key = (name) => {
  if (name === '[custom]') return inspect.custom
  const symbol = /^\[Symbol\.(\w+)\]$/.exec(name)
  return symbol ? Symbol[symbol[1]] : name
}

const merge = (type) =>
  (type.is === 'union' ? type.of : [type]).filter(({ is }) => is === 'object').flatMap((t) => t.properties)

/** The options that a parameter takes, each once. */
const optionsOf = ({ types }) => [...new Map(merge(types).map((property) => [property.name, property])).values()]

/** Options that go with each other: the rest is hostile to a call that gets this far. */
function usualOptions(at, options) {
  const usual = {}
  for (const { name, type } of options) {
    if (name === 'protection') usual[name] = 'read-write'
    else if (name === 'create' || name === 'shared') usual[name] = true
    else if (name === 'length') usual[name] = 4096
    else if (name === 'offset' || name === 'start') usual[name] = 0
    else if (name === 'timeout') usual[name] = 1
    else if (name === 'signal') usual[name] = ofType(at, type)
  }
  return usual
}

/** Constructors of the user's that make what they like of the mapping get the engine's errors. */
const isOwn = (what) => what.startsWith('elements')

/** Every call with one thing that is hostile. */
function* calls() {
  for (const operation of surface) {
    const { owner, name, kind, parameters } = operation
    const called = `${owner ? `${owner}.` : ''}${name}`
    const rightOnes = (at) => parameters.map((parameter) => right(at, parameter))
    const call = (what, args, more = {}) => ({ what: `${called}, ${what}`, operation, args, byEngine: false, ...more })
    yield call('as it should be called', rightOnes)
    if (kind === 'value' || kind === 'field' || kind === 'constant') continue
    if (kind === 'method' || kind === 'get' || kind === 'set') {
      for (const [what, make] of Object.entries(RECEIVERS)) {
        // That an object is of another class is for the engine to say.
        yield call(`on ${what}`, rightOnes, { receiver: make, byEngine: true })
      }
    }
    if (kind === 'get') continue
    if (kind === 'constructor') yield call('without new', rightOnes, { plain: true, byEngine: true })
    for (let count = 0; count < parameters.length; count++) {
      yield call(`with ${count} arguments`, (at) => rightOnes(at).slice(0, count))
    }
    // Constructors that are private, and what ignores its arguments, get some all the same.
    const places =
      parameters.length > 0 ? parameters : [{ name: 'an argument too many', types: { is: 'primitive', name: 'any' } }]
    for (const [i, parameter] of places.entries()) {
      const put = (at, value) => Object.assign(rightOnes(at), { [i]: value })
      for (const [what, make] of Object.entries(VALUES)) {
        yield call(`${parameter.name}: ${what}`, (at) => put(at, make(at)), { byEngine: isOwn(what) })
      }
      const options = optionsOf(parameter)
      for (const { name: option, type } of options) {
        const rightOne = (at) => right(at, { name: option, types: type })
        for (const [what, make] of Object.entries(VALUES)) {
          yield call(`${option}: ${what}`, (at) => put(at, { [option]: make(at) }))
          const put2 = (at) => put(at, { ...usualOptions(at, options), [option]: make(at) })
          yield call(`usual options and ${option}: ${what}`, put2)
        }
        for (const [what, make] of Object.entries(PROPERTIES)) {
          yield call(`${option} ${what}`, (at) => put(at, make(at, option, rightOne(at))))
          const around = (at) => {
            const usual = usualOptions(at, options)
            delete usual[option]
            return put(at, Object.create(usual, Object.getOwnPropertyDescriptors(make(at, option, rightOne(at)))))
          }
          yield call(`usual options and ${option} ${what}`, around)
        }
      }
    }
  }
}

/** Calls with everything hostile at once. */
function* randomlyCalled() {
  const values = Object.entries(VALUES)
  for (const operation of surface) {
    if (operation.kind === 'value' || operation.kind === 'field' || operation.kind === 'constant') continue
    const { owner, name, parameters } = operation
    for (let i = 0; i < randomCalls; i++) {
      const chosen = []
      const choose = (put) => {
        const [what, make] = values[chance(values.length)]
        chosen.push(what)
        return (at) => put(make(at))
      }
      const makers = parameters.map((parameter) => {
        // One in three is right, so that calls get far.
        if (parameter.name === 'timeout' || chance(3) === 0) return (at) => right(at, parameter)
        const options = optionsOf(parameter).filter(({ name: option }) => option !== 'timeout' && chance(3) === 0)
        if (options.length === 0) return choose((value) => value)
        const parts = options.map(({ name: option }) => choose((value) => ({ [option]: value })))
        return (at) => Object.assign({ ...usualOptions(at, optionsOf(parameter)) }, ...parts.map((make) => make(at)))
      })
      const what = `${owner ? `${owner}.` : ''}${name}, ${chosen.join('; ')}`
      const args = (at) => makers.map((make) => make(at))
      yield { what, operation, args, byEngine: chosen.some(isOwn) }
    }
  }
}

function invoke({ operation, plain, receiver }, at, args) {
  const { module, owner, name, kind } = operation
  const holder = modules[module]
  if (kind === 'value') return holder[name]
  if (kind === 'function') return holder[name](...args)
  const type = holder[owner]
  if (kind === 'constructor') return plain ? type(...args) : new type(...args)
  if (kind === 'constant') return type[name]
  if (kind === 'static') return type[key(name)](...args)
  const object = RECEIVER[owner](at)
  if (kind === 'field') return object[name]
  const descriptor = findDescriptor(type.prototype, key(name))
  const on = receiver ? receiver(object) : object
  if (kind === 'get') return descriptor.get.call(on)
  if (kind === 'set') return descriptor.set.apply(on, args)
  return descriptor.value.apply(on, args)
}

function findDescriptor(prototype, name) {
  for (let at = prototype; at; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, name)
    if (found) return found
  }
  throw new Error(`${String(name)} is declared but is not there`)
}

/** Uses what a call gave, so that what is wrong with it shows. */
async function use(value, at) {
  if (value instanceof main.MemoryMap) {
    at.opened.push(value)
    // Mappings that are larger than memory are not touched everywhere.
    if (value.length > 0 && !value.closed && value.protection.startsWith('read')) value.read(0, 1)
  } else if (value instanceof Readable) {
    value.on('error', () => {})
    await turn()
    value.read()
    value.destroy()
  } else if (value instanceof Writable) {
    value.on('error', () => {})
    value.write('bytes')
    await turn()
    value.destroy()
  } else if (typeof value?.next === 'function') {
    for (let i = 0; i < 3; i++) await value.next()
    await value.return?.()
  } else if (ArrayBuffer.isView(value) && value.byteLength > 0) {
    new DataView(value.buffer, value.byteOffset, value.byteLength).getUint8(value.byteLength - 1)
  }
}

// ---- What went wrong

/** Collecting garbage takes much longer than a call. */
const CALLS_BETWEEN_LOOKS = 100

let number = first
let current
/** Where the mapping is that the call is about. */
let address = 0n
const progress = Buffer.alloc(512)
let reportedAt = 512

function begin(call) {
  current = call
  progress.fill(' ').write(JSON.stringify([number, `${call.what}, ${call.on}`.slice(0, 400)]))
  fs.writeSync(report, progress, 0, progress.length, 0)
}

function wrong(what) {
  const line = Buffer.from(`${JSON.stringify([number, current.what, current.on, what])}\n`)
  fs.writeSync(report, line, 0, line.length, reportedAt)
  reportedAt += line.length
}

const messageOf = (error) => (error instanceof Error && typeof error.code === 'string' ? String(error.message) : '')
const describe = (error) => {
  try {
    return error instanceof Error
      ? `${error.name} without a code: ${String(error.code)}: ${error.stack}`
      : inspect(error)
  } catch {
    return 'something that cannot be shown'
  }
}
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => error instanceof Thrown || wrong(`${event}: ${describe(error)}`))
}
process.on('warning', ({ message }) => tellsAddress(message) && wrong(`a warning tells an address: ${message}`))

const LATE = Symbol('late')

/** Waits for a promise, but not for ever. */
async function settled(promise) {
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, 60_000, LATE)))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

async function make(call, kind) {
  call.on = kind
  begin(call)
  const at = makeFixture(kind)
  address = at.map.address
  try {
    prepare(at, call.operation)
    const args = call.args(at)
    try {
      const given = invoke(call, at, args)
      const value = given instanceof Promise ? await settled(given) : given
      if (value === LATE) wrong('the promise is not settled after a minute')
      else if (!isOf(call.operation.result, value)) wrong(`gave ${inspect(value).slice(0, 200)}`)
      else await use(value, at)
    } catch (error) {
      if (!isTold(error, call, args)) wrong(describe(error))
      else if (tellsAddress(messageOf(error))) wrong(`an error tells an address: ${error.message}`)
    }
    for (const name of args.flatMap((arg) => (call.operation.name.includes('SharedMemory') ? [arg] : []))) {
      try {
        if (typeof name === 'string') unlinkSharedMemory(name)
      } catch {
        // The call made none.
      }
    }
  } catch (error) {
    // Arguments that cannot be made for a mapping of this kind, as a channel in one that is closed.
    if (!isTold(error, call)) throw error
  }
  at.end()
}

/** What this process holds of what was mapped. */
function holds() {
  if (process.platform !== 'linux') return { descriptors: 0, areas: 0 }
  const isOurs = (name) => name.includes(process.cwd()) || /memfd:|\/dev\/shm\/|hostile/.test(name)
  const links = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  const areas = fs.readFileSync('/proc/self/maps', 'latin1').split('\n')
  return {
    descriptors: links.filter(isOurs).length,
    areas: areas.filter(isOurs).length,
    all: links.length,
    allAreas: areas.length,
  }
}

async function settle(before) {
  for (let [i, end] = [0, Date.now() + 60_000]; Date.now() < end; i++) {
    if (i % 3 === 0) collect() // twice at least: what the first lets go may have held something itself
    await turn(1)
    const now = holds()
    if (i >= 3 && now.descriptors <= before.descriptors && now.areas <= before.areas && now.all < before.all + 10)
      return now
  }
  return holds()
}

await make({ what: 'the first', operation: surface.find(({ name }) => name === 'view'), args: () => [] }, 'shared')
let before = await settle(holds())
/** What was called since the last look at what is left. */
let called = new Set()
let made = 0
let index = 0
async function* every() {
  for (const call of calls()) yield call
  for (const call of randomlyCalled()) yield call
}

async function nothingIsLeft() {
  const after = await settle(before)
  if (after.descriptors > before.descriptors || after.areas > before.areas)
    wrong(`left by ${[...called].join(', ')}: ${JSON.stringify([before, after])}`)
  before = after
  called = new Set()
}

for await (const call of every()) {
  if (index++ !== number) continue
  const { module, name, owner: type } = call.operation
  called.add(`${module} ${type ?? ''} ${name}`)
  const kinds = module === 'sync' || type === 'Channel' ? SHARED : Object.keys(KINDS)
  await make(call, kinds[number % kinds.length])
  if (++made % CALLS_BETWEEN_LOOKS === 0) await nothingIsLeft()
  number += step
}
current = { what: 'the end' }
await nothingIsLeft()
try {
  unlinkSharedMemory(NAME)
} catch {
  // No call had it.
}
console.log(`${made} of ${index}`)
process.exit(0)
