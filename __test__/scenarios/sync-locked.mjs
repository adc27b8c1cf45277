// MS_INVALIDATE of locked pages is EBUSY (msync(2)). This shows that the flag arrives, and how an error of the system looks.
// Only runtimes that can call the C library can lock pages without help.

import fs from 'node:fs'

import { mapShared, pageSize } from '../../index.js'

fs.writeFileSync('file', Buffer.alloc(2 * pageSize))
const map = mapShared('file', { protection: 'read-write' })
let mlock
if (globalThis.Bun) {
  const { dlopen } = await import('bun:ffi')
  mlock = dlopen('libc.so.6', { mlock: { args: ['u64', 'u64'], returns: 'int' } }).symbols.mlock
} else {
  mlock = Deno.dlopen('libc.so.6', { mlock: { parameters: ['u64', 'u64'], result: 'i32' } }).symbols.mlock
}
const facts = ({ name, code, errno, syscall, path }) => ({ name, code, errno, syscall, path })
console.log('mlock', mlock(map.address, BigInt(pageSize)))
map.syncSync()
await map.sync()
map.syncSync({ invalidate: true, offset: pageSize })
await map.sync({ invalidate: true, offset: pageSize })
try {
  map.syncSync({ invalidate: true })
} catch (error) {
  console.log('syncSync', JSON.stringify(facts(error)))
}
await map.sync({ invalidate: true }).catch((error) => console.log('sync', JSON.stringify(facts(error))))
