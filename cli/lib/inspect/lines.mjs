// What was found, in words.

import { size } from '../draw.mjs'
import { nameOf } from '../processes.mjs'

const UNKNOWN = 'which is not known here'

/** How each kind is told. */
const TOLD = {
  rpcs: linesOfRpc,
  channels: linesOfChannel,
  queues: linesOfQueue,
  broadcasts: linesOfBroadcast,
  latest: linesOfLatest,
  barriers: linesOfBarrier,
  rwlocks: linesOfRwLock,
  mutexes: ({ offset, owner, contended }) => [
    `mutex at ${offset}: ${owner ? `held by ${who(owner)}${wait(contended)}` : 'free'}`,
  ],
  semaphores: ({ offset, permits, maySleep }) => [
    `semaphore at ${offset}: ${permits === undefined ? 'not used yet, or something else' : `${permits} permits`}${wait(maySleep)}`,
  ],
  events: ({ offset, isSet, maySleep }) => [`event at ${offset}: ${isSet ? 'set' : 'not set'}${wait(maySleep)}`],
  conditions: ({ offset, waiting, notifications }) => [
    `condition at ${offset}: ${waiting} wait, ${notifications} of them notified`,
  ],
}

export function linesOf({ name, length, ...found }, knowsAlive) {
  const lines = Object.entries(TOLD).flatMap(([kind, told]) => found[kind].flatMap(told))
  return [
    `${name}: ${size(length)}`,
    ...(lines.length === 0 ? ['nothing of memory-map/sync that can be found, and no mutex that is held'] : lines),
    ...(knowsAlive ? [] : ['Who is alive can be seen only on Linux, with /proc.']),
  ]
}

/** The first line of a ring. */
function ring(kind, { offset, version, used, capacity }) {
  if (version !== 1) return `${kind} at ${offset}: version ${version}, ${UNKNOWN}`
  if (used === undefined) return `${kind} at ${offset}: damaged`
  return `${kind} at ${offset}: ${size(used)} of ${size(capacity)} used, ${((100 * used) / capacity).toFixed(0)} %`
}

function linesOfRpc({ offset, version, maxClients, server, requests, clients }) {
  if (version !== 1) return [`rpc at ${offset}: version ${version}, ${UNKNOWN}`]
  if (requests === undefined) return [`rpc at ${offset}: damaged`]
  return [
    `rpc at ${offset}: ${requests.waiting} requests waiting, ${clients.length} of at most ${maxClients} clients`,
    `  server: ${who(server)}`,
    ...clients.map((client) => `  client: ${who(client)}`),
  ]
}

function linesOfChannel(channel) {
  const { used, messages, receiver, sender } = channel
  if (used === undefined) return [ring('channel', channel)]
  const { waiting, 'being written': written, skipped, next } = messages
  return [
    ring('channel', channel),
    `  messages: ${waiting} waiting, ${written} being written, ${skipped} skipped${end(messages)}`,
    ...(next ? [`  next: ${bytesOf(next.length)}, ${next.state}, from ${who(next.sender)}`] : []),
    `  receiver: ${who(receiver)}`,
    ...reserving(sender),
  ]
}

function linesOfQueue(queue) {
  const { used, messages, receivers, sender } = queue
  if (used === undefined) return [ring('queue', queue)]
  const { waiting, delivered, done, 'being written': written, skipped, next } = messages
  const again = next?.deliveries > 0 ? `, delivered before: ${next.deliveries}` : ''
  const counts = `${waiting} waiting, ${delivered} delivered, ${done} done, ${written} being written, ${skipped} skipped`
  return [
    ring('queue', queue),
    `  messages: ${counts}${end(messages)}`,
    ...(next ? [`  next: ${bytesOf(next.length)}, ${next.state}, from ${who(next.sender)}${again}`] : []),
    ...receivers.map(({ messages: has, ...one }) => `  ${who(one)} has ${has}`),
    ...reserving(sender),
  ]
}

function linesOfBroadcast(broadcast) {
  const { used, messages, lossless, receivers = [], sender } = broadcast
  if (used === undefined) return [ring('broadcast', broadcast)]
  const { kept, newest } = messages
  return [
    `${ring('broadcast', broadcast)}${lossless ? ', lossless' : ''}`,
    `  messages: ${kept} kept${newest ? `, the newest is number ${newest.number}, ${bytesOf(newest.length)}` : ''}${end(messages)}`,
    ...receivers.map((one) => `  receiver: ${who(one)}, ${size(Math.max(one.behind, 0))} behind`),
    ...(lossless && receivers.length === 0 ? ['  receiver: nobody'] : []),
    ...(sender ? [`  sending: ${who(sender)}`] : []),
  ]
}

function linesOfLatest({ offset, maxLength, version, bytes, writer, maySleep }) {
  const value = version === 0n ? 'no value yet' : `value ${version}, ${bytesOf(bytes)}`
  const writing = writer ? `, ${who(writer)} is writing` : ''
  return [`latest at ${offset}: ${value} of at most ${maxLength}${writing}${wait(maySleep)}`]
}

function linesOfBarrier({ offset, parties, broken, waiting }) {
  return [
    `barrier at ${offset}: ${waiting.length} of ${parties} parties have come${broken ? ', broken' : ''}`,
    ...waiting.map((party) => `  waiting: ${who(party)}`),
  ]
}

function linesOfRwLock({ offset, exclusive, shared, waiting, contended, unrepaired }) {
  const readers = shared.length > 0 ? `shared by ${shared.map(who).join(', ')}` : 'free'
  return [
    `rwlock at ${offset}: ${exclusive ? `held exclusively by ${who(exclusive)}` : readers}${wait(contended)}`,
    ...(waiting ? [`  waiting: ${who(waiting)}`] : []),
    ...(unrepaired ? ["  a writer died while it held it: the next to lock gets 'recovered'"] : []),
  ]
}

const bytesOf = (count) => (count === 1 ? '1 byte' : `${count} bytes`)
const wait = (others) => (others ? ', others may wait' : '')
const end = ({ damaged }) => (damaged ? ', and then damage' : '')
const reserving = (sender) => (sender ? [`  reserving room: ${who(sender)}`] : [])

function who(participant) {
  if (participant === undefined) return 'nobody'
  const { alive, pid } = participant
  if (pid !== undefined) return `process ${pid} (${nameOf(pid).slice(0, 60)})`
  return { true: "another user's process", false: 'a dead process', unknown: 'a process' }[alive]
}
