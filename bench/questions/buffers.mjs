// What do Buffers over memory that others can change cost, against ordinary ones?

import fs from 'node:fs'

import { KIB, MIB, text } from '../harness/files.mjs'
import { sum } from '../harness/loops.mjs'

const VIEW = 4096
const BATCH = 10_000

/** A function of its own for each kind of memory: one that has seen two kinds is compiled for both. */
let made = 0
const fresh = (run) => new Function(`/* ${made++} */ return ${run}`)()

/** Milliseconds of `count` calls. */
function time(run, count) {
  const start = performance.now()
  for (let i = 0; i < count; i++) run()
  return performance.now() - start
}

/** How many times as long `run` takes as `other`, again and again: each after the other, as noise comes in waves. */
function ratios(run, other, { quick }) {
  let count = 1
  while (time(run, count) + time(other, count) < (quick ? 5 : 20)) count *= 2
  const found = []
  for (let i = 0; i < (quick ? 15 : 30); i++) {
    const [first, second] = i % 2 === 0 ? [run, other] : [other, run]
    const times = new Map([first, second].map((one) => [one, time(one, count)]))
    found.push(times.get(run) / times.get(other))
  }
  return found
}

const tasks = {
  loop({ size }, shared, copy) {
    const [ours, theirs] = [fresh(sum), fresh(sum)]
    const [changing, ordinary] = [shared.view(0, size), copy.view(0, size)]
    return [() => ours(changing), () => theirs(ordinary)]
  },
  view({ file }, shared, copy) {
    const last = fs.statSync(file).size - VIEW
    const cut = (map, offset, length) => map.view(offset, length).length
    const all = (one) => () => {
      for (let i = 0; i < BATCH; i++) one((i * 7919) % last)
    }
    const [ours, theirs] = [fresh(cut), fresh(cut)]
    return [all((offset) => ours(shared, offset, VIEW)), all((offset) => theirs(copy, offset, VIEW))]
  },
  text({ size }, shared) {
    const view = shared.view(0, size)
    return [() => view.toString(), () => Buffer.from(view).toString()]
  },
  lines({ size }, shared, copy) {
    const walk = (lines) => {
      let length = 0
      for (const line of lines) length += line.toString().length
      return length
    }
    const [ours, theirs] = [fresh(walk), fresh(walk)]
    return [() => ours(shared.lines({ length: size, encoding: 'utf8' })), () => theirs(copy.lines({ length: size }))]
  },
}

const ours = (program = 'node') => ({
  program,
  run: async (context) => {
    const { mapAnonymous, mapShared } = await import('../../index.js')
    const shared = mapShared(context.file)
    const copy = mapAnonymous(shared.length)
    copy.write(shared.buffer)
    const [run, other] = tasks[context.task](context, shared, copy)
    return ratios(run, other, context)
  },
})

const cases = [
  { name: 'loop over 1 MiB', task: 'loop', size: MIB },
  { name: 'view of 4 KiB', task: 'view', size: VIEW },
  { name: 'toString of 20 bytes', task: 'text', size: 20 },
  { name: 'toString of 1 KiB', task: 'text', size: KIB },
  { name: 'toString of 64 KiB', task: 'text', size: 64 * KIB },
  { name: 'toString of 1 MiB', task: 'text', size: MIB },
  { name: 'lines as strings', task: 'lines', size: MIB },
]
/** Of text: no more, but for what one run differs from the next. */
const most = { loop: 1.1, view: 1.2, text: 1.05, lines: 1.05 }

const ways = {
  'memory-map': ours(),
  'memory-map on Node 26': ours('node26'),
  'memory-map on Bun': ours('bun'),
  'memory-map on Deno': ours('deno'),
}

export const question = {
  title: 'Buffers that decode copies',
  about:
    'Buffers over memory that other processes can change have a class of their own, which decodes copies. How many ' +
    'times as long each takes as the same with an ordinary Buffer, in the same process, one after the other: a loop, ' +
    '`view()` of a private mapping, `Buffer.from(view).toString()`, and `line.toString()` of ordinary lines.',
  tables: { time: { title: 'Time', unit: 'times that of an ordinary Buffer' } },
  cases: () => cases.map((one) => ({ ...one, file: text(4 * MIB) })),
  ways,
  targets: (value) =>
    Object.keys(ways).flatMap((way) =>
      cases.map(({ name, task }) => ({ what: `${way}: ${name}`, value: value(way, name), atMost: most[task] })),
    ),
}
