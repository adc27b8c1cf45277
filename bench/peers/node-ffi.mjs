// mmap(2), called through node:ffi: Node 26 with --experimental-ffi.

import fs from 'node:fs'
import ffi from 'node:ffi'

const { functions } = ffi.dlopen('libc.so.6', {
  mmap: { arguments: ['pointer', 'uint64', 'int32', 'int32', 'int32', 'int64'], return: 'pointer' },
  munmap: { arguments: ['pointer', 'uint64'], return: 'int32' },
})

const [PROT_READ, MAP_SHARED, MAP_FAILED] = [1, 1, 2n ** 64n - 1n]

export function map(file) {
  const fd = fs.openSync(file)
  const length = fs.fstatSync(fd).size
  const address = functions.mmap(0n, BigInt(length), PROT_READ, MAP_SHARED, fd, 0n)
  fs.closeSync(fd)
  if (address === MAP_FAILED) throw new Error('mmap failed')
  return {
    buffer: Buffer.from(ffi.toArrayBuffer(address, length, false)),
    close: () => functions.munmap(address, BigInt(length)),
  }
}
