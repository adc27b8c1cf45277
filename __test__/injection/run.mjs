// Has each call that the library makes of the system fail, on any runtime:
//
//     run.mjs REPORT FIRST STEP
//
// tries the failures FIRST, FIRST + STEP, FIRST + 2 STEP and so on of all. The file REPORT has first what is being done, how
// far that is, and with which failure to go on behind it, then a line for each that went wrong: whoever started this knows
// what it was when it crashed or stopped.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { constants } from 'node:os'
import { inspect } from 'node:util'

import { collect, descriptors, isBun, turn } from '../helpers/observe.mjs'
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
/** A call that has the guard contain a fault. */
const GUARDED = 'a load behind the end: a shared file'
/** Milliseconds until what has no use is collected, on however busy a machine. */
const LONGEST = 60_000

/** Calls that are made until they go another way. */
const isMadeAgain = (call, error) => error === 'EINTR' || (call.startsWith('futex') && error === 'EAGAIN')

let failures = 0
/** The number of the failure that is to be tried next. */
let next = first
/** What is being done, and the failure that was tried last: what it has left may matter later. */
let [what, tried] = ['', 'nothing']
const wrong = (text) => fs.writeSync(log, `${JSON.stringify(text)}\n`)
/** Says in the report how far that is: the function of the operation that is called, or what is done here. */
const at = (step) => {
  const line = Buffer.alloc(512, ' ')
  line.write(JSON.stringify([next, `${what} (${step})`.slice(0, 450)]))
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
async function callsOf(name, operation) {
  what = `${name}: nothing fails, after ${tried}`
  at('make')
  const scene = new Scene()
  const made = await operation.make(scene)
  at('run')
  injection.record()
  const value = await operation.run(scene, made)
  at('turn')
  await turn()
  const calls = injection.recordedCalls()
  at('done')
  await operation.done(scene, made, value)
  at('end')
  scene.end()
  const counts = new Map()
  for (let i = 0; i < calls.length; i += 2) {
    if (calls[i + 1] > 0 && calls[i + 1] < LARGE) continue
    counts.set(calls[i], (counts.get(calls[i]) ?? 0) + 1)
  }
  return counts
}

async function* failing(name, operation) {
  await callsOf(name, operation)
  for (const [call, count] of await callsOf(name, operation)) {
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

/** SIGXFSZ as in the masks of /proc. */
const SIZE_SIGNAL = 1n << BigInt(constants.signals.SIGXFSZ - 1)

/** Which signals this thread blocks, but for SIGXFSZ: that stays blocked until its next use where the call fails that would end it. */
function blockedSignals() {
  const [, mask] = /^SigBlk:\s*(\w+)$/m.exec(fs.readFileSync('/proc/thread-self/status', 'latin1'))
  return (BigInt(`0x${mask}`) & ~SIZE_SIGNAL).toString(16)
}

/** As `collect`, but of what is new where the runtime can do that, which takes far less time and nearly always is enough. */
const collectYoung = () => (isBun ? collect() : globalThis.gc({ type: 'minor' }))

/** Waits until nothing more is held than before; what still is, if something is. */
async function left(before, failure) {
  for (let looks = 0, end = Date.now() + LONGEST; ; looks++) {
    const now = held()
    const more = Object.keys(now).filter((what) => now[what] > before[what])
    if (more.every((what) => mayKeep(failure, what))) return undefined
    if (Date.now() > end) return more.map((what) => `${now[what] - before[what]} more ${what}`).join(', ')
    if (looks < 2) collectYoung()
    else collect()
    await turn(1)
    main.mapAnonymous(1).close() // what could not be unmapped is tried again by the next that goes
  }
}

/** Has a call fail, and looks whether it says so, changes nothing, and works afterwards. */
async function fail(operation, failure) {
  const { call, error, nth, times } = failure
  const scene = new Scene()
  try {
    const made = await operation.make(scene)
    at('run')
    injection.fail(call, nth, numberOf(error), times, LARGE)
    const result = await outcome(() => operation.run(scene, made))
    const failed = injection.disarm()
    if (failed > 0) failures++
    if (result.error) {
      if (!isTold(result.error, failure)) throw new Error('it throws something else', { cause: result.error })
      at('same')
      await operation.same(scene, made, (what) => mayKeep(failure, what))
      result.error = undefined // its stack keeps what was called, and so the mapping
      at('run again')
      result.value = await operation.run(scene, made)
    } else if (failed > 0 && !isDoneWithout({ ...failure, elsewhere: injection.failuresHere() === 0 })) {
      throw new Error('nothing is told')
    }
    at('done')
    await operation.done(scene, made, result.value)
  } finally {
    injection.disarm()
    at('end')
    scene.end()
  }
}

/** Looks also at what is left. That is asked when the call is over, whose variables are reachable until then. */
async function attempt(operation, failure) {
  at('make')
  const [before, blockedBefore] = [held(), blockedSignals()]
  await fail(operation, failure)
  at('left')
  const more = await left(before, failure)
  if (more) throw new Error(`it leaves ${more}`)
  assert.equal(blockedSignals(), blockedBefore, 'it leaves other signals blocked')
}

let number = 0
for (const [name, operation] of operations) {
  for await (const failure of failing(name, operation)) {
    if (number++ !== next) continue
    next += step
    const { call, error, nth, times } = failure
    what = `${name}: ${call} fails with ${error}, ${times === 1 ? `call ${nth}` : 'every call'}`
    tried = what
    const { error: thrown } = await outcome(() => attempt(operation, failure))
    if (thrown) wrong(`${what}: ${inspect(thrown)}`)
  }
}
await callsOf(GUARDED, operations.get(GUARDED)) // whatever has failed
fs.writeSync(1, `${failures} of ${number}\n`)
process.exit()
