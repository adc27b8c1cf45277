// Adds up a column of an Arrow file. The columns are not copied: they are the pages of the file.

import { tableFromIPC } from 'apache-arrow'
import { mapShared } from 'memory-map'

const map = mapShared(process.argv[2])
try {
  const table = tableFromIPC(map.buffer)
  let sum = 0
  let inFile = true
  for (const { values } of table.getChild('fare').data) {
    inFile &&= values.buffer === map.arrayBuffer
    for (const fare of values) sum += fare
  }
  console.log(`columns: ${table.schema.names.join(', ')}`)
  console.log(`${table.numRows} rows, mean fare ${(sum / table.numRows).toFixed(2)}`)
  console.log(`the column lies ${inFile ? 'in the mapped file' : 'in a copy'}`)
} finally {
  map.close() // the table is empty from now on
}
