// What do stray stores cost, and how many of them are rolled back?

import { GIB, MIB } from '../harness/files.mjs'
import { generator } from '../harness/statistics.mjs'

async function stray({ length, stores, touched }) {
  const { mapAnonymous } = await import('../../index.js')
  let [told, contained] = [0, 0]
  const map = mapAnonymous(length, {
    reserve: false,
    onFault: (fault) => {
      told++
      if (fault.contained) contained++
    },
  })
  if (touched) for (let at = 0; at < length; at += MIB) map.view(at, Math.min(MIB, length - at)).fill(1)
  map.protect('read')
  const next = generator()
  const start = performance.now()
  for (let i = 0; i < stores; i++) map.view(Math.floor((next() / 2 ** 32) * length), 1)[0] = 1
  const stored = performance.now()
  while (told < map.faults) await new Promise((resolve) => setImmediate(resolve))
  const end = performance.now()
  return {
    store: [((stored - start) * 1000) / stores],
    heal: [((end - stored) * 1000) / stores],
    rolledBack: [(contained / told) * 100],
  }
}

const [few, many, held] = ['5,000 over 1.2 GiB', '20,000 over 8 GiB', '1,000 over 256 MiB that hold something']

export const question = {
  title: 'Stray stores to private memory that was writable',
  about: 'At random places of memory that was made read-only: never touched, but where it says so.',
  tables: {
    store: { title: 'For each store, until it is made', unit: 'µs' },
    heal: { title: 'For each store, until its page is as it was and `onFault` was called', unit: 'µs' },
    rolledBack: { title: 'Faults that were rolled back', unit: '%' },
  },
  cases: (quick) => [
    { name: few, length: 1200 * MIB, stores: quick ? 500 : 5000 },
    { name: many, length: 8 * GIB, stores: quick ? 500 : 20_000 },
    { name: held, length: 256 * MIB, stores: quick ? 100 : 1000, touched: true },
  ],
  ways: { 'memory-map': { run: stray } },
  targets: (value) =>
    [few, many, held].map((name) => ({
      what: `${name}: rolled back, %`,
      value: value('memory-map', name, 'rolledBack'),
      atLeast: 100,
    })),
}
