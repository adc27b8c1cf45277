// What the release's checks read in a native library: that one which users could not load is not published.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseTriple } from '@napi-rs/cli'
import test, { type ExecutionContext } from 'ava'

import { platforms } from '../lib/platform.ts'
import { scratchFile } from './helpers/scratch.ts'

type Library = { platform: string; arch: string; libc?: string; glibc?: string; unversioned: string[] }

const {
  complaints,
  describe,
}: {
  complaints: (library: Library, target: ReturnType<typeof parseTriple>, glibc: string) => string[]
  describe: (file: string) => Library
} = await import(new URL('../scripts/binaries.mjs', import.meta.url).href)

const pathOf = (platform: string) => fileURLToPath(new URL(`../memory-map.${platform}.node`, import.meta.url))
const built = platforms().find((platform) => existsSync(pathOf(platform)))!
const library = pathOf(built)
const onGlibc = built === 'linux-x64-gnu' ? test : test.skip
const x64 = parseTriple('x86_64-unknown-linux-gnu')

test('a library says which platform it is for', (t) => {
  const { platform, arch, libc } = describe(library)
  t.is([platform, arch, libc].filter(Boolean).join('-'), built.replace(/-msvc$|(?<=win32-x64)-gnu$|eabihf$/, ''))
})

onGlibc('one that fits has nothing wrong; one for a newer system, another processor or C library has', (t) => {
  const found = describe(library)
  t.deepEqual(complaints(found, x64, found.glibc!), [])
  t.deepEqual(complaints({ ...found, glibc: '2.9' }, x64, '2.17'), [])
  t.is(complaints({ ...found, glibc: '2.34' }, x64, '2.17').length, 1)
  t.is(complaints({ ...found, unversioned: ['memfd_create'] }, x64, '2.34').length, 1)
  for (const target of ['aarch64-unknown-linux-gnu', 'x86_64-unknown-linux-musl', 'x86_64-unknown-freebsd']) {
    t.is(complaints(found, parseTriple(target), '2.34').length, 1, target)
  }
})

onGlibc('the versions are those that the file has, and a function without one is seen', (t) => {
  const bytes = readFileSync(library)
  t.deepEqual(describe(library).unversioned, [])
  const versions = bytes.toString('latin1').match(/GLIBC_2\.\d+(?=\0)/g)!
  const newest = Math.max(...versions.map((name) => Number(name.slice('GLIBC_2.'.length))))
  t.is(describe(library).glibc, `2.${newest}`)
  t.true(describe(withoutVersions(t, bytes)).unversioned.includes('memcpy'))
})

/** The library with no version at any of its symbols: SHT_GNU_versym of elf(5), filled with VER_NDX_GLOBAL. */
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

test('libraries of Windows and macOS are told by their headers', (t) => {
  const pe = Buffer.alloc(0x90)
  pe.write('MZ')
  pe.writeUInt32LE(0x80, 0x3c)
  pe.write('PE\0\0', 0x80)
  pe.writeUInt16LE(0xaa64, 0x84)
  const windows = describe(scratchFile(t, pe))
  t.deepEqual(complaints(windows, parseTriple('aarch64-pc-windows-msvc'), ''), [])
  t.is(complaints(windows, parseTriple('x86_64-pc-windows-msvc'), '').length, 1)

  const machO = Buffer.alloc(32)
  machO.writeUInt32LE(0xfeedfacf, 0)
  machO.writeUInt32LE(0x0100000c, 4)
  const macos = describe(scratchFile(t, machO))
  t.deepEqual(complaints(macos, parseTriple('aarch64-apple-darwin'), ''), [])
  t.is(complaints(macos, parseTriple('x86_64-apple-darwin'), '').length, 1)

  t.throws(() => describe(scratchFile(t, 'no library')))
})
