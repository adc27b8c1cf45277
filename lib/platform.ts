// The platform of this process, named as the packages with the native library are.

import { closeSync, existsSync, openSync, readSync } from 'node:fs'

/** Platforms that have a package with the native library, `memory-map-<platform>`: `napi.targets` of package.json. */
export const prebuilt: readonly string[] = [
  'darwin-arm64',
  'darwin-x64',
  'freebsd-x64',
  'linux-arm-gnueabihf',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-riscv64-gnu',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
]

type Libc = 'gnu' | 'musl'

/** Names of the libraries that this process could load, the most likely one first. */
export function platforms(libcs: () => readonly Libc[] = findLibcs): string[] {
  const { platform, arch } = process
  return abis(platform, arch, libcs).map((abi) => [platform, arch, abi].filter(Boolean).join('-'))
}

/** The same, without finding out which C library the process has. */
export const allPlatforms = (): string[] => platforms(() => denosLibcs() ?? ['gnu', 'musl'])

function abis(platform: string, arch: string, libcs: () => readonly Libc[]): string[] {
  if (platform === 'win32') return ['msvc', 'gnu']
  if (platform !== 'linux') return ['']
  return libcs().map((libc) => (arch === 'arm' ? `${libc}eabihf` : libc))
}

/** The C library of this process: the path of the loader that the executable asks for tells it; both if nothing does. */
function findLibcs(): readonly Libc[] {
  const denos = denosLibcs()
  if (denos !== undefined) return denos
  const start = head(process.execPath)
  if (start.includes('/ld-musl')) return ['musl']
  if (start.includes('/ld-linux')) return ['gnu']
  // Reports are slow, and some runtimes have none.
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  if (report?.header === undefined) return ['gnu', 'musl']
  return report.header.glibcVersionRuntime === undefined ? ['musl'] : ['gnu']
}

/** Deno tells it, and would ask the user before each file is looked at. */
function denosLibcs(): readonly Libc[] | undefined {
  if (!('deno' in process.versions)) return undefined
  const { Deno } = globalThis as { Deno?: { build: { env?: string } } }
  return Deno?.build.env === 'musl' ? ['musl'] : ['gnu']
}

/** Whether programs for musl run here, as far as a look at one file tells. */
export const hasMusl = (): boolean =>
  process.platform === 'linux' && existsSync(`/lib/ld-musl-${MUSL_NAMES[process.arch]}.so.1`)

const MUSL_NAMES: Record<string, string> = { arm: 'armhf', arm64: 'aarch64', riscv64: 'riscv64', x64: 'x86_64' }

/** The first page of a file, where an executable has the path of its loader; nothing if it cannot be read. */
function head(path: string): string {
  try {
    const fd = openSync(path, 'r')
    try {
      const page = Buffer.allocUnsafe(4096)
      return page.toString('latin1', 0, readSync(fd, page))
    } finally {
      closeSync(fd)
    }
  } catch {
    return ''
  }
}
