// Thousands of mappings that are used and closed leave nothing behind.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapAnonymous, mapPrivate, mapShared, pageSize } from '../../index.js'
import { turn } from '../helpers/observe.mjs'
import { MiB, here, path, large, leavesNothing } from './leaks.mjs'

const onFault = () => {}
const rw = /** @type {const} */ ({ protection: 'read-write', onFault })
const makers = [
  () => mapShared(large, rw),
  () => mapShared(path, { ...rw, offset: pageSize + 5 }),
  () => mapShared(path, { guard: false }),
  () => mapShared(Buffer.from(path), { populate: true }),
  () => mapShared(large, { ...rw, backing: 'shared-array-buffer' }),
  () => mapPrivate(large, { onFault }),
  () => mapPrivate(path, { protection: 'read', onFault }),
  () => mapAnonymous(16 * MiB, { reserve: false, onFault }),
  () => mapAnonymous(16 * MiB, { shared: true, reserve: false, onFault }),
  () => mapAnonymous(16 * MiB, { hugePages: 'transparent', reserve: false, onFault }),
  () => mapShared(join(here, 'empty'), { ...rw, create: true, length: 0 }),
  () => mapShared(join(here, 'new'), { ...rw, create: true, allocate: true, length: 5000 }),
]
const uses = [
  () => {},
  (map) => map.buffer,
  (map) => {
    map.view(0, 1)
    map.typedArray(Uint8Array, 1)
    map.dataView()
  },
  (map) => {
    map.read(0, 10)
    map.indexOf('x')
  },
  (map) => {
    if (map.protection === 'read-write') map.write(Buffer.of(1, 2), 3)
  },
  (map) => {
    if (map.kind === 'shared') map.syncSync()
  },
  (map) => map.kind === 'shared' && map.sync(),
  (map) => {
    map.protect('none')
    map.protect('read')
  },
  // A fault and its healing. Where nothing guards the mapping there is none.
  (map) => {
    if (map.length > 0 && map.protection === 'read-write') {
      map.protect('read')
      map.buffer[0] = 1
    }
  },
  (map) => {
    if (map.kind === 'anonymous') map.resize(8 * MiB)
    map.view(0, 0)
  },
]
await leavesNothing(
  'mapping, using and closing',
  async (i) => {
    for (const make of makers) {
      const map = make()
      if (map.length > 0) await uses[i % uses.length](map)
      if (i % 2 === 0) map.close()
      else map[Symbol.dispose]()
      fs.rmSync(join(here, 'new'), { force: true })
    }
    if (i % 20 === 0) await turn()
  },
  100,
)
console.log('reached the end')
