// The parts of a macOS library that the checks of a release read (mach-o/loader.h, mach-o/nlist.h, and kern/cs_blobs.h
// of XNU).

import { createHash } from 'node:crypto'

const LC_SYMTAB = 0x2
const LC_CODE_SIGNATURE = 0x1d
const LC_BUILD_VERSION = 0x32
const N_TYPE = 0x0e
const N_STAB = 0xe0
const N_EXT = 0x01
const NO_LIBRARY = new Set([0, 0xfe]) // SELF_LIBRARY_ORDINAL, as zig has it, and DYNAMIC_LOOKUP_ORDINAL
const CSMAGIC_CODEDIRECTORY = 0xfade0c02
const CS_HASHTYPE_SHA256 = 2

/** A 64-bit Mach-O file for one processor. */
export class MachO {
  constructor(bytes) {
    this.bytes = bytes
    this.commands = []
    for (let at = 32, remaining = bytes.readUInt32LE(16); remaining > 0; remaining--) {
      this.commands.push({ type: bytes.readUInt32LE(at), at })
      at += bytes.readUInt32LE(at + 4)
    }
  }

  #find(type) {
    return this.commands.find((command) => command.type === type)?.at
  }

  #string(start) {
    return this.bytes.toString('latin1', start, this.bytes.indexOf(0, start))
  }

  /** The oldest macOS that loads it. */
  floor() {
    const at = this.#find(LC_BUILD_VERSION)
    if (at === undefined) return undefined
    const version = this.bytes.readUInt32LE(at + 12)
    return `${version >> 16}.${(version >> 8) & 0xff}`
  }

  /** Names of symbols that it gives to others, and of those that it will look for in whatever is loaded. */
  symbols() {
    const found = { exported: [], lookedFor: [] }
    const at = this.#find(LC_SYMTAB)
    if (at === undefined) return found
    const [table, count, strings] = [8, 12, 16].map((field) => this.bytes.readUInt32LE(at + field))
    for (let entry = table; entry < table + 16 * count; entry += 16) {
      const type = this.bytes[entry + 4]
      if (type & N_STAB || !(type & N_EXT)) continue
      const name = this.#string(strings + this.bytes.readUInt32LE(entry)).slice(1) // without C's underscore
      const library = this.bytes[entry + 7] // the upper byte of n_desc
      if (type & N_TYPE) found.exported.push(name)
      else if (NO_LIBRARY.has(library)) found.lookedFor.push(name)
    }
    return found
  }

  /** Whether it has a signature that fits what it holds: without one, arm64 ends the process that loads it. */
  isSigned() {
    const at = this.#find(LC_CODE_SIGNATURE)
    if (at === undefined) return false
    const signature = this.bytes.subarray(this.bytes.readUInt32LE(at + 8))
    const blobs = Array.from({ length: signature.readUInt32BE(8) }, (_, index) =>
      signature.subarray(signature.readUInt32BE(16 + 8 * index)),
    )
    return blobs.some((blob) => blob.readUInt32BE(0) === CSMAGIC_CODEDIRECTORY && this.#fits(blob))
  }

  /** Whether a list of hashes is that of the file's pages. */
  #fits(directory) {
    const [hashes, count, end] = [16, 28, 32].map((field) => directory.readUInt32BE(field))
    if (directory[37] !== CS_HASHTYPE_SHA256) return false
    const size = 2 ** directory[39]
    return Array.from({ length: count }, (_, page) => page).every((page) => {
      const hash = directory.subarray(hashes + 32 * page, hashes + 32 * (page + 1))
      const code = this.bytes.subarray(size * page, Math.min(size * (page + 1), end))
      return createHash('sha256').update(code).digest().equals(hash)
    })
  }
}
