// State that exists once in each JavaScript environment (the main thread, or a worker), however many copies of this
// package's JavaScript are loaded there: as an ES module and as CommonJS, bundled and not, once for each test file.

import node from 'node:process'

import type { Native } from './native.js'

/** Copies of another version have an environment, and a native library, of their own. */
export const version = '0.1.0'

/** Is told what has faulted: ArrayBuffers and tokens. Returns those that it does not know: other copies may. */
export type Listener = (faulted: readonly (ArrayBuffer | number)[]) => readonly (ArrayBuffer | number)[]

export interface Environment {
  native?: Native
  /** Whether a copy already tells all the others what happens. */
  listens?: boolean
  /** Whether listeners for the guard's signals are watched. */
  watchesSignals?: boolean
  /** Whether zlib streams look at their input. */
  watchesZlib?: boolean
  /** The listener of each copy, for as long as the copy is in use. */
  readonly listeners: Set<WeakRef<Listener>>
}

const KEY = Symbol.for(`memory-map@${version}`)

/** The environment's, also in a test that has a `process` of its own. */
export const thisProcess: NodeJS.Process = node

function find(): Environment {
  const holder = thisProcess as { [KEY]?: Environment }
  if (holder[KEY] === undefined) {
    Object.defineProperty(holder, KEY, { value: { listeners: new Set() } satisfies Environment })
  }
  return holder[KEY]!
}

export const environment: Environment = find()
