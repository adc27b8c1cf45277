// The calls with memory that others change: for each line of the table of docs/changing-memory.md, the two contents between
// which the memory changes, and the calls.

import { bufferApis } from './buffer-apis.mjs'
import { otherApis } from './other-apis.mjs'

/**
 * For each line of the table:
 *
 * - `texts`: what makes the two contents between which the memory changes, of a length. The first call that is made with
 *   them shows what the line says.
 * - `calls`: what is called with an ordinary Buffer over the memory, made by `Buffer.from(view.buffer)`.
 * - `orders`: which of the texts comes first.
 * - `small`, `size`: how much memory, if not as much as for others.
 * - `whole`: always with all of the memory, because a part of the text is none.
 * - `inPlace`: stores to the memory, and so goes over it more than once for good reasons.
 * - `system`: the operating system reads the memory, or it is read piece by piece while the event loop turns, or what is
 *   in it is believed without a look.
 */
export const apis = { ...bufferApis, ...otherApis }

/** The calls of an API that this runtime has. */
export const callsOf = (name) => apis[name].calls.filter(Boolean)
