// Takes a name and gives it back, again and again, beside others that do the same or are killed meanwhile. For as long
// as it has the memory, the name must lead to it.

import { statSync } from 'node:fs'

import { listSharedMemory, openSharedMemory } from '../../index.js'

const name = process.argv[2]
const path = `/dev/shm/${name}`
/** Again, where another process does not get on in the second that this one waits for it. */
function take() {
  for (;;) {
    try {
      return openSharedMemory(name, { create: true, temporary: true, length: 4096 })
    } catch (error) {
      if (error.code !== 'ERR_MMAP_BUSY') throw error
    }
  }
}
console.log('ready')
for (let round = 0; round < 1500; round++) {
  const map = take()
  const own = statSync(`/proc/self/fd/${map.fd}`).ino
  for (let look = 0; look < 3; look++) {
    const there = statSync(path, { throwIfNoEntry: false })?.ino
    if (there !== own) throw new Error(`round ${round}: the name leads to ${there}, not to ${own}`)
  }
  map.close()
  if (round % 100 === 0) listSharedMemory()
}
console.log('done')
