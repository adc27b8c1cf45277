// The release checks: no native library is published that users could not load.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseTriple } from '@napi-rs/cli'
import test, { type ExecutionContext } from 'ava'

import { platforms } from '../lib/platform.ts'
import { scratchFile } from './helpers/scratch.ts'

type Library = { platform: string; arch: string; libc?: string; floor?: string; strangers: string[] }

const {
  complaints,
  describe,
}: {
  complaints: (library: Library, target: ReturnType<typeof parseTriple>, floor: string) => string[]
  describe: (file: string) => Library
} = await import(new URL('../scripts/binaries.mjs', import.meta.url).href)

const pathOf = (platform: string) => fileURLToPath(new URL(`../memory-map.${platform}.node`, import.meta.url))
const built = platforms().find((platform) => existsSync(pathOf(platform)))!
const library = pathOf(built)
const onGlibc = built === 'linux-x64-gnu' ? test : test.skip
const x64 = parseTriple('x86_64-unknown-linux-gnu')

test('the platform of a library is read from its file', (t) => {
  const { platform, arch, libc } = describe(library)
  t.is([platform, arch, libc].filter(Boolean).join('-'), built.replace(/-msvc$|(?<=win32-x64)-gnu$|eabihf$/, ''))
})

onGlibc(
  'a library for this system passes; one for a newer system, another processor or another C library does not',
  (t) => {
    const found = describe(library)
    t.deepEqual(complaints(found, x64, found.floor!), [])
    t.deepEqual(complaints({ ...found, floor: '2.9' }, x64, '2.17'), [])
    t.is(complaints({ ...found, floor: '2.34' }, x64, '2.17').length, 1)
    t.is(complaints({ ...found, strangers: ['memfd_create'] }, x64, '2.34').length, 1)
    for (const target of ['aarch64-unknown-linux-gnu', 'x86_64-unknown-linux-musl', 'x86_64-unknown-freebsd']) {
      t.is(complaints(found, parseTriple(target), '2.34').length, 1, target)
    }
  },
)

onGlibc('versions of symbols are read from the file, and a function without a version is noticed', (t) => {
  const bytes = readFileSync(library)
  t.deepEqual(describe(library).strangers, [])
  const versions = bytes.toString('latin1').match(/GLIBC_2\.\d+(?=\0)/g)!
  const newest = Math.max(...versions.map((name) => Number(name.slice('GLIBC_2.'.length))))
  t.is(describe(library).floor, `2.${newest}`)
  t.true(describe(withoutVersions(t, bytes)).strangers.includes('memcpy'))
})

/** The library without versions of its symbols: its SHT_GNU_versym of elf(5) is filled with VER_NDX_GLOBAL. */
function withoutVersions(t: ExecutionContext, bytes: Buffer): string {
  const table = Number(bytes.readBigUInt64LE(40))
  for (let at = table; at < table + 64 * bytes.readUInt16LE(60); at += 64) {
    if (bytes.readUInt32LE(at + 4) !== 0x6fffffff) continue
    const [start, size] = [bytes.readBigUInt64LE(at + 24), bytes.readBigUInt64LE(at + 32)].map(Number)
    for (let symbol = start!; symbol < start! + size!; symbol += 2) bytes.writeUInt16LE(1, symbol)
  }
  const file = join(scratchFile(t, ''), '..', 'unversioned.node')
  writeFileSync(file, bytes)
  return file
}

onGlibc('a library without the function that Node calls is refused', (t) => {
  const bytes = readFileSync(library)
  bytes.write('N', bytes.indexOf('napi_register_module_v1\0'))
  const wrong = complaints(describe(scratchFile(t, bytes)), x64, describe(library).floor!)
  t.deepEqual(wrong, ['it does not export napi_register_module_v1'])
})

test('Windows libraries are recognised by their headers', (t) => {
  const pe = Buffer.alloc(0x90)
  pe.write('MZ')
  pe.writeUInt32LE(0x80, 0x3c)
  pe.write('PE\0\0', 0x80)
  pe.writeUInt16LE(0xaa64, 0x84)
  const windows = describe(scratchFile(t, pe))
  t.deepEqual(complaints(windows, parseTriple('aarch64-pc-windows-msvc'), ''), [])
  t.is(complaints(windows, parseTriple('x86_64-pc-windows-msvc'), '').length, 1)
  t.throws(() => describe(scratchFile(t, 'no library')))
})

const ARM64 = 0x0100000c
const X64 = 0x01000007
const DEFINED = 0x0f // N_SECT | N_EXT
const UNDEFINED = 0x01
const FROM_FIRST_LIBRARY = 0x0100
const FROM_ANYWHERE = 0xfe00
const FROM_ITSELF = 0

type MachSymbol = [name: string, type: number, library: number]

/** A file for macOS 11.0 that consists of a header, symbols and maybe room for a signature. */
function machO(processor: number, symbols: MachSymbol[], isSigned = false): Buffer {
  const names = symbols.map(([name]) => `_${name}\0`)
  const [table, namesSize] = [4 * (8 + 6 + 6 + 4), names.join('').length]
  const strings = table + 16 * symbols.length
  const header = [0xfeedfacf, processor, 0, 6, isSigned ? 3 : 2, 24 + 24 + 16, 0, 0]
  const buildVersion = [0x32, 24, 1, 0x0b0000, 0x0f0000, 0]
  const symbolTable = [0x2, 24, table, symbols.length, strings, namesSize]
  const codeSignature = [0x1d, 16, strings + namesSize, 0]
  const entries = symbols.map(([, type, library], index) => {
    const entry = Buffer.alloc(16)
    entry.writeUInt32LE(names.slice(0, index).join('').length)
    entry[4] = type
    entry.writeUInt16LE(library, 6)
    return entry
  })
  const words = Uint32Array.from([...header, ...buildVersion, ...symbolTable, ...codeSignature])
  return Buffer.concat([Buffer.from(words.buffer), ...entries, Buffer.from(names.join(''))])
}

/** What follows a file of one page that is signed: a list of one hash. */
function signature(file: Buffer): Buffer {
  const directory = Buffer.alloc(44)
  directory.writeUInt32BE(0xfade0c02)
  directory.writeUInt32BE(directory.length, 16) // where the hashes are
  directory.writeUInt32BE(1, 28) // how many
  directory.writeUInt32BE(file.length, 32)
  directory.set([32, 2, 0, 14], 36) // of SHA-256, each of 16 KiB
  const index = Buffer.alloc(20)
  index.writeUInt32BE(0xfade0cc0)
  index.writeUInt32BE(1, 8)
  index.writeUInt32BE(index.length, 16)
  return Buffer.concat([index, directory, createHash('sha256').update(file).digest()])
}

const intel = parseTriple('x86_64-apple-darwin')
const apple = parseTriple('aarch64-apple-darwin')
const addon: MachSymbol = ['napi_register_module_v1', DEFINED, 0]
const known: MachSymbol = ['mmap', UNDEFINED, FROM_FIRST_LIBRARY]

test('the processor, the oldest system and the undefined functions of a macOS library are read', (t) => {
  const wrong = (symbols: MachSymbol[], target = intel, floor = '11.0') =>
    complaints(describe(scratchFile(t, machO(X64, symbols))), target, floor)
  t.deepEqual(wrong([addon, known]), [])
  t.deepEqual(wrong([addon, known], intel, '10.15'), ['it needs macOS 11.0, not 10.15'])
  for (const anywhere of [FROM_ANYWHERE, FROM_ITSELF]) {
    t.deepEqual(wrong([addon, ['mremap', UNDEFINED, anywhere]]), ['no library it is linked with has mremap'])
  }
  t.deepEqual(wrong([known]), ['it does not export napi_register_module_v1'])
  t.deepEqual(wrong([addon], apple), ['it is for darwin-x64'])
})

test('the signature of a library for Apple silicon is checked', (t) => {
  const wrong = (bytes: Buffer) => complaints(describe(scratchFile(t, bytes)), apple, '11.0')
  const file = machO(ARM64, [addon, known], true)
  const signed = Buffer.concat([file, signature(file)])
  t.deepEqual(wrong(signed), [])
  const changed = Buffer.from(signed)
  changed.write('_n', file.indexOf('_mmap'))
  t.deepEqual(wrong(changed), ['it has no signature that fits it'])
  t.deepEqual(wrong(machO(ARM64, [addon, known])), ['it has no signature that fits it'])
})
