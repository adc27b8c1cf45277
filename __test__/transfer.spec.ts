// Memory of a mapping that was transferred into another ArrayBuffer, which the library never hears of: it stays valid
// for as long as any thread has it, and the mapping's end leaves it with its old bytes or zeros.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'

/**
 * What a runtime can do with an ArrayBuffer over memory that it does not own: move it (`transfer()`, and in Deno every
 * way), copy it (Node 20), or refuse until `transfer()` has moved it into one of its own kind (Node 22 and later, Bun).
 */
const common = `
const path = workerData?.path ?? join(folder(), 'file')
const length = 16 << 20
if (isMainThread) fs.writeFileSync(path, Buffer.alloc(length, 'A'))
const map = () => mapShared(path, { protection: 'read-write' })
const isFree = () => areasOf(path) === 0 && descriptorsOf(path) === 0
const isUntouched = () => fs.readFileSync(path).equals(Buffer.alloc(length, 'A'))

/** An ArrayBuffer that can go to another thread; Node 20 can only copy. */
const movable = (arrayBuffer) => (arrayBuffer.transfer ? arrayBuffer.transfer() : arrayBuffer.slice())
const isCopied = !ArrayBuffer.prototype.transfer

/** Reads and writes all pages of what is left of a mapping, which has its file's bytes or zeros. */
function use(arrayBuffer, { store = true } = {}) {
  const bytes = new Uint8Array(arrayBuffer)
  check(bytes.length === length, 'the transferred buffer has all the bytes')
  for (let at = 0; at < length; at += 4096) check(bytes[at] === 65 || bytes[at] === 0, 'old bytes or zeros')
  if (!store) return
  for (let at = 0; at < length; at += 4096) bytes[at] = 65
}
`

const ways = `
const { port1, port2 } = new MessageChannel()
const ways = {
  transfer: (buffer) => buffer.transfer(),
  transferToFixedLength: (buffer) => buffer.transferToFixedLength(),
  'transfer to a shorter one': (buffer) => buffer.transfer(length / 2),
  'transfer to a longer one': (buffer) => buffer.transfer(length * 2),
  structuredClone: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  postMessage(buffer) {
    port1.postMessage(buffer, [buffer])
    return new Promise((resolve) => port2.once('message', resolve))
  },
  'transfer, then structuredClone': (buffer) => ways.structuredClone(buffer.transfer()),
  'transfer, then postMessage': (buffer) => ways.postMessage(buffer.transfer()),
  'transfer, twice': (buffer) => buffer.transfer().transferToFixedLength(),
}
/** The result, or undefined where the runtime cannot do it. */
async function attempt(way, buffer) {
  try {
    return await ways[way](buffer)
  } catch (error) {
    check(error.name === 'DataCloneError' || error instanceof TypeError, way + ': ' + error)
  }
}
`

const onOneThread = `
let done = 0
async function closeAfter(way) {
  const mapping = map()
  const { address, arrayBuffer } = mapping
  const moved = await attempt(way, arrayBuffer)
  if (moved === undefined) {
    check(mapping.buffer.length === length && mapping.buffer[length - 1] === 65, way + ': a refusal changes nothing')
    mapping.close()
    return { address }
  }
  done++
  check(arrayBuffer.byteLength === (isCopied ? length : 0), way + ': the first one is empty')
  const bytes = new Uint8Array(moved)
  const last = Math.min(bytes.length, length) - 1
  check(bytes[0] === 65 && bytes[last] === 65, way + ': the bytes are still there')
  mapping.close()
  check(isFree(), way + ': close() lets go of the file')
  collect()
  check(bytes.length > 0 && [0, 65].includes(bytes[0]) && [0, 65].includes(bytes[last]), way + ': old bytes or zeros')
  bytes.fill(1)
  check(isUntouched(), way + ': nothing more reaches the file')
  return { address, moved }
}
for (const way in ways) {
  let kept = await closeAfter(way)
  // Many more, and their collection: the memory must not get another owner.
  if (kept.moved?.byteLength === length) {
    for (let i = 0; i < 30; i++) {
      const other = map()
      check(other.buffer[0] === 65, 'another mapping is whole')
      other.close()
      if (i % 10 === 0) collect()
    }
    check(new Uint8Array(kept.moved).every((byte) => byte === 1), way + ': nobody else gets the memory')
  }
  const { address } = kept
  kept = undefined
  check(await until(() => !isReserved(address, length)), way + ': the range goes back with the last buffer')
}
check(done > 0, 'at least one way works')

/** After \`close()\` there is nothing left to transfer. */
async function closeBefore(way) {
  const mapping = map()
  const { arrayBuffer } = mapping
  mapping.close()
  const moved = await attempt(way, arrayBuffer)
  check(moved === undefined || new Uint8Array(moved).every((byte) => byte === 0), way + ': there is nothing to see')
}
`

const neverClosed = `
async function drop(way) {
  const mapping = map()
  const moved = await attempt(way, mapping.arrayBuffer)
  return { address: mapping.address, moved }
}
async function keepForAWhile(way) {
  const { address, moved } = await drop(way)
  for (let i = 0; i < 4; i++) {
    collect()
    await turn(2)
  }
  if (moved === undefined) return address
  const bytes = new Uint8Array(moved)
  check(bytes[0] === 65 && bytes[Math.min(bytes.length, length) - 1] === 65, way + ': the buffer keeps its bytes')
  return address
}
for (const way in ways) {
  const address = await keepForAWhile(way)
  check(await until(isFree), way + ': the file goes with the last buffer')
  check(await until(() => !isReserved(address, length)), way + ': and so does the range')
}
`

/** The worker ends in the way that the main thread says. */
const worker = `
async function begin(transferList) {
  const { when } = workerData
  const mapping = map()
  const { address, arrayBuffer } = mapping
  const moved = movable(arrayBuffer)
  if (when === 'before') mapping.close()
  parentPort.postMessage({ address, moved }, [moved])
  if (when === 'after') mapping.close()
  return mapping
}
function end() {
  const { how } = workerData
  if (how === 'by process.exit') process.exit()
  if (how === 'terminated, idle') setInterval(() => {}, 1000)
  if (how === 'terminated, busy') stayBusy()
  // Otherwise there is nothing left to do.
}
`

const endings = ['naturally', 'by process.exit', 'terminated, idle', 'terminated, busy'] as const
const moments = ['before', 'after', 'never'] as const

/** The main thread keeps what a worker sent, beyond the worker's end. */
const fromWorker = `
if (isMainThread) {
  const survivors = []
  for (const how of ${JSON.stringify(endings)}) {
    for (const when of ${JSON.stringify(moments)}) {
      for (let i = 0; i < 3; i++) {
        const child = new Worker(new URL(import.meta.url), { workerData: { path, how, when } })
        const exit = new Promise((resolve) => child.once('exit', resolve))
        child.on('error', (error) => check(false, how + ', ' + when + ': ' + (error.message ?? error)))
        const message = await new Promise((resolve) => child.once('message', resolve))
        survivors.push(message)
        use(message.moved, { store: when !== 'never' })
        if (how.startsWith('terminated')) await child.terminate()
        await exit
        use(message.moved, { store: false })
      }
    }
  }
  // Node tells of a worker's end before the worker's memory is gone.
  check(await until(isFree), 'the file is free when its workers have ended')
  for (let i = 0; i < 3; i++) {
    collect()
    await turn(5)
    for (const { moved } of survivors) use(moved)
  }
  check(isUntouched(), 'nothing more reaches the file')
  const ranges = survivors.map(({ address }) => address)
  check(isCopied || new Set(ranges).size === ranges.length, 'no range served twice while somebody had it')
  while (survivors.pop()) collect()
  await turn(20)
  collect()
} else {
  globalThis.kept = await begin()
  // The message goes out before the end.
  setTimeout(end, 5)
}
`

/** The main thread's mapping goes to workers that end. */
const toWorker = `
if (isMainThread) {
  const ranges = []
  async function send(how, when) {
    const mapping = map()
    const { address, arrayBuffer } = mapping
    ranges.push(address)
    const child = new Worker(new URL(import.meta.url), { workerData: { path, how } })
    child.on('error', (error) => check(false, how + ', ' + when + ': ' + (error.message ?? error)))
    const exit = new Promise((resolve) => child.once('exit', resolve))
    const moved = movable(arrayBuffer)
    try {
      child.postMessage(moved, [moved])
    } catch (error) {
      check(false, error)
    }
    if (when === 'before') mapping.close()
    await new Promise((resolve) => child.once('message', resolve))
    if (how.startsWith('terminated')) await child.terminate()
    if (when === 'after') mapping.close()
    await exit
    if (when === 'never') mapping.close()
  }
  for (const how of ${JSON.stringify(endings)}) for (const when of ${JSON.stringify(moments)}) await send(how, when)
  check(await until(isFree), 'the file is free')
  check(isUntouched(), 'nothing reaches the file')
  const left = () => ranges.filter((address) => isReserved(address, length)).length
  // Bun's collector takes any word on a stack for a reference: one or two may look used for long.
  check(await until(() => left() <= (process.versions.bun ? 2 : 0)), 'every range goes back: ' + left() + ' are left')
} else {
  parentPort.once('message', (moved) => {
    use(moved, { store: false })
    globalThis.kept = moved
    parentPort.postMessage('used')
    setTimeout(end, 5)
  })
}
`

/** Nobody ever takes the message out. */
const neverReceived = `
async function send(close) {
  const mapping = map()
  const { port1, port2 } = new MessageChannel()
  const moved = movable(mapping.arrayBuffer)
  port1.postMessage(moved, [moved])
  if (close) mapping.close()
  collect()
  await turn(2)
  port1.close()
  port2.close()
  return mapping.address
}
for (let i = 0; i < 6; i++) await send(i % 2 === 0)
check(await until(isFree), 'the file is free')
`

/** The mapping is open still, and gives out its memory anew. */
const inUse = `
const mapping = map()
const ways = {
  view: () => mapping.view(1, 2),
  buffer: () => mapping.buffer,
  typedArray: () => mapping.typedArray(Uint8Array),
  dataView: () => mapping.dataView(),
  arrayBuffer: () => new Uint8Array(mapping.arrayBuffer),
  lines: () => mapping.lines().next().value,
}
for (const way in ways) {
  const moved = movable(mapping.arrayBuffer)
  const { byteLength } = ways[way]()
  check(byteLength === (way === 'view' ? 2 : length), way + ' is whole')
  check(isCopied || mapping.arrayBuffer.byteLength === length, way + ' is of another buffer')
  use(moved)
}
mapping.write(Buffer.from('B\\nBB\\nB'))
const lines = mapping.lines()
check(lines.next().value.length === 1, 'the first line')
const moved = movable(mapping.arrayBuffer)
check(lines.next().value.length === 2, 'the second line, of another buffer')
mapping.buffer.fill('A', 0, 6)
check(isCopied || new Uint8Array(moved)[0] === 65, 'all of them are one memory')
mapping.close()
check(isCopied || new Uint8Array(moved)[0] === 0, 'which close() takes from all')

const none = mapAnonymous(0)
const views = {
  view: () => none.view(),
  buffer: () => none.buffer,
  typedArray: () => none.typedArray(Float64Array),
  dataView: () => none.dataView(),
  arrayBuffer: () => new Uint8Array(none.arrayBuffer),
}
for (const way in views) {
  check(none.buffer === none.buffer && none.buffer.buffer === none.arrayBuffer, 'an empty mapping has one buffer')
  structuredClone(none.arrayBuffer, { transfer: [none.arrayBuffer] })
  const { byteLength, buffer } = views[way]()
  check(byteLength === 0 && new Uint8Array(buffer).length === 0, way + ' of an empty mapping is of another buffer')
}
none.close()
check(isFree() && isUntouched(), 'the file is free')
`

/** A stream of bytes, as the web has them, transfers every chunk: the mapping has new views afterwards. */
const goesOn = `
async function send(mapping, count) {
  const chunks = []
  const some = 1 << 12
  const stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      if (chunks.length === count) controller.close()
      else controller.enqueue(mapping.view(chunks.length * some, some))
    },
  })
  for await (const chunk of stream) chunks.push(chunk)
  check(chunks.every((chunk) => chunk.length === some && chunk.every((byte) => byte === 65)), 'all chunks arrive')
  return chunks
}
async function sendAndClose() {
  const mapping = map()
  const { address, buffer } = mapping
  const chunks = await send(mapping, 70)
  check(buffer.length === 0, 'earlier views are empty')
  check(mapping.buffer.length === length && mapping.buffer === mapping.buffer, 'there is a buffer')
  check(mapping.arrayBuffer === mapping.buffer.buffer, 'it is a view of arrayBuffer')
  check([...mapping.lines()][0].length === length, 'lines')
  check(mapping.dataView(length - 1).getUint8(0) === 65, 'dataView')
  mapping.typedArray(Uint8Array, 5, 1)[0] = 66
  check(mapping.read(5, 1)[0] === 66 && fs.readFileSync(path)[5] === 66, 'stores reach the file')
  mapping.buffer[5] = 65
  mapping.close()
  check(isFree(), 'close() lets go of the file')
  check(chunks.every((chunk) => chunk[0] === 65 || chunk[0] === 0), 'old bytes or zeros')
  return address
}
const address = await sendAndClose()
check(await until(() => !isReserved(address, length)), 'the range goes back with the last chunk')
`

const tests = [
  ['on one thread, then closed', common + ways + onOneThread + 'port1.close()'],
  [
    'on one thread, already closed',
    `${common}${ways}${onOneThread.slice(onOneThread.indexOf('/** After'))}
for (const way in ways) await closeBefore(way)
port1.close()`,
  ],
  ['on one thread, never closed', common + ways + neverClosed + 'port1.close()'],
  ['while the mapping is in use', common + inUse],
  ['on one thread, again and again', common + goesOn],
  ['from a worker that then ends', common + worker + fromWorker],
  ['to a worker that then ends', common + worker + toWorker],
  ['into a port that nobody reads', common + neverReceived],
] as const

for (const runtime of runtimes()) {
  for (const [name, script] of tests) {
    test.serial(`transfer ${name}, on ${runtime.name} ${runtime.version}`, async (t) => {
      await endsWell(t, runtime, script)
    })
  }
}

const ofChunk = `
const file = join(folder(), 'file')
fs.writeFileSync(file, Buffer.alloc(length, 'A'))
let told = 0
const open = mapShared(file, { onFault: () => told++ })
const take = async () => {
  for await (const { buffer } of open.createReadStream()) return movable(buffer)
}
const moved = new Uint8Array(await take())
for (let i = 0; i < 5; i++) {
  collect()
  await turn()
}
fs.truncateSync(file, 0)
check(moved[9000] === (isCopied ? 65 : 0), 'the chunk has what its mapping has')
check(isCopied || (await until(() => told === 1)), 'the fault is told')
`

for (const runtime of runtimes()) {
  test(`a fault in a chunk that was transferred is told when only the new ArrayBuffer is left, ${runtime.name}`, (t) =>
    endsWell(t, runtime, common + ofChunk))
}
