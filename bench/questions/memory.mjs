// How much memory do several processes take that use one file?

import { fork } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { GIB, MIB, sparse } from '../harness/files.mjs'
import { load } from '../peers/index.mjs'

const PROCESSES = 4
const self = fileURLToPath(import.meta.url)

const opens = {
  'memory-map': async (file) => (await load('memory-map'))(file).buffer,
  'memory-map, mapPrivate': async (file) => (await import('../../index.js')).mapPrivate(file).buffer,
  'koffi (FFI)': async (file) => (await load('koffi'))(file).buffer,
  'fs.readFileSync': (file) => fs.readFileSync(file),
  nothing: () => Buffer.alloc(0),
}

/** MiB that a process has: its own, and its part of what it shares with others. */
function proportional(pid) {
  const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)[1]) / 1024
}

if (process.send && process.argv[2] in opens) {
  const buffer = await opens[process.argv[2]](process.argv[3])
  let total = 0
  for (let at = 0; at < buffer.length; at += 4096) total += buffer[at]
  process.send(total)
  process.on('message', () => process.exit(buffer.length < 0 ? 1 : 0)) // its pages stay until then
}

const way = (name) => ({
  run: async ({ file }) => {
    const children = Array.from({ length: PROCESSES }, () => fork(self, [name, file]))
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('message', resolve))))
    const found = children.reduce((sum, { pid }) => sum + proportional(pid), 0)
    for (const child of children) child.send('end')
    return [found]
  },
})

export const question = {
  title: `${PROCESSES} processes over one file of 1 GiB: memory`,
  about:
    'Every process touches each page. Pss, from `/proc/PID/smaps_rollup`: memory of its own and its share of pages ' +
    'that several have, added up; the last row is what Node takes by itself.',
  tables: { time: { title: 'Pss of all', unit: 'MiB' } },
  rounds: 1,
  cases: (quick) => [{ name: 'all', file: sparse(quick ? 16 * MIB : GIB) }],
  ways: Object.fromEntries(Object.keys(opens).map((name) => [name, way(name)])),
  plot: { kind: 'bars', table: 'time', ways: Object.keys(opens).filter((name) => name !== 'nothing') },
  targets: (value) => [
    { what: 'against readFileSync', value: value('memory-map', 'all') / value('fs.readFileSync', 'all'), atMost: 0.35 },
  ],
}
