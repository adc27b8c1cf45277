// Package managers: each installs the package from a registry in an empty project, and the program runs there.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { cjs, esm, expected, library, run, runtimes, tools, version } from './project.mjs'
import { startRegistry } from './registry.mjs'

const node = process.execPath
const bun = join(runtimes, 'bun', 'bin', 'bun')
const deno = join(runtimes, 'deno', 'deno')
const tool = (path) => join(tools, path)
const yarn4 = tool('@yarnpkg/cli-dist/bin/yarn.js')
let registry

/** A project, and options to run programs in it; what managers keep for other projects goes with it. */
async function empty(files = {}) {
  registry ??= startRegistry()
  const address = await registry
  const cwd = mkdtempSync(join(tmpdir(), 'memory-map-install-'))
  const all = {
    'package.json': JSON.stringify({ private: true, dependencies: { 'memory-map': version } }),
    '.npmrc': `registry=${address}\n`,
    'app.mjs': esm,
    'app.cjs': cjs,
    ...files,
  }
  for (const [name, text] of Object.entries(all)) writeFileSync(join(cwd, name), text)
  const env = {
    CI: '',
    HOME: cwd,
    XDG_CACHE_HOME: join(cwd, '.cache'),
    npm_config_registry: address,
    npm_config_cache: join(cwd, '.npm'),
    npm_config_update_notifier: 'false',
    NPM_CONFIG_REGISTRY: address,
    BUN_CONFIG_REGISTRY: address,
    BUN_INSTALL_CACHE_DIR: join(cwd, '.bun'),
    DENO_DIR: join(cwd, '.deno'),
    YARN_NPM_REGISTRY_SERVER: address,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_GLOBAL_FOLDER: join(cwd, '.yarn'),
    YARN_ENABLE_TELEMETRY: 'false',
  }
  return { cwd, env }
}

async function both(options) {
  const outputs = []
  for (const file of ['app.mjs', 'app.cjs']) outputs.push(await run(node, [file], options))
  return outputs
}

const importing = `import('memory-map').catch(({ code, message }) => console.log(code, message))`

const npm = (options, ...args) => run('npm', [...args, '--no-audit', '--no-fund'], options)

/** The packages with a library that are installed. */
const libraries = ({ cwd }) => readdirSync(join(cwd, 'node_modules')).filter((name) => name.startsWith('memory-map-'))

/** It needs Node 22; the programs run on this one. */
const pnpm = (options, ...args) =>
  run(
    join(runtimes, 'node22', 'bin', 'node'),
    [tool('pnpm/bin/pnpm.mjs'), 'install', `--store-dir=${join(options.cwd, '.pnpm')}`, ...args],
    options,
  )

const pnpmProject =
  (...args) =>
  async () => {
    const options = await empty()
    await pnpm(options, ...args)
    return [...(await both(options)), await run(node, ['--preserve-symlinks', 'app.mjs'], options)]
  }

/** A package of a workspace that depends on it; gives the options to run programs there. */
function workspace(options) {
  const cwd = join(options.cwd, 'app')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), `{ "name": "app", "dependencies": { "memory-map": "${version}" } }`)
  for (const [name, text] of Object.entries({ 'app.mjs': esm, 'app.cjs': cjs })) writeFileSync(join(cwd, name), text)
  return { ...options, cwd }
}

const pnpmWorkspace =
  (...args) =>
  async () => {
    const options = await empty({ 'package.json': '{ "private": true }', 'pnpm-workspace.yaml': 'packages: [app]\n' })
    const app = workspace(options)
    await pnpm(options, ...args)
    return both(app)
  }

const yarn = (linker) => async () => {
  const options = await empty({ '.yarnrc.yml': `nodeLinker: ${linker}\n`, 'yarn.lock': '' })
  await run(node, [yarn4, 'install'], options)
  if (linker !== 'pnp') return both(options)
  return [await run(node, [yarn4, 'node', 'app.mjs'], options), await run(node, [yarn4, 'node', 'app.cjs'], options)]
}

const bunProject = (linker) => async () => {
  const options = await empty()
  await run(bun, ['install', '--no-progress', `--linker=${linker}`], options)
  return [...(await both(options)), await run(bun, ['app.mjs'], options)]
}

export const installers = {
  async npm() {
    const options = await empty()
    await npm(options, 'install')
    return both(options)
  },
  pnpm: pnpmProject(),
  'pnpm, hoisted': pnpmProject('--node-linker=hoisted'),
  'pnpm, a package of a workspace': pnpmWorkspace(),
  'pnpm, a package of a workspace, hoisted': pnpmWorkspace('--node-linker=hoisted'),
  async 'Yarn 1'() {
    const options = await empty()
    await run(node, [tool('yarn/bin/yarn.js'), 'install', '--no-lockfile'], options)
    return both(options)
  },
  'Yarn 4, node_modules': yarn('node-modules'),
  'Yarn 4, the linker pnpm': yarn('pnpm'),
  "Yarn 4, Plug'n'Play": yarn('pnp'),
  Bun: bunProject('hoisted'),
  'Bun, isolated': bunProject('isolated'),
  async Deno() {
    const options = await empty()
    await run(deno, ['install', '--node-modules-dir=auto'], options)
    return [...(await both(options)), await run(deno, ['run', '-A', 'app.mjs'], options)]
  },
  async 'Deno, without node_modules'() {
    const options = await empty({ 'app.mjs': esm.replaceAll("'memory-map", "'npm:memory-map") })
    return run(deno, ['run', '-A', '--no-check', '--node-modules-dir=none', 'app.mjs'], options)
  },
  async 'npm, linked'() {
    const options = await empty()
    await npm(options, 'install', '--install-strategy=linked')
    return both(options)
  },
  async 'npm, --omit=optional: the error says what to do'() {
    const options = await empty()
    await npm(options, 'install', '--omit=optional')
    const said = await run(node, ['-e', importing], options)
    return said.includes('ERR_MMAP_UNSUPPORTED') && said.includes('without --omit=optional') ? expected : said
  },
  async 'npm ci for another platform'() {
    const options = await empty()
    await npm(options, 'install')
    await npm(options, 'ci', '--os=linux', '--cpu=arm64', '--libc=musl')
    const found = `${libraries(options)}`
    const said = await run(node, ['-e', importing], options)
    if (!said.includes('What is installed is for linux-arm64-musl')) return said
    await npm(options, 'ci')
    return found === 'memory-map-linux-arm64-musl' ? [expected, ...(await both(options))] : found
  },
  async 'npm, the dependency of a workspace'() {
    const options = await empty({
      'package.json': JSON.stringify({ private: true, workspaces: ['app'] }),
    })
    const app = workspace(options)
    await npm(options, 'install')
    if (!existsSync(join(options.cwd, 'node_modules', library))) return 'not hoisted'
    return both(app)
  },
}
