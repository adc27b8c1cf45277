// Deploys programs and runs tests that use the packed tarballs, with every tool at hand; prints a row for each.
//
//     npm run test:deploy                                 all
//     npm run test:deploy -- --quick                      one of each kind, with the few tools that those need
//     node __test__/deploy/run.mjs nft "Jest 30" webpack  those whose names have one of these, if all is installed and packed
//
// Ends with 1 where one fails, and where a name is none's.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { given } from '../../scripts/arguments.mjs'

/** What finds out in seconds that a whole kind of tool has lost the library. */
const quick = [
  '@vercel/nft (Vercel, Netlify)',
  'esbuild, CommonJS, library copied beside',
  'webpack 5',
  'bun build --compile',
  'Single executable application (SEA), Node 20',
  'Jest 30',
  'node:test',
  'deno run with --allow-ffi and a folder',
  'npm',
  "Yarn 4, Plug'n'Play",
]

/** How ../../.ci/platforms/tools say that this machine cannot. */
const CANNOT_RUN = 77

const flag = { type: 'boolean', default: false }
const { values: options, positionals: asked } = given(Infinity, { quick: flag, prepare: flag })
if (options.prepare) {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const npm = (...args) => execFileSync('npm', args, { cwd: root, stdio: 'inherit' })
  const less = options.quick ? ['--omit=dev'] : []
  npm('ci', '--prefix', '__test__/deploy', '--ignore-scripts', '--no-audit', '--no-fund', ...less)
  execFileSync(process.execPath, [join(root, '__test__', 'runtimes', 'install.mjs')], { stdio: 'inherit' })
  npm('run', 'release', '--', '--dry-run')
}

// These look into what was packed.
const { deployments } = await import('./deployments.mjs')
const { runners } = await import('./runners.mjs')
const { installers } = await import('./installers.mjs')
const { roots } = await import('./roots.mjs')
const { compilers } = await import('./compilers.mjs')
const { expected } = await import('./project.mjs')

const kinds = { deployed: deployments, tested: runners, installed: installers, rooted: roots, compiled: compilers }
const rows = Object.entries(kinds).flatMap(([kind, all]) =>
  Object.entries(all).map(([name, attempt]) => ({ kind, name, attempt })),
)
const parts = asked.map((part) => part.toLowerCase())
const isAsked = ({ name }) =>
  options.quick ? quick.includes(name) : parts.length === 0 || parts.some((part) => name.toLowerCase().includes(part))
const unknown = [
  ...quick.filter((known) => !rows.some(({ name }) => name === known)),
  ...parts.filter((part) => !rows.some(({ name }) => name.toLowerCase().includes(part))),
]
for (const part of unknown) console.log(`FAILED  no row's name has "${part}"`)

// All that is made goes with the folder, whoever makes it.
const folder = mkdtempSync(join(tmpdir(), 'memory-map-deploy-'))
process.env.TMPDIR = folder
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

let failed = unknown.length
for (const { kind, name, attempt } of rows.filter(isAsked)) {
  const start = performance.now()
  const seconds = () => `${Math.round((performance.now() - start) / 1000)} s`
  try {
    const outputs = [await attempt()].flat()
    const wrong = outputs.filter((output) => !output.includes(kind === 'tested' || kind === 'compiled' ? '' : expected))
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
    console.log(`ok      ${kind} ${name} (${seconds()})`)
  } catch (error) {
    if (error.status === CANNOT_RUN) {
      console.log(`NOT RUN ${kind} ${name}`) // why is said above
      continue
    }
    failed++
    console.log(`FAILED  ${kind} ${name} (${seconds()})\n${String(error.message).replaceAll(/^/gm, '        ')}`)
  }
}
process.exit(failed === 0 ? 0 : 1)
