// Deploys programs and runs tests that use the packed tarballs, with every tool at hand; prints a row for each.
//
//     npm run test:deploy                                 all
//     node __test__/deploy/run.mjs nft "Jest 30" webpack  those whose names have one of these, if all is installed and packed
//
// `npm run release -- --dry-run` makes the tarballs. Ends with 1 where one fails, and where a name is none's.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { compilers } from './compilers.mjs'
import { deployments } from './deployments.mjs'
import { installers } from './installers.mjs'
import { expected } from './project.mjs'
import { runners } from './runners.mjs'

const asked = process.argv.slice(2).map((part) => part.toLowerCase())
const kinds = { deployed: deployments, tested: runners, installed: installers, compiled: compilers }
const rows = Object.entries(kinds).flatMap(([kind, all]) =>
  Object.entries(all).map(([name, attempt]) => ({ kind, name, attempt })),
)
const isAsked = ({ name }) => asked.length === 0 || asked.some((part) => name.toLowerCase().includes(part))
const unknown = asked.filter((part) => !rows.some(({ name }) => name.toLowerCase().includes(part)))
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
    failed++
    console.log(`FAILED  ${kind} ${name} (${seconds()})\n${String(error.message).replaceAll(/^/gm, '        ')}`)
  }
}
process.exit(failed === 0 ? 0 : 1)
