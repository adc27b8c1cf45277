// What does the guard cost, which keeps faults from ending the process?

import { GIB, KIB, MIB, numbers, sparse } from '../harness/files.mjs'
import { open } from './open.mjs'
import { ours as random } from './random.mjs'
import { ours as sum } from './sum.mjs'

/** Runs the way of another question that the case is about, and takes one table of it. */
const way = (guard) => ({
  run: async (context) => {
    const { run, table } = {
      open: { ...open(guard), table: 'time' },
      sum: { ...sum({ guard }), table: 'again' },
      random: { ...random({ guard }), table: 'again' },
    }[context.what]
    return (await run(context))[table]
  },
})

const cases = (quick) => [
  { name: 'map, read 8 bytes, close, µs', what: 'open', heap: 0, file: sparse(4 * KIB) },
  ...['u8', 'f64'].map((type) => ({
    name: `sum of 1 GiB, ${type}, ms`,
    what: 'sum',
    type,
    file: numbers(quick ? 16 * MIB : GIB),
    warm: numbers(2 * MIB),
  })),
  { name: 'random loads over 1 GiB, ns each', what: 'random', file: sparse(quick ? 16 * MIB : GIB), warm: sparse(MIB) },
]

export const question = {
  title: 'The guard, on and off',
  about: 'Three of the questions above, with `guard: true`, which is the default, and with `guard: false`.',
  rounds: 3,
  tables: { time: { title: 'Time', unit: 'as each column says' } },
  cases,
  ways: { 'memory-map, guard': way(true), 'memory-map, no guard': way(false) },
  targets: (value) =>
    cases().map(({ name, what }) => ({
      what: name.replace(/,[^,]*$/, ''),
      value: value('memory-map, guard', name) / value('memory-map, no guard', name),
      atMost: what === 'open' ? 1.25 : 1.05,
    })),
}
