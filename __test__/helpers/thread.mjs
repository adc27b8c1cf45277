// A thread that gets a mapping's handle, and runs functions for a scenario.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import * as api from '../../index.js'
import * as sync from '../../sync.js'

/**
 * What a function that runs in another thread gets.
 *
 * @typedef {typeof api & { sync: typeof sync, map: any, told: any[], kept: any, here: any }} Here
 */

/** Functions are sent as text: they see their parameters, and nothing else of their surroundings. */
export class Thread {
  #worker
  #waiting = new Map()
  #next = 0

  /** @param {any} handle @param {{ listens?: boolean, idle?: boolean }} [options] `idle`: it makes no mapping of the handle */
  constructor(handle, { listens = true, idle = false } = {}) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { thread: true, handle, listens, idle } })
    this.ended = new Promise((resolve) => this.#worker.once('exit', resolve))
    this.#worker.on('message', ({ id, ok, value }) => {
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (ok) resolve(value)
      else reject(Object.assign(new Error(value.message), value))
    })
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error)
    })
  }

  /**
   * Runs `work` there.
   *
   * @param {(here: Here, ...parameters: any[]) => any} work @param {any[]} parameters
   * @returns {Promise<any>} what it returns
   */
  run(work, ...parameters) {
    const id = this.#next++
    const result = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#worker.postMessage({ id, work: work.toString(), parameters })
    return result
  }

  /** Ends the thread. @param {'return' | 'exit' | 'terminate'} how */
  async end(how = 'terminate') {
    if (how === 'terminate') await this.#worker.terminate()
    else this.#worker.postMessage({ how })
    await this.ended
  }
}

/** @param {any} workerData */
function work({ handle, listens, idle }) {
  const told = []
  const onFault = (fault) => void told.push({ kind: fault.kind, offset: fault.offset, length: fault.length })
  const here = { ...api, sync, told, kept: {}, map: undefined, here: undefined }
  here.here = here
  if (!idle) here.map = api.MemoryMap.from(handle, listens ? { onFault } : {})
  parentPort.on('message', async function listener({ id, work, parameters, how }) {
    if (how === 'exit') process.exit()
    if (how === 'return') return void parentPort.off('message', listener)
    try {
      const value = await new Function(`return (${work})`)()(here, ...parameters)
      parentPort.postMessage({ id, ok: true, value })
    } catch (error) {
      const { name, message, code, stack } = error
      parentPort.postMessage({ id, ok: false, value: { name, message, code, stack } })
    }
  })
}

if (!isMainThread && workerData?.thread) work(workerData)
