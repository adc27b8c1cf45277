// A fault as an error.

import type { MemoryFault } from './faults.js'

/** A load or store of mapped memory failed, and was contained. */
export class MemoryFaultError extends Error {
  readonly code = 'ERR_MMAP_FAULT'
  /** What failed. */
  readonly fault: MemoryFault

  constructor(fault: MemoryFault) {
    super(describeFault(fault))
    this.fault = fault
  }

  static {
    this.prototype.name = 'MemoryFaultError'
  }
}

/** A fault in words. */
export function describeFault({ kind, offset, length, contained, map }: MemoryFault): string {
  const where = `${length} bytes at offset ${offset} of ${map.path ?? 'the mapping'}`
  const why = {
    'beyond-end': `the file ends before the ${where}; loads read zeros and stores were thrown away`,
    protection: `the protection forbids the access to the ${where}; what was stored was thrown away`,
    io: `the device could not read or write the ${where}; loads read zeros and stores were thrown away`,
    'no-space': `the file system has no space for the ${where}; what was stored was thrown away`,
    closed: `the mapping was closed: the ${where} read zeros`,
  }[kind]
  return contained ? why : `${why}; not every store could be rolled back`
}
