// The main thread's mapping goes to workers that end.

import { Worker, isMainThread, parentPort } from 'node:worker_threads'

import { areas, check, isReserved, until } from '../helpers/observe.mjs'
import { path, length, map, isFree, isUntouched, movable, use } from './transfer.mjs'
import { end, endings, moments } from './transfer-worker.mjs'

if (isMainThread) {
  const ranges = []
  async function send(how, when) {
    const mapping = map()
    const { address, arrayBuffer } = mapping
    ranges.push(address)
    const child = new Worker(new URL(import.meta.url), { workerData: { path, how } })
    child.on('error', (error) => check(false, how + ', ' + when + ': ' + (error.message ?? error)))
    const exit = new Promise((resolve) => child.once('exit', resolve))
    const moved = movable(arrayBuffer)
    try {
      child.postMessage(moved, [moved])
    } catch (error) {
      check(false, error)
    }
    if (when === 'before') mapping.close()
    await new Promise((resolve) => child.once('message', resolve))
    if (how.startsWith('terminated')) await child.terminate()
    if (when === 'after') mapping.close()
    await exit
    if (when === 'never') mapping.close()
  }
  for (const how of endings) for (const when of moments) await send(how, when)
  check(await until(isFree), 'the file is free')
  check(isUntouched(), 'nothing reaches the file')
  const left = () => ranges.filter((address) => isReserved(address, length))
  /** The areas that a range lies in, to see whose they are. */
  const around = (address) =>
    areas()
      .filter(({ start, end }) => start < address + BigInt(length) && address < end)
      .map(({ start, end, access, name }) => `${start.toString(16)}-${end.toString(16)} ${access} ${name}`)
  // Bun's collector takes any word on a stack for a reference: one or two may look used for long.
  const areBack = await until(() => left().length <= (process.versions.bun ? 2 : 0))
  check(areBack, 'every range goes back, but these are left: ' + left().flatMap(around))
} else {
  parentPort.once('message', (moved) => {
    use(moved, { store: false })
    globalThis.kept = moved
    parentPort.postMessage('used')
    setTimeout(end, 5)
  })
}
if (isMainThread) console.log('reached the end')
