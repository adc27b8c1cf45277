// Has each call that the library makes of the system fail, on any runtime:
//
//     run.mjs REPORT FIRST STEP
//
// tries the failures FIRST, FIRST + STEP, FIRST + 2 STEP and so on of all. The file REPORT has first which one is being
// tried, then a line for each that went wrong: whoever started this knows what it was when it crashed or stopped.

import fs from 'node:fs'
import { inspect } from 'node:util'

import { collect, descriptors, turn } from '../helpers/observe.mjs'
import { errorsOf, numberOf } from './errnos.mjs'
import { injection } from './hook.mjs'
import { operations } from './operations.mjs'
import { isDoneWithout, isTold, mayKeep } from './outcomes.mjs'
import { main, Scene } from './scene.mjs'

const [reportFile, ...numbers] = process.argv.slice(2)
const [first, step] = numbers.map(Number)
const report = fs.openSync(reportFile, 'r+')
const log = fs.openSync(reportFile, 'a')

/** How often a call is followed: later ones fail too, each of them alone. */
const MOST_CALLS = 6
/** What is allocated for a length that the user chose; what is less ends the process, as it does in the runtimes. */
const LARGE = 65_536
const EVERY = 2 ** 31 - 1
/** Milliseconds until what has no use is collected, on however busy a machine. */
const LONGEST = 20_000

/** Calls that are made until they go another way. */
const isMadeAgain = (call, error) => error === 'EINTR' || (call.startsWith('futex') && error === 'EAGAIN')

let failures = 0
const wrong = (text) => fs.writeSync(log, `${JSON.stringify(text)}\n`)
const at = (number, what) => {
  const line = Buffer.alloc(512, ' ')
  line.write(JSON.stringify([number, what]).slice(0, 511))
  fs.writeSync(report, line, 0, line.length, 0)
}

/** How a call goes: what it gave, or the error. */
async function outcome(run) {
  try {
    return { value: await run() }
  } catch (error) {
    return { error }
  }
}

/** Runs a call with nothing that fails; which calls of the system it makes, how often each. */
async function callsOf(operation) {
  const scene = new Scene()
  const made = await operation.make(scene)
  injection.record()
  const value = await operation.run(scene, made)
  await turn()
  const calls = injection.recordedCalls()
  await operation.done(scene, made, value)
  scene.end()
  const counts = new Map()
  for (let i = 0; i < calls.length; i += 2) {
    if (calls[i + 1] > 0 && calls[i + 1] < LARGE) continue
    counts.set(calls[i], (counts.get(calls[i]) ?? 0) + 1)
  }
  return counts
}

async function* failing(name, operation) {
  await callsOf(operation)
  for (const [call, count] of await callsOf(operation)) {
    for (const error of errorsOf(call)) {
      // What is allocated once more can be had: as much was given back for it.
      const most = /alloc/.test(call) ? 1 : MOST_CALLS
      for (let nth = 1; nth <= Math.min(count, most); nth++) yield { name, call, error, nth, times: 1 }
      if (!isMadeAgain(call, error) && !operation.faults) yield { name, call, error, nth: 1, times: EVERY }
    }
  }
}

/** Descriptors of files and memory: runtimes open others when they like. */
const ownDescriptors = () =>
  descriptors().filter((fd) => {
    try {
      return /^\/(?!dev\/)|^\/dev\/shm\//.test(fs.readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false // the one that listed the folder
    }
  })

const held = () => ({ addresses: injection.held(), descriptors: ownDescriptors().length })

/** Waits until nothing more is held than before; what still is, if something is. */
async function left(before, failure) {
  for (const end = Date.now() + LONGEST; ;) {
    const now = held()
    const more = Object.keys(now).filter((what) => now[what] > before[what])
    if (more.every((what) => mayKeep(failure, what))) return undefined
    if (Date.now() > end) return more.map((what) => `${now[what] - before[what]} more ${what}`).join(', ')
    collect()
    await turn(1)
    main.mapAnonymous(1).close() // what could not be unmapped is tried again by the next that goes
  }
}

async function attempt(operation, failure) {
  const { call, error, nth, times } = failure
  const before = held()
  const scene = new Scene()
  try {
    const made = await operation.make(scene)
    injection.fail(call, nth, numberOf(error), times, LARGE)
    const result = await outcome(() => operation.run(scene, made))
    if (injection.disarm() > 0) failures++
    if (result.error) {
      if (!isTold(result.error, failure)) throw new Error('it throws something else', { cause: result.error })
      await operation.same(scene, made, (what) => mayKeep(failure, what))
      result.error = undefined // its stack keeps what was called, and so the mapping
      result.value = await operation.run(scene, made)
    } else if (!isDoneWithout(failure)) {
      throw new Error('nothing is told')
    }
    await operation.done(scene, made, result.value)
  } finally {
    injection.disarm()
    scene.end()
  }
  const more = await left(before, failure)
  if (more) throw new Error(`it leaves ${more}`)
}

let number = 0
for (const [name, operation] of operations) {
  for await (const failure of failing(name, operation)) {
    const tried = number++
    if (tried < first || (tried - first) % step !== 0) continue
    const { call, error, nth, times } = failure
    const what = `${name}: ${call} fails with ${error}, ${times === 1 ? `call ${nth}` : 'every call'}`
    at(tried, what)
    const { error: thrown } = await outcome(() => attempt(operation, failure))
    if (thrown) wrong(`${what}: ${inspect(thrown)}`)
  }
}
fs.writeSync(1, `${failures} of ${number}\n`)
process.exit()
