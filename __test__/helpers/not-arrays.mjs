// Gives mappings, locks and the like to functions that take arrays or clone objects. Prints what did not throw, and errors
// that do not say what to use instead.

import { inspect } from 'node:util'
import { MessageChannel } from 'node:worker_threads'

const { mapShared } = await import(new URL('../../index.js', import.meta.url).href)
const { Barrier, Broadcast, Channel, Condition, Event, Latest, Mutex, Queue, Rpc, RwLock, Semaphore } = await import(
  new URL('../../sync.js', import.meta.url).href
)

const map = mapShared('shared', { create: true, length: 65_536, protection: 'read-write' })
const broadcast = Broadcast.create(map, { offset: 32_768, length: 16_384 })
const queue = Queue.create(map, { offset: 49_152 })
const text = mapShared('text', { create: true, length: 3, protection: 'read-write' })
text.write(Buffer.from('€'))
queue.send('message')
map.write(Uint8Array.of(0xff), 65_535) // no UTF-8
const handles = [
  map,
  new Event(map, 128),
  new Condition(map, 192),
  new Barrier(map, 256, 2),
  new Mutex(map, 0),
  new Semaphore(map, 64, 1),
  new RwLock(map, 512),
  Channel.create(map, { offset: 4096 }),
  new Latest(map, { offset: 1024, length: 1024 }),
  broadcast,
  broadcast.subscribe(),
  queue,
  queue.receive(),
  Rpc.create(map, { offset: 8192, length: 16_384 }),
]
const { port1, port2 } = new MessageChannel()

const asArray = {
  'new Uint8Array': (handle) => new Uint8Array(handle),
  'new Float32Array': (handle) => new Float32Array(handle),
  'Uint8Array.from': (handle) => Uint8Array.from(handle),
  'Array.from': (handle) => Array.from(handle),
  'Buffer.from': (handle) => Buffer.from(handle),
  'a spread': (handle) => [...handle],
  'new Set': (handle) => new Set(handle),
}
/** Of what has a length. */
const asArrayLike = {
  'set of a typed array': () => new Uint8Array(map.length).set(map),
  'slice of an array': () => Array.prototype.slice.call(map),
}
/** Text is made of these: other bytes, of what is not UTF-8. */
const asText = {
  Blob: () => new Blob([map]),
  Response: () => new Response(map),
  'a template': () => `${map}`,
  'fill of a Buffer': () => Buffer.alloc(4).fill(map),
}
// JavaScriptCore does not say what cannot be cloned.
const notCloned = 'bun' in process.versions ? /cloned/ : /pass map\.handle/
const asClone = {
  structuredClone: (handle) => structuredClone(handle),
  'structuredClone in an object': (handle) => structuredClone({ handle }),
  postMessage: (handle) => port1.postMessage(handle),
}

const wrong = []
function expect(name, run, error) {
  try {
    wrong.push(`${name} gave ${inspect(run(), { maxArrayLength: 3 })}`)
  } catch ({ message }) {
    if (!error.test(message)) wrong.push(`${name} threw "${message}"`)
  }
}

for (const handle of handles) {
  const { name } = handle.constructor
  for (const [what, run] of Object.entries(asArray)) expect(`${what} of a ${name}`, () => run(handle), /map\.buffer/)
  for (const [what, run] of Object.entries(asClone)) expect(`${what} of a ${name}`, () => run(handle), notCloned)
  const shown = inspect(handle)
  const [, facts] = shown.match(/^\w+ (\{.*\})$/) ?? []
  if (!shown.startsWith(`${name} {`)) wrong.push(`a ${name} is shown as ${shown}`)
  const keys = [...facts.matchAll(/(\w+): (?!undefined)/g)].map(([, key]) => key)
  if (String(Object.keys(JSON.parse(JSON.stringify(handle)))) !== String(keys)) {
    wrong.push(`a ${name} is ${JSON.stringify(handle)} in JSON, and is shown as ${shown}`)
  }
}
for (const [what, run] of Object.entries(asArrayLike)) expect(`${what} of a MemoryMap`, run, /map\.buffer/)
for (const [what, run] of Object.entries(asText)) expect(`${what} of a MemoryMap`, run, /map\.buffer/)
if (`${text}` !== '€' || (await new Blob([text]).text()) !== '€') wrong.push('no text is made of text')

port1.close()
port2.close()
console.log(wrong.join('\n'))
process.exit()
