// What is under way: work of this library on other threads, and the runtime's own operations.

import { native } from './native.js'

/** How much work of this library is on the runtime's threads, for all mappings of this thread. */
let own = 0

/** The work of one mapping. */
export class InFlight {
  readonly #work = new Set<Promise<unknown>>()

  /** Notes `work` until it has settled, and returns it. */
  add<T>(work: Promise<T>): Promise<T> {
    own++
    this.#work.add(work)
    const end = () => {
      own--
      this.#work.delete(work)
    }
    work.then(end, end)
    return work
  }

  get isEmpty(): boolean {
    return this.#work.size === 0
  }

  /** Resolves when all work that is known now has settled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work)
  }
}

/**
 * Whether an operation of the runtime is under way that may have a view of a mapping. If the view is emptied, some
 * never recover: zlib goes on where it was and aborts Node 20, and throws past its callback on others.
 */
export const isRuntimeBusy: () => boolean =
  'deno' in process.versions
    ? hasTicks()
    : 'bun' in process.versions
      ? () => false // it keeps the memory itself, and the guard reports its faults
      : process.platform === 'win32'
        ? isInCallback // reads that wait for a pipe or a socket count as requests there
        : () => native.requests() > own || isInCallback()

let hooks: typeof import('node:async_hooks') | undefined

/** Whether a zlib stream that still has input called what runs now. */
function isInCallback(): boolean {
  hooks ??= process.getBuiltinModule('node:async_hooks') // looking for it takes longer than the rest
  const { buffer } = hooks.executionAsyncResource() as { buffer?: unknown }
  return ArrayBuffer.isView(buffer)
}

/** Deno does in `process.nextTick` what Node does on other threads, and does not show what is left to do. */
function hasTicks(): () => boolean {
  type Internals = Record<symbol, { core?: { hasTickScheduled?: () => boolean } } | undefined> & { internal: symbol }
  const { Deno } = globalThis as unknown as { Deno?: Internals }
  return Deno?.[Deno.internal]?.core?.hasTickScheduled ?? (() => false)
}
