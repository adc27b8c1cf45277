// The faults of a mapping: those not reported yet, and those that no call has thrown yet.

import type { NativeFault, NativeNews, Token } from './binding.js'
import { resizedError, translate } from './errors.js'
import { describeFault, known, type MemoryFault, MemoryFaultError, publish } from './faults.js'
import { native } from './native.js'
import type { Kind, Parsed } from './options.js'
import { remedyOf } from './remedies.js'
import { setImmediate } from './timers.js'
import { forgetGone } from './wasm.js'

const { mapping } = native

/** At most this many faults stick, in case a program never asks for the errors. */
const MOST_STICKING = 1000

/** What a mapping's object is made of: it does not refer to that, and so can outlive it. */
export interface Origin {
  readonly token: Token
  readonly kind: Kind
  readonly path: string | undefined
  /** Without the listener. */
  readonly options: Parsed
  readonly listens: boolean
  /** While it is held for a mapping that may be collected. */
  onFault: Parsed['onFault']
  /** Makes the object again. */
  readonly revive: (origin: Origin) => FaultLog
  /** Whether there was a process warning of a fault. */
  hasWarned: boolean
}

/**
 * The origins that hold a listener, until garbage was collected twice after the last view of a new part: a listener that
 * refers to its mapping would keep that for good.
 */
let [young, old] = [new Set<Origin>(), new Set<Origin>()]
let isAwaited = false

// What was collected at the same time is told first.
const collections = new FinalizationRegistry(() => setImmediate(age))

function age(): void {
  for (const origin of old) origin.onFault = undefined
  old = young
  young = new Set()
  isAwaited = false
  if (old.size > 0) awaitCollection()
}

function awaitCollection(): void {
  if (!isAwaited) collections.register({}, undefined)
  isAwaited = true
}

function hold(origin: Origin): void {
  old.delete(origin)
  young.add(origin)
  awaitCollection()
}

function letGo(origin: Origin): void {
  origin.onFault = undefined
  if (!young.delete(origin)) old.delete(origin)
}

/**
 * Memory that can fault: views, which `close` empties; what it does not take away; what is laid over a WebAssembly
 * memory. A listener may use that memory, and so keep the mapping: nothing is told of it once the mapping is collected.
 */
export type Faulting = 'views' | 'lasting' | 'laid'

export class FaultLog {
  readonly #map: MemoryFault['map']
  readonly #token: Token
  readonly #origin: Origin
  readonly #onFault: Parsed['onFault']
  /** Whether the mapping is found by its token: until what runs now has ended, the one made last is not. */
  #isRegistered: boolean
  /** Whether faults are told, and whether those from before the mapping was collected are. */
  #expects = false
  #revives = false
  /** Whether there is memory that `close` does not take away. */
  lasts = false
  /** How many faults there were at the last check. */
  #count = 0
  /** Faults that no call has thrown yet, by their native id, the oldest first. */
  #sticking: Map<number, MemoryFault> | undefined
  /** Faults that have not been published yet. */
  #news: MemoryFault[] = []
  #ended = false

  constructor(map: MemoryFault['map'], origin: Origin, isRegistered: boolean) {
    this.#map = map
    this.#token = origin.token
    this.#origin = origin
    this.#onFault = origin.onFault
    this.#isRegistered = isRegistered
  }

  /** Has faults in memory of this kind told from now on. */
  expect(memory: Faulting): void {
    if (memory !== 'views') this.lasts = true
    const revives = memory !== 'laid'
    if (!this.#expects || (revives && !this.#revives)) {
      this.#expects = true
      this.#revives ||= revives
      this.#beKnown()
    }
    if (revives && this.#onFault !== undefined) {
      this.#origin.onFault = this.#onFault
      hold(this.#origin)
    }
  }

  /** The mapping is still open when the next one is made, or when what runs now has ended. */
  register(): void {
    this.#isRegistered = true
    this.#beKnown()
  }

  #beKnown(): void {
    if (!this.#isRegistered || !this.#expects) return
    const origin = this.#origin
    const revive = this.#revives ? () => origin.revive(origin) : undefined
    known.set(this.#token, { teller: new WeakRef(this), revive })
  }

  /** How many faults there have been. */
  get count(): number {
    return (this.#count = mapping.faults(this.#token) ?? this.#count)
  }

  /** Fetches what has happened. */
  collect(): void {
    forgetGone(this.#token)
    const news = mapping.collect(this.#token)
    if (news != null) this.note(news)
  }

  /** Notes what has happened. */
  note({ count, faults }: NativeNews): void {
    // The native library forgets it once the memory cannot be reached any more.
    this.#count = count
    this.#note(faults)
  }

  /** Throws the oldest fault that no call has thrown yet, if there is one. */
  throwOldest(): void {
    for (const [id, oldest] of this.#sticking ?? []) {
      this.#sticking!.delete(id)
      throw new MemoryFaultError(oldest)
    }
  }

  /** Publishes what has happened. */
  tell(): void {
    this.collect()
    for (const fault of this.#news.splice(0)) publish(fault, this.#onFault ?? ((told) => this.#warn(told)))
  }

  /** Notes what had happened before the mapping was closed; null where nothing ever had. */
  end(reports: readonly NativeFault[] | null): void {
    if (reports !== null) {
      void this.count // while the native library still knows it
      this.#note(reports)
    }
    this.#ended = true
    if (this.#onFault !== undefined) letGo(this.#origin)
    this.#revives = false
    if (this.lasts) return this.#beKnown()
    this.#expects = false
    if (this.#isRegistered) known.delete(this.#token)
  }

  /** The error that the user sees for one of the native library's about the mapping. */
  explain(error: unknown): unknown {
    const { nativeCode, fault } = error as { nativeCode?: string; fault?: NativeFault }
    if (fault !== undefined && nativeCode !== undefined) return new MemoryFaultError(this.#claim(fault))
    if (nativeCode === 'ERR_MMAP_CLOSED' && !this.#map.closed) return resizedError()
    return translate(error, this.#map.path, (code) => remedyOf(this.#map.protection, code))
  }

  /** The fault that a call throws. It may have been reported already, because work on other threads ends later. */
  #claim(thrown: NativeFault): MemoryFault {
    this.collect()
    const told = this.#sticking?.get(thrown.id) ?? this.#describe(thrown)
    this.#sticking?.delete(thrown.id)
    return told
  }

  #describe({ kind, offset, length, contained }: NativeFault): MemoryFault {
    return Object.freeze({ kind, offset, length, contained, map: this.#map })
  }

  #note(reports: readonly NativeFault[]): void {
    for (const report of reports) {
      const fault = this.#describe(report)
      // A use of a closed mapping loses nothing that a sync under way has to keep.
      const sticks = !(this.#ended && report.kind === 'closed')
      const sticking = (this.#sticking ??= new Map())
      if (sticks && sticking.size < MOST_STICKING) sticking.set(report.id, fault)
      // What is noted outside the guard's own turn is reported on the next one.
      if (this.#news.push(fault) === 1) setImmediate(() => this.tell())
    }
  }

  #warn(fault: MemoryFault): void {
    if (this.#origin.hasWarned) return
    this.#origin.hasWarned = true
    const why = this.#origin.listens ? 'its onFault was collected with the mapping' : 'see onFault'
    process.emitWarning(`${describeFault(fault)} (told once for each mapping; ${why})`, 'MemoryFaultWarning')
  }
}
