// What the measurements were made on.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'

import { folder, GIB } from './files.mjs'
import { peerVersion, programs, version } from './programs.mjs'

const read = (file) => {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

const chosen = (file) => /\[(\w+)\]/.exec(read(file))?.[1] ?? 'unknown'

function fileSystem() {
  try {
    return execFileSync('stat', ['-f', '-c', '%T', folder]).toString().trim()
  } catch {
    return 'unknown'
  }
}

/** Lines of facts by name. */
export function machine() {
  const peers = ['@riaskov/mmap-io', '@raygun-nickj/mmap-io', 'koffi'].map((name) => [name, peerVersion(name)])
  const versions = [
    ['Node', process.versions.node],
    ['Node', version(programs.node26[0], '--version')?.slice(1)],
    ['Bun', version(programs.bun[0], '--version')],
    ['', version(programs.deno[0], '--version')?.replace('deno', 'Deno').replace(/ \(.*/, '')],
    ['', version('python3', '--version')],
    ['', version('rustc', '--version')?.replace(/ \(.*/, '')],
    ['', version('cc', '--version')?.replace(/ \(.*\)/, '')],
    ...peers,
  ]
  return {
    processor: `${os.cpus()[0]?.model ?? 'unknown'}, ${os.cpus().length} cores`,
    memory: `${(os.totalmem() / GIB).toFixed(0)} GiB`,
    system: `${os.type()} ${os.release()}, ${fileSystem()}`,
    'transparent huge pages': chosen('/sys/kernel/mm/transparent_hugepage/enabled'),
    versions: versions.flatMap(([name, number]) => (number ? [`${name} ${number}`.trim()] : [])).join(', '),
  }
}

export const load = () => os.loadavg()[0].toFixed(1)
