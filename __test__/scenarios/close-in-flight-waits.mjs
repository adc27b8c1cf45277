// closeAsync() waits for this library's own operations.

import { mapShared } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { path, bytes } from './close-in-flight.mjs'

const map = mapShared(path, { protection: 'read-write' })
const done = []
const note = (what) => () => done.push(what)
map.sync().then(note('sync'))
map.find('nowhere').then(note('find'))
map.countAsync('x').then(note('count'))
map.prefetch().then(note('prefetch'))
const stream = map.createReadStream()
let streamed = 0
stream.on('data', (chunk) => (streamed += chunk.length)).on('close', note('stream'))
await map.closeAsync()
check(map.closed, 'it is closed')
check(done.sort().join() === 'count,find,prefetch,stream,sync', done.join())
check(streamed === bytes.length, 'the stream had everything')
await map.closeAsync()

const other = mapShared(path)
const found = other.find(bytes.subarray(-20))
await other[Symbol.asyncDispose]()
check(other.closed && (await found) === bytes.length - 20, 'as with await using')
console.log('reached the end')
