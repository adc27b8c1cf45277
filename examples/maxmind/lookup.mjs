// Says which country an address is in. The database is mapped: all processes that do the same have one copy of it.

import { Reader } from 'maxmind'
import { mapShared } from 'memory-map'

const [file, ...addresses] = process.argv.slice(2)
const map = mapShared(file, { advice: 'random' })
try {
  const reader = new Reader(map.buffer)
  for (const address of addresses) {
    console.log(`${address} ${reader.get(address)?.country.names.en ?? 'unknown'}`)
  }
} finally {
  map.close()
}
