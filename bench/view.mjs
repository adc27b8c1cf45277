// What a view costs, against Buffer.from(arrayBuffer, offset, length) on an ArrayBuffer that exists.
//
//   npm run build && node bench/view.mjs
//
// Both run in turn in this process. Where the runtime's largest Buffer is smaller than the mapping, views are cut
// from windows of it, which the first view in each makes: that is not measured here, but told. Ratios are medians
// over rounds, after warm-up; bigint offsets are compared with Buffer.from(arrayBuffer, Number(offset), length).

import { constants } from 'node:buffer'
import os from 'node:os'

import { mapAnonymous } from 'memory-map'

const MIB = 2 ** 20
const GIB = 2 ** 30
const TIB = 2 ** 40
const CALLS = 65_536
const LENGTH = 4096
const ROUNDS = 60
const WARM_UP = 15

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** Numbers from 0 to before 1, the same in each run. */
function random() {
  let state = 1
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

let checksum = 0

/** Nanoseconds of one call. */
function time(run) {
  const start = performance.now()
  run()
  return ((performance.now() - start) * 1e6) / CALLS
}

/** Runs both in turn, and prints what they cost. */
function compare(name, from, view) {
  const times = { from: [], view: [] }
  for (let round = 0; round < ROUNDS; round++) {
    const pair = [() => times.from.push(time(from)), () => times.view.push(time(view))]
    for (const run of round % 2 ? pair.reverse() : pair) run()
  }
  const [a, b] = [times.from.slice(WARM_UP), times.view.slice(WARM_UP)]
  const ratio = median(b.map((value, i) => value / a[i]))
  console.log(
    `${name.padEnd(34)} ${ratio.toFixed(2)} times Buffer.from (${median(b).toFixed(0)} ns to ${median(a).toFixed(0)} ns)`,
  )
}

function measure(name, size) {
  const map = mapAnonymous(size, { reserve: false })
  const start = performance.now()
  const windows = new Set()
  for (let offset = 0; offset < size; offset += GIB) windows.add(map.view(offset, 1).buffer)
  const took = performance.now() - start
  console.log(`${name}: ${windows.size} ArrayBuffer(s), made in ${took.toFixed(0)} ms`)

  const next = random()
  const offsets = {
    sequential: Array.from({ length: CALLS }, (_, i) => Math.floor((i * (size - LENGTH)) / CALLS)),
    random: Array.from({ length: CALLS }, () => Math.floor(next() * (size - LENGTH))),
  }
  const [buffer] = windows
  for (const [order, numbers] of Object.entries(offsets)) {
    const bigints = numbers.map(BigInt)
    const inside = numbers.map((offset) => offset % (buffer.byteLength - LENGTH))
    const insideAsBigints = inside.map(BigInt)
    compare(
      `  ${order}, numbers`,
      () => {
        for (let i = 0; i < CALLS; i++) checksum += Buffer.from(buffer, inside[i], LENGTH).length
      },
      () => {
        for (let i = 0; i < CALLS; i++) checksum += map.view(numbers[i], LENGTH).length
      },
    )
    compare(
      `  ${order}, bigints`,
      () => {
        for (let i = 0; i < CALLS; i++) checksum += Buffer.from(buffer, Number(insideAsBigints[i]), LENGTH).length
      },
      () => {
        for (let i = 0; i < CALLS; i++) checksum += map.view(bigints[i], LENGTH).length
      },
    )
  }
  map.close()
}

const { bun, deno, node } = process.versions
const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`
console.log(`${runtime}, ${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores`)
console.log(`The largest Buffer has ${constants.MAX_LENGTH} bytes`)
measure('64 MiB', 64 * MIB)
measure('1 TiB', TIB)
if (checksum === 0) throw new Error('unreachable')
