// mmap(2), called through koffi's foreign function interface. The caller must keep views from being used too late.

import fs from 'node:fs'

import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const mmap = libc.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)')
const munmap = libc.func('int munmap(void *address, size_t length)')

const [PROT_READ, MAP_SHARED, MAP_FAILED] = [1, 1, 2n ** 64n - 1n]

export function map(file) {
  const fd = fs.openSync(file)
  const length = fs.fstatSync(fd).size
  const address = mmap(null, length, PROT_READ, MAP_SHARED, fd, 0)
  fs.closeSync(fd)
  if (koffi.address(address) === MAP_FAILED) throw new Error('mmap failed')
  return { buffer: Buffer.from(koffi.view(address, length)), close: () => munmap(address, length) }
}
