// A user who may have hardly any threads (RLIMIT_NPROC of getrlimit(2)) can wait all the same. Only root can become such a
// user. The arguments are the numbers of the system calls that are forbidden from the start.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { Channel, notify, waitAsync } from '../../sync.js'
import { check, turn } from '../helpers/observe.mjs'
import { forbidSome } from '../helpers/scenario.mjs'

const COUNT = 200
const [MORE, CHANNELS] = [2, 4096]

forbidSome()
fs.writeFileSync('file', Buffer.alloc(2 ** 20))
const [map, other] = [0, 1].map(() => mapShared('file', { protection: 'read-write' }))
const places = Array.from({ length: COUNT }, (_, i) => CHANNELS + 1024 * i)
const receivers = places.map((offset) => Channel.create(map, { offset, length: 1024 }))
const senders = places.map((offset) => Channel.open(other, { offset }))

process.setuid?.(100_000 + process.pid) // nobody else is that
check(process.getuid?.() !== 0, 'it is another user')
const most = fs.readdirSync('/proc/self/task').length + MORE
execFileSync('prlimit', ['--pid', String(process.pid), `--nproc=${most}:${most}`])

const received = receivers.map((channel) => channel.receiveAsync())
const words = other.typedArray(Int32Array)
const waits = places.map((_, i) => waitAsync(map, 4 * i, 0))
await turn(50)
senders.forEach((sender, i) => sender.send(`message ${i}`))
const messages = await Promise.all(received)
check(messages.map(String).join() === places.map((_, i) => `message ${i}`).join(), 'each has its own message')
for (let i = 0; i < COUNT; i++) {
  Atomics.store(words, i, 1)
  notify(other, 4 * i)
}
const results = await Promise.all(waits)
check(!results.includes('timed-out'), 'each word was seen to change')
map.close()
other.close()
console.log('reached the end')
