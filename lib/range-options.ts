// The options of the methods that take a part of a mapping, and what they answer.

import type { Range } from './arguments.js'

/** A part of a mapping to make durable, and how. */
export interface SyncOptions extends Range {
  /** Makes other mappings of the file read it again (`MS_INVALIDATE` of msync(2)). Default: false. */
  readonly invalidate?: boolean | undefined
}

/** As {@link SyncOptions}, for the asynchronous form. */
export interface AsyncSyncOptions extends SyncOptions {
  /** Cancels the sync if it has not begun. */
  readonly signal?: AbortSignal | undefined
}

/** Which part of a mapping to split into lines, and what the lines are. */
export interface LineOptions extends Range {
  /**
   * Makes the lines strings, decoded from copies. Lines of `'utf16le'` end with the character `\n`, all others with that
   * byte. Default: Buffers, which are views.
   */
  readonly encoding?: BufferEncoding | undefined
}

/** A part of a mapping to bring into memory. */
export interface PrefetchOptions extends Range {
  /** Cancels it: the promise rejects at once, and the work ends soon. */
  readonly signal?: AbortSignal | undefined
}

/** A part of a mapping to keep in memory, and from when on. */
export interface LockOptions extends Range {
  /** Lock each page when it is first touched (`MLOCK_ONFAULT` of mlock2(2), Linux). Default: false. */
  readonly onFault?: boolean | undefined
}

/** Which pages of a range are in memory. */
export interface Residency {
  /** How many pages the range touches. */
  readonly pages: number
  /** How many of them are in memory. */
  readonly resident: number
  /** A bit for each: page `i` is bit `i % 8` of byte `Math.floor(i / 8)`. */
  readonly bitmap: Uint8Array
}

/** A part of a mapping to ask about, and how much. */
export interface ResidencyOptions extends Range {
  /** Also say which pages are in memory, not only how many: takes 32 MiB for each TiB. Default: true. */
  readonly bitmap?: boolean | undefined
}

export const SYNC_OPTIONS = ['offset', 'length', 'invalidate']
