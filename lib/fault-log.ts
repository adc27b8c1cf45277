// The faults of a mapping: those not reported yet, and those that no call has thrown yet.

import type { NativeFault, Token } from './binding.js'
import { resizedError, translate } from './errors.js'
import { describeFault, type MemoryFault, MemoryFaultError, publish } from './faults.js'
import { native } from './native.js'
import { remedyOf } from './remedies.js'
import { forgetGone } from './wasm.js'

const { mapping } = native

/** At most this many faults stick, in case a program never asks for the errors. */
const MOST_STICKING = 1000

export class FaultLog {
  readonly #map: MemoryFault['map']
  readonly #token: Token
  readonly #onFault: ((fault: MemoryFault) => void) | undefined
  /** How many faults there were at the last check. */
  #count = 0
  /** Faults that no call has thrown yet, by their native id, the oldest first. */
  #sticking: Map<number, MemoryFault> | undefined
  /** Faults that have not been published yet. */
  #news: MemoryFault[] = []
  #warned = false
  #ended = false

  constructor(map: MemoryFault['map'], token: Token, onFault: ((fault: MemoryFault) => void) | undefined) {
    this.#map = map
    this.#token = token
    this.#onFault = onFault
  }

  /** How many faults there have been. */
  get count(): number {
    return (this.#count = mapping.faults(this.#token) ?? this.#count)
  }

  /** Fetches what has happened. */
  collect(): void {
    forgetGone(this.#token)
    const news = mapping.collect(this.#token)
    if (news == null) return
    // The native library forgets it once the memory cannot be reached any more.
    this.#count = news.count
    this.#note(news.faults)
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
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(`${describeFault(fault)} (told once for each mapping; see onFault)`, 'MemoryFaultWarning')
  }
}
