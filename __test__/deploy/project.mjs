// A project of a user's, in a folder of its own, with the packed tarballs installed in it.

import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const tools = fileURLToPath(new URL('node_modules/', import.meta.url))
export const runtimes = join(root, '__test__', 'runtimes', 'node_modules')
const release = join(root, 'release')
export const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
// With one for glibc, one for musl may lie there, and the command-line tool does.
export const library = readdirSync(join(root, 'npm'))
  .toSorted()
  .map((platform) => `memory-map-${platform}`)
  .find((name) => existsSync(join(release, name)))
export const tarballs = [`memory-map-${version}.tgz`, `${library}-${version}.tgz`].map((name) => join(release, name))

/** What every program does: it maps a file, is told a fault, and locks. */
export const body = `
const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'deployed-')), 'file')
fs.writeFileSync(file, Buffer.alloc(8192))
const map = mapShared(file, { protection: 'read-write', onFault: ({ kind }) => console.log(kind, result) })
const result = new Mutex(map, 0).tryLock()
fs.truncateSync(file, 0)
map.buffer[5000] = 1
setTimeout(() => map.close(), 200)
`
export const expected = 'beyond-end acquired'
const modules = ['fs', 'os', 'path']
export const esm = `${modules.map((name) => `import ${name} from 'node:${name}'`).join('\n')}
import { mapShared } from 'memory-map'
import { Mutex } from 'memory-map/sync'
${body}`
export const cjs = `${modules.map((name) => `const ${name} = require('node:${name}')`).join('\n')}
const { mapShared } = require('memory-map')
const { Mutex } = require('memory-map/sync')
${body}`

export class Project {
  folder = mkdtempSync(join(tmpdir(), 'memory-map-deploy-'))

  constructor(files = {}) {
    const modules = join(this.folder, 'node_modules')
    for (const [index, name] of ['memory-map', library].entries()) {
      mkdirSync(join(modules, name), { recursive: true })
      execFileSync('tar', ['-xzf', tarballs[index], '-C', join(modules, name), '--strip-components=1'])
    }
    this.write({ 'package.json': '{ "private": true, "dependencies": { "memory-map": "*" } }', ...files })
  }

  path(...names) {
    return join(this.folder, ...names)
  }

  write(files) {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(this.path(name)), { recursive: true })
      writeFileSync(this.path(name), text)
    }
  }

  /** Runs a program in the project; says what it writes. */
  run(command, args, options) {
    return run(command, args, { cwd: this.folder, ...options })
  }

  /** Runs a tool by the path of its program inside the tools' node_modules. */
  tool(path, args, options) {
    return this.run(process.execPath, [join(tools, path), ...args], options)
  }

  /** Copies what was deployed to a folder of its own, and takes away the project, which it might still read. */
  deploy(...names) {
    const target = mkdtempSync(join(tmpdir(), 'memory-map-deployed-'))
    for (const [from, to = from] of names.map((name) => [name].flat())) {
      cpSync(this.path(from), join(target, to), { recursive: true, verbatimSymlinks: true })
    }
    this.remove()
    return target
  }

  /** Copies the library's package into what is deployed. */
  static libraryTo(folder) {
    const target = join(folder, 'node_modules', library)
    mkdirSync(target, { recursive: true })
    execFileSync('tar', ['-xzf', tarballs[1], '-C', target, '--strip-components=1'])
  }

  remove() {
    if (existsSync(this.folder)) renameSync(this.folder, `${this.folder}-gone`)
    rmSync(`${this.folder}-gone`, { recursive: true, force: true })
  }
}

export async function run(command, args, { env, ...options } = {}) {
  try {
    const { NODE_OPTIONS: _, ...inherited } = process.env
    const { stdout, stderr } = await promisify(execFile)(command, args, {
      timeout: 240_000,
      maxBuffer: 2 ** 26,
      env: { ...inherited, CI: '1', NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', ...env },
      ...options,
    })
    return stdout + stderr
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${error.stdout}`.slice(-4000), { cause: error })
  }
}
