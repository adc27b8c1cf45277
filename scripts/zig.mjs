// zig and cargo-zigbuild, which link for every Linux with the glibc that is asked for, and for macOS and FreeBSD.
//
//     node scripts/zig.mjs   # prints the folder that has both

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const packages = ['ziglang==0.17.0', 'cargo-zigbuild==0.24.0']

/** Where what is downloaded or built once is kept. */
export const cache = process.env.MEMORY_MAP_CACHE ?? join(homedir(), '.cache', 'memory-map')

/**
 * The folder with both programs, to be put on the PATH. At the first call they are downloaded with Python's pip, 100 MB
 * that become 390 MB.
 */
export function zig() {
  const folder = join(cache, packages.join('-').replaceAll('==', '-'))
  if (!existsSync(folder)) install(folder)
  return join(folder, 'bin')
}

function install(folder) {
  console.error(`downloads ${packages.join(' and ')}, 100 MB, to ${cache}`)
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'download-'))
  try {
    const args = ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', '--target', scratch, ...packages]
    execFileSync('python3', args, { stdio: ['ignore', 2, 2] })
    // Neither needs Python, which has only downloaded them.
    symlinkSync(join('..', 'ziglang', 'zig'), join(scratch, 'bin', 'zig'))
    renameSync(scratch, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error // otherwise another process was faster, which is as good
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(zig())
