// mmap(2), called through Deno's foreign function interface.

import fs from 'node:fs'
import { Buffer } from 'node:buffer'

const { symbols } = Deno.dlopen('libc.so.6', {
  mmap: { parameters: ['pointer', 'usize', 'i32', 'i32', 'i32', 'i64'], result: 'pointer' },
  munmap: { parameters: ['pointer', 'usize'], result: 'i32' },
})

const [PROT_READ, MAP_SHARED, MAP_FAILED] = [1, 1, 2n ** 64n - 1n]

export function map(file) {
  const fd = fs.openSync(file)
  const length = fs.fstatSync(fd).size
  const address = symbols.mmap(null, BigInt(length), PROT_READ, MAP_SHARED, fd, 0n)
  fs.closeSync(fd)
  if (Deno.UnsafePointer.value(address) === MAP_FAILED) throw new Error('mmap failed')
  return {
    buffer: Buffer.from(Deno.UnsafePointerView.getArrayBuffer(address, length)),
    close: () => symbols.munmap(address, BigInt(length)),
  }
}
