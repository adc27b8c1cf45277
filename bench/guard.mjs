// What the guard costs: nothing in a loop over mapped memory, next to nothing from map to close.
//
//   npm run build && node bench/guard.mjs
//
// Both sides of each ratio run in turn in one process of their own, because a loop that has seen one
// kind of memory is compiled for it. Ratios are medians of the pairs; the machine may be noisy.

import { fork } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { mapAnonymous, mapShared } from 'memory-map'

const MIB = 2 ** 20

/** Sums 64 MiB, several times, after warm-up; milliseconds of each round. */
function loop(array) {
  const rounds = []
  let sum = 0
  for (let round = 0; round < 25; round++) {
    const start = performance.now()
    for (let i = 0; i < array.length; i++) sum += array[i]
    rounds.push(performance.now() - start)
  }
  if (Number.isNaN(sum)) throw new Error('unreachable')
  return rounds.slice(5)
}

/** Maps, reads and closes a file many times, `guard` and not in turn; microseconds of each batch. */
function mapAndClose(file) {
  const times = { guarded: [], bare: [] }
  for (let round = 0; round < 60; round++) {
    for (const [name, guard] of round % 2
      ? [
          ['bare', false],
          ['guarded', true],
        ]
      : [
          ['guarded', true],
          ['bare', false],
        ]) {
      const start = performance.now()
      for (let i = 0; i < 500; i++) {
        const map = mapShared(file, { guard })
        map.read(0, 8)
        map.close()
      }
      times[name].push(((performance.now() - start) * 1000) / 500)
    }
  }
  return { guarded: times.guarded.slice(10), bare: times.bare.slice(10) }
}

const jobs = {
  'heap u8': () => loop(new Uint8Array(64 * MIB).fill(1)),
  'mapped u8': () =>
    loop(
      mapAnonymous(64 * MIB)
        .typedArray(Uint8Array)
        .fill(1),
    ),
  'heap f64': () => loop(new Float64Array(8 * MIB).fill(1)),
  'mapped f64': () =>
    loop(
      mapAnonymous(64 * MIB)
        .typedArray(Float64Array)
        .fill(1),
    ),
  cycles: () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-map-'))
    const file = path.join(folder, 'file')
    fs.writeFileSync(file, Buffer.alloc(4096, 1))
    try {
      return mapAndClose(file)
    } finally {
      fs.rmSync(folder, { recursive: true })
    }
  },
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

async function inChild(job) {
  const child = fork(import.meta.filename, [job])
  return new Promise((resolve, reject) => child.once('message', resolve).once('error', reject))
}

if (process.argv[2]) {
  process.send(jobs[process.argv[2]](), () => process.disconnect())
} else {
  console.log(`Node ${process.version}, ${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores`)
  for (const type of ['u8', 'f64']) {
    const ratios = []
    for (let pair = 0; pair < 5; pair++) {
      const [heap, mapped] = [median(await inChild(`heap ${type}`)), median(await inChild(`mapped ${type}`))]
      ratios.push(heap / mapped)
    }
    console.log(`loop over ${type}: mapped and guarded runs at ${median(ratios).toFixed(2)} of the heap's speed`)
  }
  const { guarded, bare } = await inChild('cycles')
  const ratio = median(guarded.map((time, i) => time / bare[i]))
  console.log(
    `map, read 8 bytes, close: ${ratio.toFixed(2)} times as long with the guard (${median(guarded).toFixed(1)} µs)`,
  )
}
