// read() and write() throw their own faults without the guard as well.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const path = makeFile(Buffer.alloc(4 * pageSize, 7))
let told = 0
const map = mapShared(path, { protection: 'read-write', guard: false, onFault: () => told++ })
fs.truncateSync(path, pageSize)
assert.throws(() => map.read(), { code: 'ERR_MMAP_FAULT' })
assert.throws(() => map.write(Buffer.alloc(10), 2 * pageSize), { code: 'ERR_MMAP_FAULT' })
assert.strictEqual(map.read(0, 1)[0], 7)
await until(() => told === 2)
console.log('end')
