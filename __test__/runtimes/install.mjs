// Installs the runtimes listed in package.json beside this file, so that ../helpers/runtimes.ts finds them.
// Nothing is done when they are there already: a stamp in node_modules holds the hash of the lock file they came from.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const stampFile = fileURLToPath(new URL('node_modules/.lock-hash', import.meta.url))

function hostCanRunThem() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false
  return process.report.getReport().header.glibcVersionRuntime !== undefined
}

function lockHash() {
  const lock = readFileSync(new URL('package-lock.json', import.meta.url))
  return createHash('sha256').update(lock).digest('hex')
}

function installedHash() {
  try {
    return readFileSync(stampFile, 'utf8')
  } catch {
    return undefined
  }
}

function npmCi() {
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' })
  if (npm.error) throw npm.error
  if (npm.status !== 0) throw new Error(`npm ci ended with ${npm.status ?? npm.signal}`)
}

if (!hostCanRunThem()) {
  console.log('The test runtimes are for Linux x64 with glibc: only the host runtime is used here.')
} else if (installedHash() !== lockHash()) {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
  console.log(`Downloads ${Object.keys(dependencies).join(', ')} to run the tests on: 930 MB in ${folder}node_modules`)
  npmCi()
  writeFileSync(stampFile, lockHash())
}
