// This library, in the form that the other peers have.

import { mapShared } from '../../index.js'

export function map(file, options) {
  const map = mapShared(file, options)
  return { buffer: map.buffer, close: () => map.close() }
}
