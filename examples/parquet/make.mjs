// Writes readings.parquet: 100,000 readings of 50 sensors, in groups of 10,000 rows.

import { writeFileSync } from 'node:fs'

import { parquetWriteBuffer } from 'hyparquet-writer'

const ROWS = 100_000
const rows = Array.from({ length: ROWS }, (_, row) => row)
const columnData = [
  { name: 'sensor', data: rows.map((row) => `sensor-${row % 50}`), type: 'STRING' },
  { name: 'second', data: rows, type: 'INT32' },
  { name: 'celsius', data: rows.map((row) => 20 + (row % 100) / 10), type: 'DOUBLE' },
]
writeFileSync('readings.parquet', Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 10_000 })))
console.log(`readings.parquet: ${ROWS} rows`)
