// `npm run fuzz -- TARGET [SECONDS]`: fuzzes a target of fuzz/src/targets, or with `all` each in turn. `npm run fuzz --
// TARGET FILE` runs it with one input, and `npm run fuzz -- TARGET merge` adds to the corpus what reaches code that the
// corpus does not. docs/testing.md has more.

import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { chosen, given, wholeNumber } from './arguments.mjs'
import { building, host, root, run } from './sanitized.mjs'

const corpora = join(root, 'fuzz', 'corpus')
const folder = join(root, 'target', 'fuzz')
const targets = readdirSync(corpora)

const [name = '', what = '60'] = given(2).positionals
const [only] = chosen('target', [name], ['all', ...targets])
const isFile = existsSync(resolve(what))
const seconds = isFile || what === 'merge' ? 0 : wholeNumber('SECONDS, or a file that is there, or merge', what, 1)

const coverage = ['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares', 'stack-depth']
const flags = [
  '--cfg=fuzzing',
  '-Zsanitizer=address',
  '-Ccodegen-units=1',
  '-Cpasses=sancov-module',
  ...coverage.map((kind) => `-Cllvm-args=-sanitizer-coverage-${kind}`),
]
const manifest = join(root, 'fuzz', 'Cargo.toml')
const cargo = ['build', '--release', '--locked', '--target', host, '--manifest-path', manifest, '--target-dir', folder]
if (!run('cargo', cargo, { env: building(flags) })) process.exit(1)

/** The arguments for libFuzzer. */
function toDo(target) {
  const [corpus, found] = [join(corpora, target), join(folder, 'corpus', target)]
  mkdirSync(found, { recursive: true })
  if (what === 'merge') return ['-merge=1', '-set_cover_merge=1', corpus, found]
  const limits = ['-timeout=60', '-max_len=400', `-artifact_prefix=${folder}/${target}-`]
  if (isFile) return [...limits, resolve(what)]
  return [...limits, `-max_total_time=${seconds}`, '-print_final_stats=1', found, corpus]
}

for (const target of only === 'all' ? targets : [only]) {
  console.log(`== ${target}`)
  const program = join(folder, host, 'release', 'fuzz')
  if (!run(program, toDo(target), { env: { FUZZ_TARGET: target } })) process.exitCode = 1
}
