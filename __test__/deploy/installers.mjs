// Package managers: each installs the tarballs in an empty project, and the program runs there.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { cjs, esm, library, run, runtimes, tarballs, tools } from './project.mjs'

const node = process.execPath
const bun = join(runtimes, 'bun', 'bin', 'bun')
const tool = (path) => join(tools, path)
const files = tarballs.map((path) => `file:${path}`)
const manifest = { private: true, dependencies: { 'memory-map': files[0], [library]: files[1] } }
// Only this machine's library is packed: of the others nobody is asked.
const others = (name) => ({ [name]: Object.fromEntries(platforms().map((one) => [one, files[1]])) })

function platforms() {
  const packed = execFileSync('tar', ['-xzOf', tarballs[0], 'package/package.json'], { encoding: 'utf8' })
  return Object.keys(JSON.parse(packed).optionalDependencies)
}

function empty(more = {}, texts = {}) {
  const cwd = mkdtempSync(join(tmpdir(), 'memory-map-install-'))
  const all = { 'package.json': JSON.stringify({ ...manifest, ...more }), 'app.mjs': esm, 'app.cjs': cjs, ...texts }
  for (const [name, text] of Object.entries(all)) writeFileSync(join(cwd, name), text)
  return { cwd, env: { CI: '' } }
}

async function both(options, before = []) {
  const outputs = []
  for (const file of ['app.mjs', 'app.cjs']) outputs.push(await run(node, [...before, file], options))
  return outputs
}

const pnpm =
  (...args) =>
  async () => {
    const options = empty(
      { pnpm: { overrides: others('pnpm').pnpm } },
      {
        'pnpm-workspace.yaml': `overrides:\n${platforms()
          .map((one) => `  ${one}: ${files[1]}\n`)
          .join('')}`,
      },
    )
    await run(node, [tool('pnpm/bin/pnpm.mjs'), 'install', '--ignore-scripts', ...args], options)
    return both(options)
  }

const yarn4 = (linker, before) => async () => {
  const options = empty(
    { resolutions: others('yarn').yarn },
    { '.yarnrc.yml': `nodeLinker: ${linker}\nenableTelemetry: false\n`, 'yarn.lock': '' },
  )
  await run(node, [tool('@yarnpkg/cli-dist/bin/yarn.js'), 'install'], options)
  return both(options, before)
}

export const installers = {
  async npm() {
    const options = empty({ dependencies: {} })
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--offline', ...tarballs], options)
    return both(options)
  },
  pnpm: pnpm(),
  'pnpm, hoisted': pnpm('--node-linker=hoisted'),
  async 'Yarn 1'() {
    const options = empty({ resolutions: others('yarn').yarn })
    await run(node, [tool('yarn/bin/yarn.js'), 'install', '--ignore-scripts', '--no-lockfile', '--offline'], options)
    return both(options)
  },
  'Yarn 4, node_modules': yarn4('node-modules'),
  "Yarn 4, Plug'n'Play": async () => {
    const options = empty(
      { resolutions: others('yarn').yarn },
      { '.yarnrc.yml': 'nodeLinker: pnp\nenableTelemetry: false\n', 'yarn.lock': '' },
    )
    const yarn = tool('@yarnpkg/cli-dist/bin/yarn.js')
    await run(node, [yarn, 'install'], options)
    return [await run(node, [yarn, 'node', 'app.mjs'], options), await run(node, [yarn, 'node', 'app.cjs'], options)]
  },
  async Bun() {
    const options = empty({ overrides: others('bun').bun })
    await run(bun, ['install', '--no-progress'], { ...options, env: { BUN_CONFIG_REGISTRY: 'http://127.0.0.1:9/' } })
    return both(options)
  },
}
