// What a native library says of itself: the machine it is for, and what it needs of the C library there.

import { readFileSync } from 'node:fs'

import { MachO } from './mach-o.mjs'

/**
 * @typedef {object} Library
 * @property {string} platform as `process.platform`
 * @property {string} arch as `process.arch`
 * @property {'gnu' | 'musl' | undefined} libc on Linux
 * @property {string | undefined} floor the oldest version of glibc or macOS that it runs with
 * @property {string[]} strangers functions that are in no library it is linked with, as far as it says so itself
 * @property {boolean} registers whether it has the function that makes it an addon of Node's
 * @property {boolean} signed whether it is signed where it has to be
 */

/** @returns {Library} */
export function describe(file) {
  const bytes = readFileSync(file)
  if (bytes.readUInt32BE(0) === 0x7f454c46) return describeElf(bytes)
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return describeMachO(bytes)
  const header = bytes.toString('latin1', 0, 2) === 'MZ' ? bytes.readUInt32LE(0x3c) : undefined
  if (header !== undefined && bytes.toString('latin1', header, header + 4) === 'PE\0\0') {
    return { platform: 'win32', arch: pe[bytes.readUInt16LE(header + 4)], strangers: [], signed: true }
  }
  throw new Error(`${file} is no native library`)
}

/**
 * Why a library does not fit a platform, which is given as napi-rs names it; empty if it fits. The floor is of glibc or
 * macOS.
 */
export function complaints(library, { platform, arch, abi }, floor) {
  const found = [library.platform, library.arch, library.libc].filter(Boolean).join('-')
  const wanted = [platform, arch, platform === 'linux' ? abi.replace(/eabi(hf)?$/, '') : ''].filter(Boolean).join('-')
  const list = found === wanted ? [] : [`it is for ${found}`]
  const system = library.platform === 'darwin' ? 'macOS' : 'glibc'
  if (library.floor && compareVersions(library.floor, floor) > 0) {
    list.push(`it needs ${system} ${library.floor}, not ${floor}`)
  }
  if (library.strangers.length > 0) list.push(`no library it is linked with has ${library.strangers.join(', ')}`)
  if (library.registers === false) list.push(`it does not export ${REGISTER}`)
  if (!library.signed) list.push('it has no signature that fits it')
  return list
}

const REGISTER = 'napi_register_module_v1'
const machO = { 0x01000007: 'x64', 0x0100000c: 'arm64' }
const pe = { 0x8664: 'x64', 0xaa64: 'arm64' }
const elf = { 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64' }

function describeMachO(bytes) {
  const file = new MachO(bytes)
  const arch = machO[bytes.readUInt32LE(4)]
  const { exported, lookedFor } = file.symbols()
  return {
    platform: 'darwin',
    arch,
    floor: file.floor(),
    strangers: lookedFor,
    registers: exported.includes(REGISTER),
    signed: arch === 'x64' || file.isSigned(), // Intel's runs without
  }
}

// Elf(32|64)_Shdr.sh_type and Elf(32|64)_Dyn.d_tag of elf(5)
const SHT_DYNAMIC = 6
const SHT_DYNSYM = 11
const SHT_GNU_VERNEED = 0x6ffffffe
const SHT_GNU_VERSYM = 0x6fffffff
const DT_NEEDED = 1
const VER_NDX_GLOBAL = 1

function describeElf(bytes) {
  const file = new Elf(bytes)
  const needed = file.needed()
  const libc = needed.some((name) => /^libc\.so$|^libc\.musl/.test(name))
    ? 'musl'
    : needed.includes('libc.so.6')
      ? 'gnu'
      : undefined
  const versions = file
    .neededVersions()
    .filter((name) => /^GLIBC_\d/.test(name))
    .map((name) => name.slice('GLIBC_'.length))
  const floor = versions.reduce((newest, version) => (compareVersions(version, newest) > 0 ? version : newest), '0')
  return {
    platform: needed.includes('libc.so.7') ? 'freebsd' : 'linux',
    arch: elf[bytes.readUInt16LE(18)],
    libc,
    floor: libc === 'gnu' ? floor : undefined,
    strangers: libc === 'musl' ? [] : file.unversioned(), // musl has no versions
    registers: file.exports().includes(REGISTER),
    signed: true,
  }
}

/** The parts of a little-endian ELF file that are read above. */
class Elf {
  constructor(bytes) {
    this.bytes = bytes
    this.wide = bytes[4] === 2
    const [table, size, count] = this.wide ? [this.#word(40), 64, 60] : [this.#word(32), 40, 48]
    this.sections = Array.from({ length: bytes.readUInt16LE(count) }, (_, index) => this.#section(table + index * size))
  }

  /** A number of the file's own width. */
  #word(at) {
    return this.wide ? Number(this.bytes.readBigUInt64LE(at)) : this.bytes.readUInt32LE(at)
  }

  #section(at) {
    const width = this.wide ? 8 : 4
    const type = this.bytes.readUInt32LE(at + 4)
    const start = this.#word(at + 8 + 2 * width)
    const size = this.#word(at + 8 + 3 * width)
    const link = this.bytes.readUInt32LE(at + 8 + 4 * width)
    return { type, start, size, link }
  }

  #find(type) {
    return this.sections.find((section) => section.type === type)
  }

  /** The string at `offset` of the string table that `section` names. */
  #string(section, offset) {
    const start = this.sections[section.link].start + offset
    return this.bytes.toString('latin1', start, this.bytes.indexOf(0, start))
  }

  /** Where the records of a list start: Elf_Verneed and Elf_Vernaux have the distance to the next, or 0, at byte 12. */
  *#records(start) {
    for (let at = start, distance = -1; distance !== 0; at += distance) {
      yield at
      distance = this.bytes.readUInt32LE(at + 12)
    }
  }

  /** Names of the libraries it is linked with. */
  needed() {
    const section = this.#find(SHT_DYNAMIC)
    const width = this.wide ? 8 : 4
    const names = []
    for (let at = section.start; at < section.start + section.size; at += 2 * width) {
      if (this.#word(at) === DT_NEEDED) names.push(this.#string(section, this.#word(at + width)))
    }
    return names
  }

  /** Names of the symbol versions it needs, as `GLIBC_2.17`. */
  neededVersions() {
    const section = this.#find(SHT_GNU_VERNEED)
    if (section === undefined) return []
    const names = []
    for (const library of this.#records(section.start)) {
      for (const version of this.#records(library + this.bytes.readUInt32LE(library + 8))) {
        names.push(this.#string(section, this.bytes.readUInt32LE(version + 8)))
      }
    }
    return names
  }

  *#symbols() {
    const symbols = this.#find(SHT_DYNSYM)
    const versions = this.#find(SHT_GNU_VERSYM)
    const size = this.wide ? 24 : 16
    for (let index = 1; index < symbols.size / size; index++) {
      const at = symbols.start + index * size
      yield {
        name: this.#string(symbols, this.bytes.readUInt32LE(at)),
        isWeak: this.bytes[at + (this.wide ? 4 : 12)] >> 4 === 2,
        isForeign: this.bytes.readUInt16LE(at + (this.wide ? 6 : 14)) === 0,
        version: versions ? this.bytes.readUInt16LE(versions.start + 2 * index) & 0x7fff : VER_NDX_GLOBAL,
      }
    }
  }

  /** Names of the functions that it gives to others. */
  exports() {
    return [...this.#symbols()].filter(({ isForeign }) => !isForeign).map(({ name }) => name)
  }

  /** Names of the functions it takes from elsewhere, and cannot do without, that have no version. */
  unversioned() {
    const unknown = [...this.#symbols()].filter(
      ({ isForeign, isWeak, version }) => isForeign && !isWeak && version <= VER_NDX_GLOBAL,
    )
    return unknown.map(({ name }) => name)
  }
}

function compareVersions(a, b) {
  return a.localeCompare(b, 'en', { numeric: true })
}
