// The header and the section table of an executable file: ELF (Linux), Mach-O (macOS) or PE (Windows), 64-bit.
// It reads through views of the mapping, so only the pages that hold a header are ever loaded.

/**
 * @typedef {{ name: string, kind: string, address: number, offset: number, size: number }} Section
 *   `address` is where it is in the program's memory, `offset` where in the file; one that is zeroed when the program
 *   starts has a size, but no bytes in the file.
 *
 * @param {import('memory-map').MemoryMap} map of the whole file
 * @returns {{ format: string, machine: string, entry: number, sections: Section[] }}
 */
export function readExecutable(map) {
  const start = map.dataView(0, 64)
  if (start.getUint32(0) === 0x7f_45_4c_46) return readElf(map, start)
  if (start.getUint16(0) === 0x4d_5a) return readPe(map, start)
  if (start.getUint32(0) === 0xcafebabe) return readMachO(map, findSlice(start))
  if (start.getUint32(0, true) === 0xfeedfacf) return readMachO(map, 0)
  throw new Error(`${map.path} is no ELF, Mach-O or PE file`)
}

export const ZEROED = 'zeroed at start'

/** See elf(5). */
function readElf(map, header) {
  if (header.getUint8(4) !== 2) throw new Error(`${map.path} is not a 64-bit file`)
  const little = header.getUint8(5) === 1
  const u64 = (view, at) => Number(view.getBigUint64(at, little))

  const tableOffset = u64(header, 40)
  const entrySize = header.getUint16(58, little)
  const count = header.getUint16(60, little)
  const section = (index) => map.dataView(tableOffset + index * entrySize, entrySize)
  const namesOffset = count === 0 ? 0 : u64(section(header.getUint16(62, little)), 24)

  const sections = []
  // The first entry is for no section.
  for (let index = 1; index < count; index++) {
    const view = section(index)
    sections.push({
      name: text(map, namesOffset + view.getUint32(0, little)),
      kind: elfKind(view.getUint32(4, little), u64(view, 8)),
      address: u64(view, 16),
      offset: u64(view, 24),
      size: u64(view, 32),
    })
  }
  const machines = { 62: 'x64', 183: 'arm64', 243: 'riscv64', 21: 'ppc64', 22: 's390x', 258: 'loong64' }
  return { format: 'ELF', machine: machines[header.getUint16(18, little)], entry: u64(header, 24), sections }
}

function elfKind(type, flags) {
  const NOBITS = 8
  const [WRITE, ALLOC, EXECUTE] = [1, 2, 4]
  if (!(flags & ALLOC)) return 'for tools'
  if (type === NOBITS) return ZEROED
  if (flags & EXECUTE) return 'code'
  return flags & WRITE ? 'data' : 'constants'
}

/** A file for several machines begins with a list of them: where is this one's? */
function findSlice(header) {
  const own = { x64: 0x0100_0007, arm64: 0x0100_000c }[process.arch]
  for (let at = 8; at + 20 <= header.byteLength; at += 20) {
    if (header.getUint32(at) === own) return header.getUint32(at + 8)
  }
  throw new Error(`the file has no part for ${process.arch}`)
}

/** See <mach-o/loader.h>. */
function readMachO(map, base) {
  const SEGMENT = 0x19
  const MAIN = 0x8000_0028
  const header = map.dataView(base, 32)
  const commands = map.dataView(base + 32, header.getUint32(20, true))
  const u64 = (at) => Number(commands.getBigUint64(at, true))
  const u32 = (at) => commands.getUint32(at, true)

  const sections = []
  let textAddress = 0
  let entry = 0
  for (let at = 0; at < commands.byteLength; at += u32(at + 4)) {
    if (u32(at) === MAIN) entry = u64(at + 8)
    if (u32(at) !== SEGMENT) continue
    if (text(map, base + 32 + at + 8, 16) === '__TEXT') textAddress = u64(at + 24)
    for (let index = 0; index < u32(at + 64); index++) {
      const section = at + 72 + index * 80
      const segment = text(map, base + 32 + section + 16, 16)
      sections.push({
        name: `${segment},${text(map, base + 32 + section, 16)}`,
        kind: machOKind(segment, u32(section + 64)),
        address: u64(section + 32),
        offset: base + u32(section + 48),
        size: u64(section + 40),
      })
    }
  }
  const machines = { 0x0100_0007: 'x64', 0x0100_000c: 'arm64' }
  return { format: 'Mach-O', machine: machines[header.getUint32(4, true)], entry: textAddress + entry, sections }
}

function machOKind(segment, flags) {
  const [ZEROFILL, GB_ZEROFILL, THREAD_LOCAL_ZEROFILL] = [0x01, 0x0c, 0x12]
  if ([ZEROFILL, GB_ZEROFILL, THREAD_LOCAL_ZEROFILL].includes(flags & 0xff)) return ZEROED
  if (flags & 0x8000_0400) return 'code'
  return segment === '__TEXT' || segment === '__DATA_CONST' ? 'constants' : 'data'
}

/** See "PE Format" in Microsoft's documentation. */
function readPe(map, start) {
  const base = start.getUint32(0x3c, true)
  const header = map.dataView(base, 24)
  const optionalSize = header.getUint16(20, true)
  const optional = map.dataView(base + 24, optionalSize)
  if (optional.getUint16(0, true) !== 0x20b) throw new Error(`${map.path} is not a 64-bit file`)

  const sections = []
  for (let index = 0; index < header.getUint16(6, true); index++) {
    const at = base + 24 + optionalSize + index * 40
    const view = map.dataView(at, 40)
    const inFile = view.getUint32(16, true)
    sections.push({
      name: text(map, at, 8),
      kind: inFile === 0 ? ZEROED : peKind(view.getUint32(36, true)),
      address: view.getUint32(12, true),
      offset: view.getUint32(20, true),
      size: inFile === 0 ? view.getUint32(8, true) : inFile,
    })
  }
  const machines = { 0x8664: 'x64', 0xaa64: 'arm64' }
  return { format: 'PE', machine: machines[header.getUint16(4, true)], entry: optional.getUint32(16, true), sections }
}

function peKind(flags) {
  const [DISCARDABLE, EXECUTE, WRITE] = [0x0200_0000, 0x2000_0000, 0x8000_0000]
  if (flags & EXECUTE) return 'code'
  if (flags & DISCARDABLE) return 'for tools'
  return flags & WRITE ? 'data' : 'constants'
}

/** The text that begins at `offset` and ends before a zero byte, or after `most` bytes. */
function text(map, offset, most = 256) {
  const bytes = map.view(offset, Math.min(most, map.length - offset))
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
}
