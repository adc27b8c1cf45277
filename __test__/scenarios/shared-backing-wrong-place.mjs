// The error in a worker, which cannot map with this backing, says so.

import { isMainThread, parentPort } from 'node:worker_threads'

import { mapAnonymous } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { options, post } from './shared-backing.mjs'

if (isMainThread) {
  check((await post({}).message) === 'ERR_MMAP_UNSUPPORTED', 'a worker says what it cannot')
  check(mapAnonymous(4096, options).buffer.length === 4096, 'the main thread can')
} else {
  let code
  try {
    mapAnonymous(4096, options)
  } catch (error) {
    code = error.code
  }
  parentPort.postMessage(code)
}
if (isMainThread) console.log('reached the end')
