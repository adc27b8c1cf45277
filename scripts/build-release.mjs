// Builds the native library as it is published, into the folder of its package in npm/, and checks that it fits there.
//
//     node scripts/build-release.mjs [--target aarch64-unknown-linux-gnu]
//
// For Linux zig links, with the glibc of 2012 (zig.mjs), and so it does for macOS and FreeBSD where the host is another
// system; for the rest what the host has. Every target but the host's needs its standard library: `rustup target add
// <target>`. The variables that Cargo knows mean here what they mean there.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { parseTriple } from '@napi-rs/cli'

import { complaints, describe } from './binaries.mjs'
import { zig } from './zig.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))

/** The oldest glibc that a library for a target runs with; the first one for RISC-V was 2.27. */
export function glibcFloor(target) {
  return target.startsWith('riscv64') ? '2.27' : '2.17'
}

/** Where the sources of crates lie. */
const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')

/** The oldest macOS: the first one for Apple silicon. */
const MACOS_FLOOR = '11.0'

/** The library of a target, where `napi create-npm-dirs` has its package. */
export function libraryOf(target) {
  const name = parseTriple(target).platformArchABI
  return join(root, 'npm', name, `memory-map.${name}.node`)
}

/** What is wrong with the library at `libraryOf(target)`. */
export function check(target) {
  const parsed = parseTriple(target)
  const floor = parsed.platform === 'darwin' ? MACOS_FLOOR : glibcFloor(target)
  const library = readFileSync(libraryOf(target))
  const isPrivate = [root, cargoHome].some((path) => library.includes(path))
  const wrong = isPrivate ? ['it has paths of the machine that built it'] : []
  return [...complaints(describe(libraryOf(target)), parsed, floor), ...wrong]
}

export function build(target) {
  const { platform, platformArchABI, abi } = parseTriple(target)
  const env = { ...process.env }
  const variable = (name) => `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_${name}`
  let linkedFor = ['--target', target]
  if (platform === 'linux' || (platform !== process.platform && platform !== 'win32')) {
    env.PATH = `${zig()}:${env.PATH}`
    linkedFor = ['--cross-compile', '--target', abi?.startsWith('gnu') ? `${target}.${glibcFloor(target)}` : target]
  }
  if (platform === 'darwin') {
    env.MACOSX_DEPLOYMENT_TARGET ??= MACOS_FLOOR
    // On other systems rustc has no tool that strips symbols from a macOS library.
    if (process.platform !== 'darwin') env.CARGO_PROFILE_RELEASE_STRIP ??= 'none'
  }
  // Windows has Microsoft's C library only if another program has installed it.
  if (abi === 'msvc') env[variable('RUSTFLAGS')] ??= '-C target-feature=+crt-static'
  // Panics and debuggers name the same paths wherever it was built.
  const flags = env.RUSTFLAGS ?? env[variable('RUSTFLAGS')] ?? ''
  const remap = [`${root}=/memory-map/`, `${cargoHome}=/cargo`].map((pair) => `--remap-path-prefix=${pair}`)
  env.RUSTFLAGS = [flags, ...remap].join(' ').trim()
  const args = ['build', '--platform', '--release', '--no-js', '--no-dts-header', ...linkedFor]
  args.push('--manifest-path', 'crates/memory-map-node/Cargo.toml')
  args.push('--output-dir', join('npm', platformArchABI), '--dts', join('..', '..', 'target', 'binding.d.ts'))
  execFileSync(process.execPath, [join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js'), ...args], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
}

export function hostTarget() {
  const version = execFileSync(process.env.RUSTC ?? 'rustc', ['-vV'], { encoding: 'utf8' })
  return /^host: (.*)$/m.exec(version)[1]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { target: { type: 'string' } } })
  const target = values.target ?? hostTarget()
  build(target)
  const wrong = check(target)
  if (wrong.length > 0) {
    console.error(`${libraryOf(target)}: ${wrong.join('; ')}`)
    process.exit(1)
  }
  console.log(libraryOf(target))
}
