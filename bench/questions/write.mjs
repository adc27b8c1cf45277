// What does it cost to write a file of 1 GiB and have it on the disk, and does the event loop wait?

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

import { folder, GIB, MIB } from '../harness/files.mjs'

/** Milliseconds to store and to sync, and what the event loop waited meanwhile. */
const ways = (open, store, sync, close) => ({
  run: async ({ target, mebibytes }) => {
    fs.rmSync(target, { force: true })
    execFileSync('sync') // who stores while the disk is busy with what others stored is made to wait
    const size = mebibytes * MIB
    const start = performance.now()
    const file = await open(target, size)
    store(file, size)
    const stored = performance.now()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    await new Promise((resolve) => setTimeout(resolve, 20))
    delay.reset() // after which it takes a while until it knows when it looked last
    await new Promise((resolve) => setTimeout(resolve, 20))
    const begin = performance.now()
    await sync(file)
    const synced = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 5)) // a delay is noted when it is over
    delay.disable()
    close(file)
    fs.rmSync(target)
    return {
      store: [stored - start],
      sync: [synced - begin],
      p99: [delay.percentile(99) / 1e6],
      max: [delay.max / 1e6],
    }
  },
})

const block = () => Buffer.alloc(MIB, 7)

const ours = (sync, options) =>
  ways(
    async (target, length) => {
      const { mapShared } = await import('../../index.js')
      return mapShared(target, { protection: 'read-write', create: true, length, ...options })
    },
    (map) => map.buffer.fill(7),
    sync,
    (map) => map.close(),
  )

const byDescriptor = (sync) =>
  ways(
    (target) => fs.openSync(target, 'w'),
    (fd, size) => {
      const bytes = block()
      for (let at = 0; at < size; at += MIB) fs.writeSync(fd, bytes)
    },
    sync,
    fs.closeSync,
  )

const fsync = (fd) => new Promise((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve())))

export const question = {
  title: 'Write 1 GiB, and sync it',
  about:
    'A new file is filled and made durable; nearly all of it is the time of the disk. The last tables say how long ' +
    'the event loop waits while it is made durable: `monitorEventLoopDelay` with a resolution of 1 ms.',
  rounds: 5,
  tables: {
    store: { title: 'To fill the file', unit: 'ms' },
    sync: { title: 'To make it durable', unit: 'ms' },
    p99: { title: 'Event-loop delay meanwhile, 99th percentile', unit: 'ms' },
    max: { title: 'Event-loop delay meanwhile, longest', unit: 'ms' },
  },
  cases: (quick) => {
    const mebibytes = quick ? 8 : GIB / MIB
    return [{ name: '1 GiB', mebibytes, target: `${folder}/written` }]
  },
  ways: {
    'C, mmap(2), memset, msync': {
      program: 'c',
      args: ({ target, mebibytes }) => ['write', target, mebibytes],
    },
    'memory-map, fill, sync': ours((map) => map.sync()),
    'memory-map, fill, syncSync': ours((map) => map.syncSync()),
    'memory-map with allocate, fill, sync': ours((map) => map.sync(), { allocate: true }),
    'fs.writeSync, fsync': byDescriptor(fsync),
    'fs.writeSync, fsyncSync': byDescriptor(fs.fsyncSync),
  },
  plot: { kind: 'bars', table: 'sync' },
  targets: (value) => {
    const both = (way) => value(way, '1 GiB', 'store') + value(way, '1 GiB', 'sync')
    const waits = (way) => value(way, '1 GiB', 'max')
    return [
      {
        what: 'fill and sync, against writeSync and fsync',
        value: both('memory-map, fill, sync') / both('fs.writeSync, fsync'),
        atMost: 1.1,
      },
      {
        what: 'longest delay during sync(), against syncSync()',
        value: waits('memory-map, fill, sync') / waits('memory-map, fill, syncSync'),
        atMost: 0.05,
      },
    ]
  },
}
