// `Latest`: readers get the newest value, and a whole one, even if a writer is stopped or killed.

import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapShared } from 'memory-map'
import { Latest, type LatestOptions } from 'memory-map/sync'

import { isWindows } from './helpers/platform.ts'
import type { Peer } from './helpers/processes.ts'
import { type Runtime, runtimes } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap } from './helpers/sharing.ts'
import { HANG_MS } from './helpers/until.ts'

const place = { offset: 64, length: Latest.byteLengthFor(200) }

const open = (t: ExecutionContext, file = sparseFile(t, 16_384)) => ({ file, map: sharedMap(t, file) })

/** A second process with the same value, as `latest`. */
function peerOf(t: ExecutionContext, file: string, runtime?: Runtime): Promise<Peer> {
  return peerWith(t, file, `latest = new sync.Latest(map, ${JSON.stringify(place)})`, runtime)
}

/** Has a process write values for ever. All bytes of a value are the same. */
const WRITE = `void (function write(n) {
  for (let i = 0; i < 500; i++) latest.write(Buffer.alloc(++n % 200 + 1, n % 251))
  setImmediate(write, n)
})(0)`

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: another process waits for a version, and reads the newest value`, async (t) => {
    const { file, map } = open(t)
    const latest = new Latest(map, place)
    const peer = await peerOf(t, file, runtime)
    t.is(await peer.run('latest.read() === undefined && latest.version'), 0)
    const waiting = peer.run(`(async () => {
      const woken = await latest.waitAsync(0, ${HANG_MS})
      return [woken, latest.version, latest.read().toString()]
    })()`)
    t.true(latest.write('one'))
    t.deepEqual(await waiting, [true, 1, 'one'])
    const here = latest.waitAsync(1)
    t.true(await peer.run(`latest.write(Uint8Array.of(1, 2, 3))`))
    t.true(await here)
    t.deepEqual(latest.read(), Buffer.of(1, 2, 3))
    t.deepEqual(await peer.run('[latest.wait(2, 5), latest.wait(1), latest.maxLength]'), [false, true, 200])
    t.deepEqual(
      await peer.run(`(() => {
        const target = Buffer.alloc(8, 9)
        const lengths = Array.from({ length: 200 }, () => latest.read(target))
        return [[...new Set(lengths)], [...target]]
      })()`),
      [[3], [1, 2, 3, 9, 9, 9, 9, 9]],
    )
  })

  test(`${name}: readers get whole values while two processes write and one of them is stopped or killed`, async (t) => {
    const { file, map } = open(t)
    const latest = new Latest(map, place)
    latest.write(Buffer.alloc(1, 1))
    const [other, reader] = [await peerOf(t, file, runtime), await peerOf(t, file, runtime)]
    const read = `(() => {
      const target = Buffer.alloc(200)
      for (let i = 0; i < 20_000; i++) {
        const length = latest.read(target)
        const copy = latest.read()
        for (let j = 1; j < length; j++) if (target[j] !== target[0]) return 'not whole: ' + target.subarray(0, length)
        for (let j = 1; j < copy.length; j++) if (copy[j] !== copy[0]) return 'not whole: ' + copy
      }
      return latest.version
    })()`
    await other.run(WRITE)
    for (let before = 0, i = 0; i < 3; i++) {
      latest.write('')
      const version = await reader.run(read)
      t.true(Number(version) > before, String(version))
      before = Number(version)
      if (isWindows) continue
      process.kill(other.pid, 'SIGSTOP')
      t.is(typeof (await reader.run(read)), 'number')
      process.kill(other.pid, 'SIGCONT')
    }
    await other.kill()
    const version = latest.version
    t.is(await reader.run(read), version)
    t.true(latest.write('after'))
    t.is(await reader.run('latest.read().toString()'), 'after')
  })
}

test('there is no value before the first write, and the first may be empty', (t) => {
  const { map } = open(t)
  const latest = new Latest(map)
  t.is(latest.read(), undefined)
  t.is(latest.read(Buffer.alloc(8)), undefined)
  t.is(latest.version, 0)
  t.true(latest.write(''))
  t.deepEqual(latest.read(), Buffer.alloc(0))
  t.is(latest.read(Buffer.alloc(0)), 0)
  t.is(latest.version, 1)
  t.regex(String(latest), /^Latest \{ maxLength: \d+, version: 1 \}$/)
})

for (const shared of [false, true]) {
  test(`values of every length are read as they were written, on ${shared ? 'the shared' : 'the default'} backing`, (t) => {
    const map = mapShared(sparseFile(t, 65_536), {
      protection: 'read-write',
      backing: shared ? 'shared-array-buffer' : 'array-buffer',
    })
    t.teardown(() => map.close())
    const [short, long] = [new Latest(map, { length: 2048 }), new Latest(map, { offset: 4096 })]
    t.deepEqual([short.maxLength, long.maxLength], [640, 20_440])
    const target = new Uint16Array(512)
    for (let i = 0; i <= 640; i++) {
      const value = Buffer.alloc(i, i)
      t.true(short.write(value))
      t.true(value.equals(short.read()!))
      t.is(short.read(target), i)
      t.true(value.equals(Buffer.from(target.buffer).subarray(0, i)))
      t.true(long.write(Buffer.alloc(i * 31, i)))
      t.true(long.read()!.equals(Buffer.alloc(i * 31, i)))
    }
  })
}

test('a value that was read does not change when others are written', (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  const read: Buffer[] = []
  for (let i = 0; i < 100; i++) {
    latest.write(Buffer.of(i, i))
    read.push(latest.read()!)
  }
  t.deepEqual(
    read,
    Array.from({ length: 100 }, (_, i) => Buffer.of(i, i)),
  )
})

test('a value that is overwritten while it is copied is copied again', (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  latest.write(Buffer.alloc(10, 9))
  for (let i = 0; i < 100; i++) latest.read()
  const target = Buffer.alloc(10)
  let writes = 0
  // On x64, JavaScript copies the value itself, by this method.
  target.set = function (value, start = 0) {
    Uint8Array.prototype.set.call(this, Uint8Array.from(value).subarray(0, 5), start)
    while (writes < 3) latest.write(Buffer.alloc(10, ++writes))
    Uint8Array.prototype.set.call(this, Uint8Array.from(value).subarray(5), start + 5)
  }
  t.is(latest.read(target), 10)
  t.is(writes, process.arch === 'x64' ? 3 : 0)
  t.deepEqual(
    [...target],
    Array.from({ length: 10 }, () => writes || 9),
  )
})

test('a read-only mapping can read and wait, but not write', async (t) => {
  const { file, map } = open(t)
  const readOnly = mapShared(file)
  t.teardown(() => readOnly.close())
  const [reader, latest] = [new Latest(readOnly, place), new Latest(map, place)]
  t.is(reader.read(), undefined)
  const waiting = reader.waitAsync(0)
  latest.write('hello')
  t.true(await waiting)
  for (let i = 0; i < 100; i++) t.is(reader.read()!.toString(), 'hello')
  t.throws(() => reader.write('no'), { code: 'ERR_MMAP_NOT_WRITABLE' })
})

test('a wait ends with its timeout, by a signal, and when the mapping is closed', async (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  t.false(await latest.waitAsync(0, 5))
  t.false(latest.wait(0, 5))
  t.true(latest.wait(1))
  const controller = new AbortController()
  const [aborted, closed] = [latest.waitAsync(0, { signal: controller.signal }), latest.waitAsync(0)]
  await sleep(5)
  controller.abort()
  await t.throwsAsync(aborted, { name: 'AbortError' })
  map.close()
  await t.throwsAsync(closed, { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => latest.read(), { code: 'ERR_MMAP_CLOSED' })
  t.throws(() => latest.version, { code: 'ERR_MMAP_CLOSED' })
  t.regex(String(latest), /^Latest \{ maxLength: 200 \}$/)
})

test('a value that was read often is still read after a resize, and not after close', (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  latest.write('hello')
  for (let i = 0; i < 100; i++) t.is(latest.read()!.toString(), 'hello')
  map.resize(32_768)
  for (let i = 0; i < 100; i++) t.is(latest.read()!.toString(), 'hello')
  latest.write('again')
  t.is(latest.read()!.toString(), 'again')
  map.close()
  t.throws(() => latest.read(), { code: 'ERR_MMAP_CLOSED' })
})

test('memory that holds something else, or values of another length, is refused', (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  latest.write('hello')
  for (let i = 0; i < 100; i++) latest.read()
  t.throws(() => void new Latest(map, { ...place, length: 500 }), { code: 'ERR_MMAP_INVALID' })
  t.throws(() => void new Latest(map, { offset: 80 }), { code: 'ERR_MMAP_INVALID' })
  map.write(Buffer.alloc(8, 1), 64)
  t.throws(() => latest.read(), { code: 'ERR_MMAP_INVALID' })
  t.throws(() => latest.write(''), { code: 'ERR_MMAP_INVALID' })
  map.write(Buffer.alloc(64), 64)
  t.is(latest.read(), undefined)
})

test('errors name the argument that is wrong', (t) => {
  const { map } = open(t)
  const latest = new Latest(map, place)
  const any = latest as unknown as Record<string, (...args: unknown[]) => unknown>
  const make = (options: unknown) => new Latest(map, options as LatestOptions)
  latest.write(Buffer.alloc(10))
  for (const [run, code, message] of [
    [() => new Latest({} as typeof map), 'ERR_INVALID_ARG_TYPE', /map/],
    [() => make({ ofset: 1 }), 'ERR_INVALID_ARG_VALUE', /offset/],
    [() => make({ offset: -1 }), 'ERR_OUT_OF_RANGE', /offset/],
    [() => make({ length: 135 }), 'ERR_OUT_OF_RANGE', /length.*136/],
    [() => make({ length: 2 ** 20 }), 'ERR_OUT_OF_RANGE', /inside/],
    [() => make({ offset: 4 }), 'ERR_OUT_OF_RANGE', /multiple of/],
    [() => new Latest(mapAnonymous(4096)), 'ERR_MMAP_NOT_SHARED', /shared/],
    [() => any['write']!(5), 'ERR_INVALID_ARG_TYPE', /data/],
    [() => latest.write('x'.repeat(201)), 'ERR_OUT_OF_RANGE', /data.*200/],
    [() => any['write']!('x', 'y'), 'ERR_INVALID_ARG_TYPE', /timeout/],
    [() => any['read']!('x'), 'ERR_INVALID_ARG_TYPE', /target/],
    [() => latest.read(Buffer.alloc(9)), 'ERR_OUT_OF_RANGE', /target.*10/],
    [() => any['wait']!('x'), 'ERR_INVALID_ARG_TYPE', /version/],
    [() => latest.wait(1.5), 'ERR_OUT_OF_RANGE', /version/],
    [() => Latest.byteLengthFor(-1), 'ERR_OUT_OF_RANGE', /maxLength/],
  ] as const) {
    t.regex(t.throws(run, { code })!.message, message)
  }
})
