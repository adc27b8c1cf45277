// The demo's second process: maps what the first has mapped, and counts when it is told to.

import { mapShared } from 'memory-map'

import { countBytes, sum } from './count.mjs'

const [programPath, tablePath] = process.argv.slice(2)
const program = mapShared(programPath)
const table = mapShared(tablePath, { protection: 'read-write' })
const counters = table.typedArray(Uint32Array)

process.on('message', ({ start, end }) => {
  const seen = sum(counters)
  countBytes(counters, program.buffer, start, end)
  process.send({ seen })
})

process.on('disconnect', () => {
  table.close()
  program.close()
})
