// Linkers that know an old glibc, so that what they link runs wherever Node does: GCC with the glibc 2.17 of 2012.
// napi-rs publishes them on npm, for Linux x64. `napi build --use-napi-cross` means the same ones, but its own loader
// for them needs a newer Node than this package.
//
//     node scripts/toolchains.mjs x86_64-unknown-linux-gnu   # prints the path of the linker

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const toolchains = {
  'x86_64-unknown-linux-gnu': {
    name: '@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0',
    integrity: 'sha512-lecoghCfoTAX9MLFcIx9/nL9M8xdkZ9n8Pki8qjKUNzjiq1zbECdEbzIZAMMHRtrXxifK9dAyYuh8gSxNbr2og==',
  },
  'aarch64-unknown-linux-gnu': {
    name: '@napi-rs/cross-toolchain-x64-target-aarch64@1.0.3',
    integrity: 'sha512-EMFcy/ahFsmCY3BI1tMC3wRUYZ+cDuILg7nP1micaKXW1tO1+RvUB1CC6QYe+cv2W4Tuz9wr3qcFExWyjgWf2w==',
  },
}

/** Whether there is one for a Rust target. */
export function hasToolchain(target) {
  return Object.hasOwn(toolchains, target)
}

/**
 * The linker for a Rust target. At the first call it is downloaded, 45 MB that become 220 MB, to `$MEMORY_MAP_CACHE`
 * or else `~/.cache/memory-map`.
 */
export function linker(target) {
  const { name, integrity } = toolchains[target]
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`the linker for ${target} runs on Linux x64 only`)
  }
  const cache = process.env.MEMORY_MAP_CACHE ?? join(homedir(), '.cache', 'memory-map')
  const folder = join(cache, name.slice(name.lastIndexOf('/') + 1))
  if (!existsSync(folder)) download(name, integrity, target, cache, folder)
  return join(folder, 'bin', `${target}-gcc`)
}

function download(name, integrity, target, cache, folder) {
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'download-'))
  try {
    const options = { cwd: scratch, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' }
    const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', name], options))
    if (packed.integrity !== integrity) throw new Error(`${name} is not what it was: its hash is ${packed.integrity}`)
    execFileSync('tar', ['-xzf', packed.filename], options)
    mkdirSync(join(scratch, 'toolchain'))
    execFileSync('tar', ['-xJf', join('package', `${target}.tar.xz`), '-C', 'toolchain'], options)
    move(join(scratch, 'toolchain'), folder)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Another process may have been faster, which is as good. */
function move(from, to) {
  try {
    renameSync(from, to)
  } catch (error) {
    if (!existsSync(to)) throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target] = process.argv.slice(2)
  if (!hasToolchain(target)) {
    console.error(`usage: node scripts/toolchains.mjs ${Object.keys(toolchains).join(' | ')}`)
    process.exit(2)
  }
  console.log(linker(target))
}
