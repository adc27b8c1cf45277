// Memory stays valid for as long as anything can reach it, and not for long after that.

import { fixturePath } from './helpers/addon.ts'
import { onLinux as test } from './helpers/platform.ts'
import { runScript, type Runtime, runtimes } from './helpers/runtimes.ts'

const PRELUDE = `
import assert from 'node:assert'
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
const { mapShared, mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const collect = globalThis.Bun ? () => Bun.gc(true) : globalThis.gc
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const file = path.resolve('mapped-file')
const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n')
const ours = () => mapped().filter((line) => line.includes('mapped-file')).length
/** Whether the address, a bigint, is in any area of this process. */
const isMapped = (address) => mapped().some((line) => {
  const [start, end] = line.split(' ')[0].split('-').map((part) => BigInt('0x' + part))
  return start <= address && address < end
})
const descriptors = () => fs.readdirSync('/proc/self/fd').length
async function collectTimes(count) {
  for (let i = 0; i < count; i++) {
    collect?.()
    await sleep(5)
  }
}
async function settle(done) {
  for (const end = Date.now() + 120_000; !done() && Date.now() < end;) await collectTimes(1)
}
`

async function survives(t: import('ava').ExecutionContext, runtime: Runtime, script: string, timeoutMs = 500_000) {
  // What Deno leaves of each worker stays (see below).
  const workers = { node: '1000', deno: '40' }[runtime.name] ?? '100'
  const env = { FIXTURE: fixturePath(), WORKERS: workers }
  const { code, signal, stdout, stderr, timedOut } = await runScript(runtime, PRELUDE + script, { env, timeoutMs })
  t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, `${runtime.name}: ${stderr}`)
  t.regex(stdout, /end\n$/, `${runtime.name}: ${stdout}${stderr}`)
  return stdout
}

function onEach(name: string, script: string, timeoutMs?: number): void {
  for (const runtime of runtimes()) {
    test(`${name} (${runtime.name} ${runtime.version})`, (t) => survives(t, runtime, script, timeoutMs).then(() => {}))
  }
}

onEach(
  'a native thread reads and stores through a buffer that is closed meanwhile',
  `
  const { startReader, startWriter } = createRequire(import.meta.url)(process.env.FIXTURE)
  fs.writeFileSync(file, Buffer.alloc(2 ** 20, 7))
  const addresses = []
  const work = []
  const ended = []
  for (let i = 0; i < 20; i++) {
    const map = mapShared(file, { protection: 'read-write' })
    addresses.push(map.address)
    const index = work.push((i % 2 ? startReader : startWriter)(map.buffer, 1000)) - 1
    work[index].then(() => (ended[index] = true))
    map.close()
    fs.truncateSync(file, 0)
    fs.writeFileSync(file, Buffer.alloc(2 ** 20, 7))
  }
  assert.strictEqual(ours(), 0, 'the file is no longer mapped')
  collect()
  await sleep(50)
  // A thread that is done is told of on this thread: until then its addresses are in use.
  const inUse = addresses.filter((_, index) => !ended[index])
  assert.ok(inUse.every(isMapped), 'the addresses wait for the threads')
  // New mappings of the same size do not get them meanwhile.
  const others = Array.from({ length: 50 }, () => mapShared(file))
  assert.ok(others.every((map) => !inUse.includes(map.address)))
  assert.ok((await Promise.all(work)).every((passes) => passes > 0))
  others.forEach((map) => map.close())
  assert.ok(fs.readFileSync(file).every((byte) => byte === 7), 'no store after the close reached the file')
  await collectTimes(20)
  console.log('end')`,
)

onEach(
  'what was transferred away is readable after the mapping is closed',
  `
  const bytes = Buffer.alloc(8192, 7)
  fs.writeFileSync(file, bytes)
  const ways = {
    transfer: (ab) => ab.transfer?.(),
    transferToFixedLength: (ab) => ab.transferToFixedLength?.(),
    structuredClone: (ab) => structuredClone(ab, { transfer: [ab] }),
  }
  for (const [name, way] of Object.entries(ways)) {
    for (const when of ['before', 'after']) {
      const map = mapShared(file)
      const { address, arrayBuffer } = map
      if (when === 'after') map.close()
      let moved
      try {
        moved = way(arrayBuffer)
      } catch {}
      map.close()
      collect()
      await sleep(10)
      assert.strictEqual(ours(), 0, name)
      if (moved === undefined || moved.byteLength === 0) continue
      const view = new Uint8Array(moved)
      for (let i = 0; i < view.length; i += 512) assert.ok(view[i] === 0 || view[i] === 7, name)
      view[5] = 1
      assert.strictEqual(fs.readFileSync(file)[5], 7)
    }
  }
  console.log('end')`,
)

onEach(
  'a worker ends after it has sent its buffer away',
  `
  fs.writeFileSync(file, Buffer.alloc(65536, 7))
  const source = \`
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.root + 'index.js').then(({ mapShared }) => {
      const map = mapShared(workerData.file)
      let moved = map.arrayBuffer
      try {
        if (moved.transfer) moved = moved.transfer()
        if (workerData.close) map.close()
        parentPort.postMessage(moved, [moved])
      } catch {
        parentPort.postMessage(null)
      }
      if (workerData.exit) setTimeout(() => process.exit(0), 5)
      else setTimeout(() => {}, workerData.terminate ? 60000 : 5)
    })\`
  for (let i = 0; i < 24; i++) {
    const how = { close: i % 2 === 0, exit: i % 3 === 0, terminate: i % 3 === 1 }
    const worker = new Worker(source, { eval: true, workerData: { ...how, file, root: process.env.MEMORY_MAP_ROOT } })
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    const moved = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    if (how.terminate) await worker.terminate()
    else await ended
    collect()
    await sleep(5)
    if (moved === null || moved.byteLength === 0) continue
    const view = new Uint8Array(moved)
    for (let at = 0; at < view.length; at += 1024) assert.ok(view[at] === 0 || view[at] === 7)
    view[9] = 3
    assert.strictEqual(view[9], 3)
  }
  assert.strictEqual(fs.readFileSync(file)[9], 7)
  console.log('end')`,
)

onEach(
  'a worker ends after its buffer was transferred away and collected there',
  `
  fs.writeFileSync(file, Buffer.alloc(65536, 7))
  const source = \`
    const { workerData } = require('node:worker_threads')
    import(workerData.root + 'index.js').then(async ({ mapShared }) => {
      globalThis.map = mapShared(workerData.file)
      const { arrayBuffer } = map
      arrayBuffer.transfer?.()
      for (let i = 0; i < 5; i++) {
        globalThis.Bun ? Bun.gc(true) : globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })\`
  for (let i = 0; i < 4; i++) {
    const worker = new Worker(source, { eval: true, workerData: { file, root: process.env.MEMORY_MAP_ROOT } })
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  }
  await settle(() => ours() === 0)
  assert.strictEqual(ours(), 0)
  console.log('end')`,
)

onEach(
  'hundreds of workers end with open mappings, in every way, and leave nothing',
  `
  fs.writeFileSync(file, Buffer.alloc(65536, 7))
  const source = \`
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.root + 'index.js').then(({ mapShared, mapAnonymous }) => {
      const maps = Array.from({ length: 3 }, () => mapShared(workerData.file, { protection: 'read-write', onFault() {} }))
      const views = maps.map((map) => map.buffer)
      const memory = mapAnonymous(65536).buffer
      maps[1].protect('read')
      views[1][0] = 1
      parentPort.postMessage('ready')
      if (workerData.how === 0) process.exit(0)
      if (workerData.how === 1) for (let i = 0; ; i++) memory[i % 65536] = views[0][i % 65536]
      if (workerData.how === 2) setInterval(() => {}, 1000)
    })\`
  const count = Number(process.env.WORKERS)
  // Deno runs neither the finalizers nor the cleanup hooks of a worker: what it leaves open stays mapped.
  const settleWorkers = () => (globalThis.Deno ? collectTimes(200) : settle(() => ours() === 0))
  let baseline
  for (let i = 0; i < count; i++) {
    const how = i % 4
    const worker = new Worker(source, { eval: true, workerData: { how, file, root: process.env.MEMORY_MAP_ROOT } })
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    if (how === 1 || how === 2) await worker.terminate()
    else await ended
    if (i === 20) {
      await settleWorkers()
      baseline = { areas: mapped().length, descriptors: descriptors() }
    }
  }
  await settleWorkers()
  if (!globalThis.Deno) assert.strictEqual(ours(), 0, 'the file is no longer mapped')
  const slack = globalThis.Bun || globalThis.Deno ? 400 : 250
  assert.ok(mapped().length < baseline.areas + slack, mapped().length + ' areas after ' + baseline.areas)
  const leftOpen = globalThis.Deno ? 3 * count : 0
  assert.ok(descriptors() < baseline.descriptors + 20 + leftOpen, descriptors() + ' after ' + baseline.descriptors)
  assert.ok(fs.readFileSync(file).every((byte) => byte === 7))
  console.log('end')`,
)

onEach(
  'eight workers map one file and close at random',
  `
  fs.writeFileSync(file, Buffer.alloc(2 ** 18, 7))
  const source = \`
    const { workerData } = require('node:worker_threads')
    import(workerData.root + 'index.js').then(async ({ mapShared }) => {
      let state = workerData.seed
      const random = (n) => (state = (state * 1103515245 + 12345) % 2147483648) % n
      const open = []
      for (let i = 0; i < 400; i++) {
        if (open.length < 5) open.push(mapShared(workerData.file, { protection: 'read-write', onFault() {} }))
        const map = open[random(open.length)]
        if (map.buffer[random(map.length)] !== 7) throw new Error('wrong byte')
        map.buffer[random(map.length)] = 7
        if (random(3) === 0) open.splice(random(open.length), 1)[0].close()
        if (random(20) === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    })\`
  const codes = await Promise.all(Array.from({ length: 8 }, (_, seed) => new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, workerData: { seed, file, root: process.env.MEMORY_MAP_ROOT } })
    worker.once('exit', resolve).once('error', reject)
  })))
  assert.ok(codes.every((code) => code === 0))
  if (!globalThis.Deno) assert.strictEqual(ours(), 0)
  console.log('end')`,
)

onEach(
  'mappings that nobody closes are unmapped by the collector',
  `
  fs.writeFileSync(file, Buffer.alloc(65536, 7))
  for (let i = 0; i < 3000; i++) {
    const map = mapShared(file)
    if (i % 3 === 0) map.read(0, 8)
    if (i % 3 === 1) map.buffer[5]
    if (i % 3 === 2) map.view(1, 2)
    if (i % 100 === 0) await sleep(0)
  }
  await settle(() => ours() < 3)
  assert.ok(ours() < 3, ours() + ' are mapped still')
  console.log('end')`,
)

const CYCLES = `
  const [cycles, size, yields] = JSON.parse(process.env.CYCLES)
  fs.writeFileSync(file, '')
  fs.truncateSync(file, size)
  const before = { areas: mapped().length, rss: process.memoryUsage().rss, descriptors: descriptors() }
  let most = { areas: 0, rss: 0, descriptors: 0 }
  const sample = () => {
    most.areas = Math.max(most.areas, mapped().length)
    most.rss = Math.max(most.rss, process.memoryUsage().rss)
    most.descriptors = Math.max(most.descriptors, descriptors())
  }
  for (let i = 0; i < cycles; i++) {
    const map = mapShared(file)
    if (map.view(0, 16)[3] !== 0) throw new Error('wrong byte')
    map.close()
    if (i % Math.ceil(cycles / 50) === 0) sample()
    if (yields) await new Promise((resolve) => setImmediate(resolve))
  }
  sample()
  await settle(() => mapped().length < before.areas + 1000)
  await collectTimes(10)
  const after = { areas: mapped().length, rss: process.memoryUsage().rss, descriptors: descriptors() }
  const report = JSON.stringify({ before, most, after })
  assert.ok(most.areas < before.areas + 4000, report)
  assert.ok(most.descriptors < before.descriptors + 10, report)
  // The runtime remembers each freed ArrayBuffer, with about 0.8 KB, until the loop yields.
  assert.ok(most.rss < before.rss + 400e6 + cycles * 2000, report)
  assert.ok(after.areas < before.areas + 1000, report)
  assert.ok(after.descriptors < before.descriptors + 10, report)
  assert.ok(after.rss < before.rss + 300e6, report)
  console.log('end')`

/** Cycles of mapping, viewing and closing, in a loop that yields or does not. */
function cyclesOn(runtime: Runtime, cycles: number, size: number, yields: boolean): void {
  const loop = yields ? 'an asynchronous' : 'a synchronous'
  const name = `${cycles} times mapped, viewed and closed in ${loop} loop, ${size} bytes`
  test.serial(`${name} (${runtime.name} ${runtime.version})`, async (t) => {
    const env = { CYCLES: JSON.stringify([cycles, size, yields]) }
    const { code, signal, stderr, timedOut } = await runScript(runtime, PRELUDE + CYCLES, { env, timeoutMs: 500_000 })
    t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, stderr)
  })
}

for (const [index, runtime] of runtimes().entries()) {
  cyclesOn(runtime, index === 0 ? 1_000_000 : 50_000, 4096, false)
  cyclesOn(runtime, index === 0 ? 100_000 : 10_000, 4096, true)
  cyclesOn(runtime, index === 0 ? 3000 : 500, 2 ** 32 - 4096, false)
}
