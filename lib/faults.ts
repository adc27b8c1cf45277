// Reporting faults: from the native guard to the mapping's user.

import type { NativeNews, Token } from './binding.js'
import { environment, type Listener, thisProcess } from './environment.js'
import { invalidType } from './errors.js'
import type { MemoryMap } from './memory-map.js'
import { native } from './native.js'
import { queueMicrotask } from './timers.js'

/** Why an access to mapped memory failed. */
export type FaultKind = 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'

const KINDS: ReadonlySet<unknown> = new Set<FaultKind>(['beyond-end', 'protection', 'io', 'no-space', 'closed'])

/** A load or store of mapped memory that failed, and did not end the process. */
export interface MemoryFault {
  /**
   * - `'beyond-end'`: the file ends before the page (it was truncated)
   * - `'protection'`: a store to a read-only page, or any access to a `'none'` page
   * - `'io'`: the device could not deliver the page
   * - `'no-space'`: the file system had no block for the page
   * - `'closed'`: the mapping was closed
   */
  readonly kind: FaultKind
  /** Start of the page whose access failed first, in bytes from the start of the mapping. */
  readonly offset: number
  /**
   * How many bytes from there the fault is known to affect. Until it is reported, stores to other pages that fail
   * for the same reason can be contained by the same overlay, without a fault of their own.
   */
  readonly length: number
  /** Whether every lost store was rolled back, in memory and in the file. */
  readonly contained: boolean
  /** The mapping. */
  readonly map: MemoryMap<any>
}

/** A load or store of mapped memory failed, and was contained. */
export class MemoryFaultError extends Error {
  /** Which error it is. */
  readonly code = 'ERR_MMAP_FAULT'
  /** What failed. */
  readonly fault: MemoryFault

  constructor(fault: MemoryFault) {
    super(describeFault(toFault(fault)))
    this.fault = fault
  }

  static {
    // To assign it would fail where a program has frozen `Error.prototype`.
    Object.defineProperty(this.prototype, 'name', { value: 'MemoryFaultError', configurable: true, writable: true })
  }
}

function toFault(fault: unknown): MemoryFault {
  const { kind, map } = Object(fault) as Partial<MemoryFault>
  if (KINDS.has(kind) && typeof map?.protection === 'string') return fault as MemoryFault
  throw invalidType('fault', 'a MemoryFault', fault)
}

/** A fault in words. */
export function describeFault({ kind, offset, length, contained, map }: MemoryFault): string {
  const where = `${length} bytes at offset ${offset} of ${map.path ?? 'the mapping'}`
  const why = {
    'beyond-end': `the file ends before the ${where}; loads read zeros and stores were discarded`,
    protection: `the protection forbids the access to the ${where}; stores were discarded: ${allow(map)}`,
    io: `the device could not read or write the ${where}; loads read zeros and stores were discarded`,
    'no-space': `the file system has no space for the ${where}; stores were discarded`,
    closed: `the mapping was closed: the ${where} read zeros`,
  }[kind]
  return contained ? why : `${why}; not every store could be rolled back`
}

/** What would allow the access. */
function allow({ protection }: MemoryMap<any>): string {
  if (protection === 'none') return "the mapping's protection is 'none', see `protect`"
  return protection.includes('write') ? 'see `protect`' : "map with `protection: 'read-write'` to store"
}

/** A class whose `new` returns the object that it is given. */
const Given = function (object: object) {
  return object
} as unknown as new (object: object) => object

/** Reports the faults of a mapping, and keeps the mapping alive. */
export interface Teller {
  tell(): void
  /** Notes what has happened, and tells it on the next turn of the event loop. */
  note(news: NativeNews): void
}

/**
 * What reports the faults of a buffer's memory, in a private field of the buffer: as long as the buffer lives, a fault
 * can happen and be reported. A WeakMap would do the same, and costs the collector several times as much.
 */
class Owned extends Given {
  readonly #teller: Teller

  constructor(buffer: object, teller: Teller) {
    super(buffer)
    this.#teller = teller
  }

  static teller(buffer: object): Teller | undefined {
    return #teller in buffer ? buffer.#teller : undefined
  }
}

/** What is known of a mapping that can fault, until it is closed or nothing can reach its memory any more. */
export interface Known {
  /** Reports its faults, and goes with the mapping and its views. */
  readonly teller: WeakRef<Teller>
  /**
   * Makes the mapping's object anew, to report faults that happened before it was collected. It has the listener, and
   * not the object. undefined where what has only to live as long as the mapping can refer to it.
   */
  readonly revive: (() => Teller) | undefined
}

/** The mappings that can fault, by token; the one that was made last may be missing until it is registered. */
export const known = new Map<Token, Known>()

let registerNewest = (): void => {}

/** Has `register` called before faults are told: it makes that mapping known. */
export function beforeTelling(register: () => void): void {
  registerNewest = register
}

/** What reports the faults of a mapping, if need be after it was collected. */
function tellerOf(token: Token): Teller | undefined {
  const one = known.get(token)
  return one && (one.teller.deref() ?? one.revive?.())
}

/** Whether a mapping that was collected has faulted before that: then it is told, and is there again until it is. */
export function tellsLast(token: Token): boolean {
  const one = known.get(token)
  if (one?.revive === undefined) return false
  // It may have been made anew, and not have been collected since.
  if (one.teller.deref() !== undefined) return true
  const news = native.mapping.collect(token)
  if (news == null) return false
  one.revive().note(news)
  return true
}

/** Tells the faults of this copy's mappings. */
const listener: Listener = (faulted) => {
  registerNewest()
  const tellers = new Set<Teller>()
  const unknown = faulted.filter((one) => {
    const teller = typeof one === 'number' ? tellerOf(one) : Owned.teller(one)
    if (teller) tellers.add(teller)
    return !teller
  })
  for (const teller of tellers) teller.tell()
  return unknown
}

/** Whether this thread is a worker, which can end before the process does. */
export function isInWorker(): boolean {
  const { bun, deno } = process.versions
  const { Bun } = globalThis as { Bun?: { isMainThread: boolean } } // which a test's own global object may lack
  // `worker_threads` would say so, too: to load it takes longer than all else that the first view does.
  if (bun !== undefined && Bun !== undefined) return !Bun.isMainThread
  if (bun === undefined && deno === undefined && native.hasFirstLoop()) return false
  // What a worker of the web is in Deno is no other thread to it.
  return !process.getBuiltinModule('node:worker_threads').isMainThread || isInDenoWorker()
}

/** Whether this thread is a worker of Deno's own. */
export const isInDenoWorker = (): boolean => 'deno' in process.versions && 'DedicatedWorkerGlobalScope' in globalThis

let listening = false

/**
 * Starts reporting faults on the turn after they happen, for memory under an ArrayBuffer that {@link adopt} knows. Call
 * it before the first of those is made.
 */
export function listen(): void {
  if (listening) return
  listening = true
  environment.listeners.add(new WeakRef(listener))
  if (environment.listens) return
  environment.listens = true
  // In Deno a cleanup hook has no handle scope, and looking at an object there aborts.
  native.onWake(tellAll, !('deno' in process.versions))
  // The listener does not keep the process alive, so the last faults would never be reported.
  thisProcess.on('beforeExit', tellAll)
  // Where a buffer's memory is cannot be seen any more when a worker's cleanup hooks run.
  if (isInWorker()) thisProcess.on('exit', native.beforeExit)
}

/** Notes that `teller` reports the faults of the memory under `buffer`, and returns `buffer`. */
export function adopt<B extends ArrayBuffer | SharedArrayBuffer>(buffer: B, teller: Teller): B {
  return new Owned(buffer, teller) as object as B
}

/** What stands for all mappings of threads that have ended. */
const ORPHANS = 0
let warned = false

/** Warns of a fault in memory that belongs to no mapping here any more: it was transferred away. */
function warnOfTransferred(): void {
  if (warned) return
  warned = true
  const why = 'the mapping was closed, its worker has ended, or its file was truncated'
  const what = `Memory that was transferred out of a mapping could not be reached, because ${why}`
  const instead = 'transfer a copy instead, such as `map.read()`'
  process.emitWarning(
    `${what}: loads read zeros, and stores were thrown away (told once); ${instead}`,
    'MemoryFaultWarning',
  )
}

const isTransferred = (token: Token) => token === ORPHANS || native.mapping.collectTransferred(token)

/** The copy that listened first does this for all, for as long as the environment lives. */
function tellAll(): void {
  let faulted: ReturnType<Listener> = native.takeFaulted()
  for (const reference of environment.listeners) {
    const tell = reference.deref()
    if (tell === undefined) environment.listeners.delete(reference)
    else faulted = tell(faulted)
  }
  if (faulted.some((one) => typeof one === 'number' && isTransferred(one))) warnOfTransferred()
}

/** Publishes a fault, and hands it to `onFault`; an error that this throws is an uncaught exception. */
export function publish(fault: MemoryFault, onFault: (fault: MemoryFault) => void): void {
  process.getBuiltinModule('node:diagnostics_channel').channel('memory-map.fault').publish(fault)
  try {
    onFault(fault)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
