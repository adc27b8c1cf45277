// The ways to move an ArrayBuffer into another one.

import { check } from '../helpers/observe.mjs'
import { length } from './transfer.mjs'

export const { port1, port2 } = new MessageChannel()
export const ways = {
  transfer: (buffer) => buffer.transfer(),
  transferToFixedLength: (buffer) => buffer.transferToFixedLength(),
  'transfer to a shorter one': (buffer) => buffer.transfer(length / 2),
  'transfer to a longer one': (buffer) => buffer.transfer(length * 2),
  structuredClone: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  postMessage(buffer) {
    port1.postMessage(buffer, [buffer])
    return new Promise((resolve) => port2.once('message', resolve))
  },
  'transfer, then structuredClone': (buffer) => ways.structuredClone(buffer.transfer()),
  'transfer, then postMessage': (buffer) => ways.postMessage(buffer.transfer()),
  'transfer, twice': (buffer) => buffer.transfer().transferToFixedLength(),
}
/** The result, or undefined where the runtime cannot do it. */
export async function attempt(way, buffer) {
  try {
    return await ways[way](buffer)
  } catch (error) {
    check(error.name === 'DataCloneError' || error instanceof TypeError, way + ': ' + error)
  }
}
