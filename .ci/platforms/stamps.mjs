// What is known to pass: a file in the cache for each part and each hash of its inputs.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const cache = process.env.MEMORY_MAP_CACHE ?? join(homedir(), '.cache', 'memory-map')
const folder = join(cache, 'passed')

/** What says its version with these arguments. Runtimes of other platforms are pinned by a lock file instead. */
const tools = [
  ['node', '-v'],
  ['rustc', '-V'],
  ['/usr/bin/rustc', '-V'],
  ['qemu-aarch64-static', '--version'],
]

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' })
}

/** A hash of the names and contents of files below `paths`, committed or not. */
export function inputsHash(paths) {
  const hash = createHash('sha256')
  const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...paths).split('\0')
  for (const file of [...new Set(files)].toSorted()) {
    if (file !== '') hash.update(`${file}\0${createHash('sha256').update(contents(file)).digest('hex')}\n`)
  }
  return hash.digest('hex').slice(0, 32)
}

/** Of a file that is deleted, but not in the index, nothing. */
function contents(file) {
  try {
    return readFileSync(join(root, file))
  } catch {
    return ''
  }
}

function installedVersions() {
  const versions = {}
  for (const [tool, ...args] of tools) {
    try {
      versions[tool] = execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
        '\n',
      )[0]
    } catch {
      // It is not installed.
    }
  }
  return versions
}

/**
 * The commit at which a part passed with the same inputs, if it did. Tools that are installed now must be of the same
 * version; those that are not would be installed by the part.
 */
export function commitThatPassed(part, hash) {
  let stamp
  try {
    stamp = JSON.parse(readFileSync(join(folder, `${part}-${hash}.json`), 'utf8'))
  } catch {
    return undefined
  }
  const isSame = ([tool, version]) => stamp.versions[tool] === undefined || stamp.versions[tool] === version
  return Object.entries(installedVersions()).every(isSame) ? stamp.commit : undefined
}

export function stampPassed(part, hash) {
  mkdirSync(folder, { recursive: true })
  const stamp = { commit: git('rev-parse', '--short', 'HEAD').trim(), versions: installedVersions() }
  writeFileSync(join(folder, `${part}-${hash}.json`), `${JSON.stringify(stamp)}\n`)
}
