// Readers and writers that outlive their mappings, and then thousands of mappings of the same size. Addresses that
// no code can reach are used again, so a range that is still in use would soon be among them.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { check, collect, drain, fixture, folder, isDeno, pipe, turn } from '../helpers/observe.mjs'

const dir = folder()
const length = 256 << 10
const old = join(dir, 'old')
const path = join(dir, 'file')
fs.writeFileSync(old, Buffer.alloc(length, 'A'))
fs.writeFileSync(path, Buffer.alloc(length, 'B'))

const held = []
function leaveBehind(use) {
  const map = mapShared(old, { protection: 'read-write' })
  held.push(map.address)
  const result = use(map.buffer)
  map.close()
  return result
}
const call = (run) => new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))

const [empty, full] = [join(dir, 'empty'), join(dir, 'full')]
const [emptyEnd, fullEnd] = [pipe(empty), pipe(full)]
fs.writeSync(fullEnd, Buffer.alloc(65536, 'A'))
const outcome = (run) => call(run).catch(({ code }) => code)
const read = leaveBehind((buffer) => outcome((done) => fs.read(emptyEnd, buffer, 0, length, null, done)))
// A full pipe stops Deno's JavaScript thread.
const write = isDeno || leaveBehind((buffer) => outcome((done) => fs.write(fullEnd, buffer, 0, length, null, done)))
const waiting = [...held]
// The addon lets go of a buffer on the JavaScript thread only: not before the loop turns.
const { startReader, startWriter, finishPasses } = fixture()
const threads = [leaveBehind((buffer) => startReader(buffer, 800)), leaveBehind((buffer) => startWriter(buffer, 800))]

const addresses = new Set()
const open = []
let cycles = 0
function cycle(held) {
  const map = mapShared(path, { protection: 'read-write' })
  check(map.buffer[0] === 66, 'a mapping shows its file')
  check(!held.includes(map.address), 'no mapping gets an address that somebody still uses')
  addresses.add(map.address)
  if (cycles % 2048 === 0) open.push(map)
  else map.close()
  if (++cycles % 4000 === 0) collect()
}
// Without a turn of the loop addresses serve again only when very many wait (8,000 on Bun and Deno, 25,000 on Node):
// until each of those that were given back has served again.
while (cycles < 70_000 && cycles < 2 * addresses.size + 500) cycle(held)
for (let turns = 0; turns < 20; turns++, await turn()) for (let i = 0; i < 250; i++) cycle(waiting)
finishPasses()
check(addresses.size < cycles - 4000, 'addresses that nobody uses serve again: ' + addresses.size)

fs.writeSync(emptyEnd, Buffer.alloc(4096, 'C'))
check((await read) === 'EFAULT', 'the read is told that there is nothing to read into')
if (!isDeno) {
  const bytes = await drain(full, 65536)
  check((await write) === 'EFAULT', 'the write is told that there is nothing to write')
  check(
    bytes.every((byte) => byte === 65),
    'the pipe gets nothing of it',
  )
}
for (const passes of await Promise.all(threads)) check(passes >= 1, 'the thread went through all of the range')
const intact = Buffer.alloc(length, 'B')
check(
  open.every((map) => intact.equals(map.read())),
  'what the stragglers store reaches no other mapping',
)
check(intact.equals(fs.readFileSync(path)), 'nor the file')
for (const map of open) map.close()
console.log('reached the end')
