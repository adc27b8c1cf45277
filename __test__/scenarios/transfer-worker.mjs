// A worker that ends in the way that the main thread says.

import { parentPort, workerData } from 'node:worker_threads'

import { stayBusy } from '../helpers/observe.mjs'
import { map, movable } from './transfer.mjs'

export const endings = ['naturally', 'by process.exit', 'terminated, idle', 'terminated, busy']
export const moments = ['before', 'after', 'never']

export async function begin() {
  const { when } = workerData
  const mapping = map()
  const { address, arrayBuffer } = mapping
  const moved = movable(arrayBuffer)
  if (when === 'before') mapping.close()
  parentPort.postMessage({ address, moved }, [moved])
  if (when === 'after') mapping.close()
  return mapping
}
export function end() {
  const { how } = workerData
  if (how === 'by process.exit') process.exit()
  if (how === 'terminated, idle') setInterval(() => {}, 1000)
  if (how === 'terminated, busy') stayBusy()
  // Otherwise there is nothing left to do.
}
