// The programs that are measured: runtimes of JavaScript, and what C, Rust and Python can do.

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('..', import.meta.url))
const runtimes = path.join(here, '..', '__test__', 'runtimes')
const build = path.join(here, 'build')
const installed = (name, binary) => path.join(runtimes, 'node_modules', name, binary)

/** Runtimes and limits by name: what to run before the file of a benchmark, or the program's own path. */
export const programs = {
  node: [process.execPath, '--expose-gc', '--no-warnings'],
  node24: [installed('node24', 'bin/node'), '--expose-gc', '--no-warnings'],
  node26: [installed('node26', 'bin/node'), '--expose-gc', '--no-warnings', '--experimental-ffi'],
  bun: [installed('bun', 'bin/bun'), 'run', '--no-install'],
  deno: [installed('deno', 'deno'), 'run', '-A', '--no-check', '--quiet', '--v8-flags=--expose-gc'],
  c: [path.join(build, 'limits')],
  'c-search': [path.join(build, 'search')],
  'c-ipc': [path.join(build, 'ipc')],
  rust: [path.join(build, 'release', 'limits')],
  python: ['python3', path.join(here, 'limits', 'limits.py')],
}

/** Installs the peers and the runtimes, and builds the limits; what cannot be had is left out, and said. */
export function prepare() {
  installPeers()
  execFileSync(process.execPath, [path.join(runtimes, 'install.mjs')], { stdio: 'inherit' })
  fs.mkdirSync(build, { recursive: true })
  for (const name of ['limits', 'search', 'ipc']) {
    const source = path.join(here, 'limits', `${name}.c`)
    attempt(`cc ${name}.c`, () => run('cc', ['-O3', '-march=native', '-o', path.join(build, name), source]))
  }
  const manifest = path.join(here, 'limits', 'Cargo.toml')
  const cargo = ['build', '--quiet', '--release', '--locked', '--manifest-path', manifest, '--target-dir', build]
  const env = { ...process.env, RUSTFLAGS: '-C target-cpu=native' }
  attempt('cargo build', () => run('cargo', cargo, { env }))
}

function installPeers() {
  const lock = createHash('sha256')
    .update(fs.readFileSync(path.join(here, 'package-lock.json')))
    .digest('hex')
  const stamp = path.join(here, 'node_modules', '.lock-hash')
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === lock) return
  run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here })
  fs.writeFileSync(stamp, lock)
}

const run = (command, args, options) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })

function attempt(name, action) {
  try {
    action()
  } catch (error) {
    console.log(`not there: ${name}: ${String(error.message).split('\n')[0]}`)
  }
}

/** The first line that a program says about its version; undefined where it is missing. */
export function version(command, ...args) {
  try {
    return run(command, args).toString().trim().split('\n')[0]
  } catch {
    return undefined
  }
}

export const isThere = (name) => !path.isAbsolute(programs[name][0]) || fs.existsSync(programs[name][0])

export const peerVersion = (name) => {
  try {
    return JSON.parse(fs.readFileSync(path.join(here, 'node_modules', name, 'package.json'))).version
  } catch {
    return undefined
  }
}

/** Runs a program to its end, and reads the JSON that it prints last. */
export function ask(command, args) {
  const limit = { timeout: 120_000, killSignal: 'SIGKILL' }
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: quiet, ...limit })
  const [output, errors] = [[], []]
  child.stdout.on('data', (data) => output.push(data))
  child.stderr.on('data', (data) => errors.push(data))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(JSON.parse(Buffer.concat(output).toString().trim().split('\n').at(-1)))
      const said = /^\s*(?:error: )?(?:Uncaught )?(\w*Error.*)$/m.exec(Buffer.concat(errors).toString())
      reject(new Error(said?.[1] ?? `ended with ${signal ?? code}`))
    })
  })
}

const quiet = { ...process.env, DENO_NO_UPDATE_CHECK: '1', BUN_ENABLE_CRASH_REPORTING: '0', DO_NOT_TRACK: '1' }
