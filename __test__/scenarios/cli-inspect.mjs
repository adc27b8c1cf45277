// One of each class of `memory-map/sync`, and what is in use stays so until the process is killed.

import { mapShared } from '../../index.js'
import { Barrier, Broadcast, Channel, Condition, Event, Latest, Mutex, Queue, RwLock, Rpc } from '../../sync.js'

const map = mapShared(process.argv[2], { protection: 'read-write' })

const channel = Channel.create(map, { offset: 4096, length: 8192 })
channel.send('hello')
channel.send('a longer one')
channel.tryReceive()
const room = channel.reserve(100)

const queue = Queue.create(map, { offset: 16_384, length: 8192 })
queue.sendMany(['given back', 'kept', 'done', 'new'])
const [again, kept] = [queue.receive(), queue.receive()]
queue.receive().release()
again.requeue()

const news = Broadcast.create(map, { offset: 32_768, length: 16_384, lossless: true })
const reader = news.subscribe()
news.send('read')
news.send('to be read')
reader.receive()
const lossy = Broadcast.create(map, { offset: 49_152, length: 4096 })
lossy.send('news')

const latest = new Latest(map, { offset: 2048, length: Latest.byteLengthFor(64) })
latest.write('1.0843')

const mutex = new Mutex(map, 64)
mutex.lock()
const [shared, exclusive] = [0, 512].map((at) => new RwLock(map, 57_344 + at))
shared.lockShared()
exclusive.lockExclusive()

const rpc = Rpc.create(map, { offset: 58_368, length: 4096, clients: 3 })
const client = Rpc.open(map, { offset: 58_368 })
client.call('request').catch(() => {})
await new Promise((received) => {
  // It never replies.
  rpc.serve(() => {
    received(true)
    return new Promise(() => {})
  })
})

const set = new Event(map, 136)
set.set()
const condition = new Condition(map, 144)
const barrier = new Barrier(map, 1024, 3)
barrier.waitAsync()

const guarded = new Mutex(map, 152)
await guarded.lockAsync()
condition.waitAsync(guarded)
await guarded.lockAsync() // once the wait has released it
guarded.unlock()

console.log('ready')
const all = [
  rpc,
  client,
  channel,
  room,
  queue,
  kept,
  news,
  reader,
  lossy,
  latest,
  mutex,
  shared,
  exclusive,
  set,
  condition,
  barrier,
]
setInterval(() => all.length, 1000) // none is collected
