// @riaskov/mmap-io: a Buffer that only the collector unmaps.

import fs from 'node:fs'
import { createRequire } from 'node:module'

const mmap = createRequire(import.meta.url)('@riaskov/mmap-io')

export function map(file) {
  const fd = fs.openSync(file)
  const buffer = mmap.map(fs.fstatSync(fd).size, mmap.PROT_READ, mmap.MAP_SHARED, fd)
  fs.closeSync(fd)
  return { buffer, close() {} }
}
