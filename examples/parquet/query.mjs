// Reads one column of some rows of a Parquet file, and counts how many bytes of the file that took.

import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { mapShared } from 'memory-map'

const [path, start, end] = process.argv.slice(2)
const map = mapShared(path)
try {
  let read = 0
  const file = {
    byteLength: map.length,
    slice(from, to = map.length) {
      read += to - from
      // A copy, which hyparquet takes apart: of what it needs, and safe if the file changes.
      const bytes = map.read(from, to - from)
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    },
  }
  const footer = map.dataView(map.length - 8, 4).getUint32(0, true) + 8
  const metadata = parquetMetadata(file.slice(map.length - footer))
  const options = { file, metadata, columns: ['celsius'], rowStart: Number(start), rowEnd: Number(end) }
  const rows = await parquetReadObjects(options)
  const mean = rows.reduce((sum, { celsius }) => sum + celsius, 0) / rows.length
  console.log(`${rows.length} of ${metadata.num_rows} rows, mean ${mean.toFixed(2)} °C`)
  console.log(`read ${read} of ${map.length} bytes`)
} finally {
  map.close()
}
