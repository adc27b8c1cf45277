// `close()` while something else uses the buffer. The addresses are kept for as long as anything holds the ArrayBuffer
// object: a system call that is given them fails with EFAULT, and what loads from them reads zeros.

import { endsWell } from './helpers/lifetimes.ts'
import { onLinux as test } from './helpers/platform.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'

/**
 * Maps a file of the letter A, hands the buffer to an operation, closes the mapping at once, and collects what can be
 * collected while the operation goes on. One that reads or writes the buffer itself needs the whole range until it is
 * done; one that made a copy does not. Nothing of it may reach the file, or a mapping that comes later.
 */
const closeDuring = `
const dir = folder()
const path = join(dir, 'file')
const length = 16 << 20
const others = Buffer.alloc(length, 'B')
const isOldOrZero = (bytes) => bytes.every((byte) => byte === 65 || byte === 0)

function begin(operation) {
  fs.writeFileSync(path, Buffer.alloc(length, 'A'))
  const map = mapShared(path, { protection: 'read-write' })
  const { address, buffer } = map
  const result = operation(buffer)
  map.close()
  return { address, result }
}

async function closeDuring(operation, { finish = () => {}, copies = false } = {}) {
  const { address, result } = begin(operation)
  let looks = 0
  let isUnderWay = true
  const done = () => (isUnderWay = false)
  result.then(done, done)
  check(areasOf(path) === 0 && descriptorsOf(path) === 0, 'close() lets go of the file')
  fs.writeFileSync(path, others)
  const later = mapShared(path, { protection: 'read-write' })
  for (let i = 0; i < 6; i++) {
    collect()
    await turn(3)
    const isThere = isReserved(address, length)
    if (!isUnderWay) break
    check(isThere || copies, 'the range is reserved while the operation is under way')
    looks++
  }
  await finish()
  const value = await result
  check(others.equals(fs.readFileSync(path)), 'nothing of the closed mapping reaches the file')
  check(others.equals(later.read()), 'nothing of the closed mapping reaches another mapping')
  later.close()
  check(await until(() => !isReserved(address, length)), 'the range goes back when nobody holds it')
  return { looks, value }
}

/** A call with a callback, as a promise. */
const call = (run) =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))
/** Of a write: the whole result holds the buffer. */
const count = ({ bytesWritten }) => bytesWritten
/** How many bytes were written or read, or why none were. */
const outcome = (promise) => promise.catch(({ code }) => code)
const isOld = (bytes) => bytes.every((byte) => byte === 65)
const isTold = (value) => check(value === 'EFAULT' || value <= length, 'it did all, a part, or failed: ' + value)
`

type Operation = {
  name: string
  script: string
  /** Why a runtime is left out. */
  skip?: (runtime: Runtime) => string | undefined
}

const operations: Operation[] = [
  {
    name: 'fs.write',
    script: `
const output = join(dir, 'output')
const fd = fs.openSync(output, 'w')
const { value } = await closeDuring((buffer) => outcome(call((done) => fs.write(fd, buffer, 0, length, 0, done))))
isTold(value)
check(isOld(fs.readFileSync(output)), 'the output gets old bytes and nothing else')
`,
  },
  {
    name: 'fs.promises write',
    script: `
const output = join(dir, 'output')
const handle = await fs.promises.open(output, 'w')
const { value } = await closeDuring((buffer) => outcome(handle.write(buffer).then(count)))
isTold(value)
check(isOld(fs.readFileSync(output)), 'the output gets old bytes and nothing else')
await handle.close()
`,
  },
  {
    name: 'fs.write to a full pipe',
    script: `
const fd = pipe(join(dir, 'pipe'))
fs.writeSync(fd, Buffer.alloc(65536, 'A'))
let bytes
const { looks, value } = await closeDuring(
  (buffer) => outcome(call((done) => fs.write(fd, buffer, 0, 1 << 20, null, done))),
  { finish: async () => (bytes = await drain(join(dir, 'pipe'), 65536)) },
)
check(looks === 6, 'the write waited')
check(value === 'EFAULT' && isOld(bytes), 'the pipe gets nothing, and the writer is told: ' + value)
`,
    skip: ({ name }) => (name === 'deno' ? 'Deno writes on the JavaScript thread, which a full pipe stops' : undefined),
  },
  {
    name: 'fs.promises write to a full pipe',
    script: `
const fd = pipe(join(dir, 'pipe'))
fs.writeSync(fd, Buffer.alloc(65536, 'A'))
const handle = await fs.promises.open(join(dir, 'pipe'), 'r+')
let bytes
const { looks, value } = await closeDuring((buffer) => outcome(handle.write(buffer, 0, 1 << 20, null).then(count)), {
  finish: async () => (bytes = await drain(join(dir, 'pipe'), 65536)),
})
check(looks === 6, 'the write waited')
check(value === 'EFAULT' && isOld(bytes), 'the pipe gets nothing, and the writer is told: ' + value)
await handle.close()
`,
    skip: ({ name }) => (name === 'deno' ? 'Deno writes on the JavaScript thread, which a full pipe stops' : undefined),
  },
  {
    name: 'fs.read from an empty pipe',
    script: `
const fd = pipe(join(dir, 'pipe'))
const { looks, value } = await closeDuring(
  (buffer) => outcome(call((done) => fs.read(fd, buffer, 0, 4096, null, done))),
  { finish: () => fs.writeSync(fd, Buffer.alloc(4096, 'C')) },
)
check(looks === 6, 'the read waited')
check(value === 'EFAULT', 'it is told that there is nothing to read into: ' + value)
`,
  },
  {
    name: 'zlib, which waits for a thread of the pool',
    // Where the runtime respects UV_THREADPOOL_SIZE the only thread is busy, and zlib surely begins after `close`.
    script: `
const fd = pipe(join(dir, 'pipe'))
for (const [pack, unpack] of [['gzip', zlib.gunzipSync], ['deflate', zlib.inflateSync]]) {
  const busy = call((done) => fs.read(fd, Buffer.alloc(1), 0, 1, null, done))
  const { value } = await closeDuring(
    (buffer) => call((done) => zlib[pack](buffer, { chunkSize: 1 << 20 }, done)),
    { finish: () => fs.writeSync(fd, 'x') },
  )
  await busy
  const bytes = unpack(value)
  check(bytes.length === length && isOldOrZero(bytes), pack + ' packs old bytes or zeros')
}
`,
  },
  {
    name: 'crypto.subtle.digest',
    script: `
const { value } = await closeDuring((buffer) => crypto.subtle.digest('SHA-512', buffer), { copies: true })
check(value.byteLength === 64, 'there is a digest')
`,
  },
  {
    name: 'a hash in the thread pool',
    script: `
const { value } = await closeDuring(
  (buffer) => call((done) => crypto.pbkdf2(buffer, 'salt', 1, 64, 'sha512', done)),
  { copies: true },
)
check(value.length === 64, 'there is a key')
`,
  },
  {
    name: 'crypto.randomFill in the thread pool',
    script: `
await closeDuring(
  // Bun says that the buffer was detached meanwhile.
  (buffer) => call((done) => crypto.randomFill(buffer, (error) => done(error))).catch(({ code }) => check(isBun, code)),
  { copies: isBun },
)
`,
    skip: ({ name }) =>
      name === 'deno' ? 'Deno throws out of its own callback when the buffer was detached' : undefined,
  },
  {
    name: "an addon's thread that reads",
    script: `
const { looks, value } = await closeDuring((buffer) => fixture().startReader(buffer, 1000))
check(looks > 0 && value >= 1, 'it read meanwhile')
`,
  },
  {
    name: "an addon's thread that writes",
    script: `
const { looks, value } = await closeDuring((buffer) => fixture().startWriter(buffer, 1000))
check(looks > 0 && value >= 1, 'it wrote meanwhile')
`,
  },
]

/**
 * Readers and writers that outlive their mappings, and then thousands of mappings of the same size. Addresses that
 * nobody can reach do serve again, so a range that somebody still uses would soon be among them.
 */
const stragglers = `
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
const call = (run) =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))

const [empty, full] = [join(dir, 'empty'), join(dir, 'full')]
const [emptyEnd, fullEnd] = [pipe(empty), pipe(full)]
fs.writeSync(fullEnd, Buffer.alloc(65536, 'A'))
const outcome = (run) => call(run).catch(({ code }) => code)
const read = leaveBehind((buffer) => outcome((done) => fs.read(emptyEnd, buffer, 0, length, null, done)))
// A full pipe stops Deno's JavaScript thread.
const write = isDeno || leaveBehind((buffer) => outcome((done) => fs.write(fullEnd, buffer, 0, length, null, done)))
const waiting = [...held]
// The addon lets go of a buffer on the JavaScript thread only: not before the loop turns.
const { startReader, startWriter } = fixture()
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
// Without a turn of the loop addresses serve again only when very many wait.
while (cycles < 70_000) cycle(held)
for (; cycles < 75_000; await turn()) for (let i = 0; i < 250; i++) cycle(waiting)
check(addresses.size < cycles - 4000, 'addresses that nobody uses serve again: ' + addresses.size)

fs.writeSync(emptyEnd, Buffer.alloc(4096, 'C'))
check((await read) === 'EFAULT', 'the read is told that there is nothing to read into')
if (!isDeno) {
  const bytes = await drain(full, 65536)
  check((await write) === 'EFAULT', 'the write is told that there is nothing to write')
  check(bytes.every((byte) => byte === 65), 'the pipe gets nothing of it')
}
for (const passes of await Promise.all(threads)) check(passes >= 1, 'the thread went through all of the range')
const intact = Buffer.alloc(length, 'B')
check(open.every((map) => intact.equals(map.read())), 'what the stragglers store reaches no other mapping')
check(intact.equals(fs.readFileSync(path)), 'nor the file')
for (const map of open) map.close()
`

/** Gzips data that do not shrink, in many pieces, and takes the input away after the first. */
const inputTakenAway = `
const dir = folder()
const path = join(dir, 'file')
fs.writeFileSync(path, crypto.randomBytes(1 << 20))
const pack = (input) => {
  const gzip = zlib.createGzip()
  const done = new Promise((resolve) => gzip.on('end', resolve))
  const packed = []
  gzip.on('data', (chunk) => packed.push(chunk))
  gzip.end(input)
  return { gzip, done, packed }
}
const isWhole = (packed) => zlib.gunzipSync(Buffer.concat(packed)).equals(fs.readFileSync(path))
`

const mapClosed = `
const told = []
const map = mapPrivate(path, { onFault: ({ kind }) => told.push(kind) })
// A fault is told for as long as a view of the mapping is there.
const view = (globalThis.kept = map.buffer)
const { gzip, done, packed } = pack(view)
gzip.once('data', () => map.close())
await done
check(zlib.gunzipSync(Buffer.concat(packed)).length === 1 << 20, 'the gzip is whole')
check(await until(() => told.length > 0), 'that it read from what was closed is told')
check(told.every((kind) => kind === 'closed'), told.join())
`

const waysOut = `
const map = mapPrivate(path)
const first = pack(map.buffer)
await first.done
check(isWhole(first.packed), 'with await')
const second = pack(map.read())
map.close()
await second.done
check(isWhole(second.packed), 'with a copy')
`

for (const runtime of runtimes()) {
  const where = `on ${runtime.name} ${runtime.version}`
  for (const { name, script, skip } of operations) {
    const title = `close() during ${name}, ${where}`
    const reason = skip?.(runtime)
    if (reason !== undefined) {
      test.skip(`${title}: ${reason}`, () => {})
      continue
    }
    test.serial(title, async (t) => {
      await endsWell(t, runtime, closeDuring + script, { env: { UV_THREADPOOL_SIZE: '1' } })
    })
  }

  test.serial(`code that still reads or writes a closed mapping never reaches another one, ${where}`, async (t) => {
    await endsWell(t, runtime, stragglers)
  })

  // Bun throws past the callback, as it does for any ArrayBuffer that is emptied then.
  if (runtime.name !== 'bun') {
    test.serial(
      `zlib goes on when its input is closed between two pieces, and a fault is reported, ${where}`,
      async (t) => {
        await endsWell(t, runtime, inputTakenAway + mapClosed)
      },
    )
  }

  test.serial(`zlib ends well when it is awaited before close(), or given a copy, ${where}`, async (t) => {
    await endsWell(t, runtime, inputTakenAway + waysOut)
  })
}
