// The thread pool loads from truncated files, many times at once.

import assert from 'node:assert'
import crypto from 'node:crypto'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { promisify } from 'node:util'
import zlib from 'node:zlib'

import { mapShared, pageSize } from '../../index.js'
import { makeFile, until } from '../helpers/scenario.mjs'

const [gzip, gunzip, pbkdf2, scrypt] = [zlib.gzip, zlib.gunzip, crypto.pbkdf2, crypto.scrypt].map(promisify)
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')

const size = 64 * pageSize
const path = makeFile(Buffer.alloc(size, 7))
let told = 0
const maps = Array.from({ length: 4 }, (_, i) => mapShared(path, { offset: i, onFault: () => told++ }))
const faults = () => maps.reduce((sum, map) => sum + map.faults, 0)

for (let round = 0; round < 12; round++) {
  const end = (round % 5) * 8 * pageSize
  fs.truncateSync(path, end)
  const jobs = maps.flatMap(({ buffer }, i) => {
    const expected = Buffer.alloc(size - i).fill(7, 0, Math.max(0, end - i))
    // A key ends where the file does: in good pages, in bad ones, or both.
    const part = [Math.max(0, end - i - 40), end - i + 40]
    const [key, expectedKey] = [buffer.subarray(...part), expected.subarray(...part)]
    return [
      gzip(buffer)
        .then(gunzip)
        .then((bytes) => assert.strictEqual(hash(bytes), hash(expected))),
      pbkdf2(key, key, 100, 32, 'sha256').then(async (bytes) =>
        assert.ok(bytes.equals(crypto.pbkdf2Sync(expectedKey, expectedKey, 100, 32, 'sha256'))),
      ),
      scrypt(key, key, 32, { N: 16 }).then((bytes) =>
        assert.ok(bytes.equals(crypto.scryptSync(expectedKey, expectedKey, 32, { N: 16 }))),
      ),
      crypto.subtle
        .digest('SHA-256', buffer)
        .then((bytes) => assert.strictEqual(Buffer.from(bytes).toString('hex'), hash(expected))),
    ]
  })
  await Promise.all(jobs)
  await until(() => told === faults())
  fs.truncateSync(path, size)
  fs.writeFileSync(path, Buffer.alloc(size, 7), { flag: 'r+' })
  for (const [i, { buffer }] of maps.entries()) assert.ok(buffer.equals(Buffer.alloc(size - i, 7)))
}
assert.ok(faults() >= 48)
console.log('end')
