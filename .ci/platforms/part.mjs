// Runs one part of the matrix: `node .ci/platforms/part.mjs musl`. A step that fails keeps no other from running, and is
// named at the end. Ends with 77 after a line "not run: why" where this machine cannot run it. `part.mjs musl library` builds
// its library, and no more. What is downloaded or built once is kept in $MEMORY_MAP_CACHE, or else in ~/.cache/memory-map.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chosen, given } from '../../scripts/arguments.mjs'
import { libraryOf } from '../../scripts/build-release.mjs'
import { zig } from '../../scripts/zig.mjs'
import { parts } from './matrix.mjs'
import { nodeFor } from './node.mjs'
import { tool } from './tool.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))
const runtimes = join(root, '__test__', 'runtimes')
const [asked = '', ...rest] = given(2).positionals
const [name] = chosen('part', [asked], Object.keys(parts))
chosen('step', rest, ['library'])
const part = parts[name]
const work = join(root, 'target', 'platforms', name)
const stage = join(work, 'stage')

/** How tools say that this machine cannot. */
const NOT_RUN = 77
/** The steps that have failed, or cannot be run. */
const failed = []

function run(command, args, { cwd = root, env = {} } = {}) {
  execFileSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 1, 2] })
}

/** Runs a step, and says whether it has passed. */
function passes(step, body) {
  try {
    body()
    return true
  } catch (error) {
    console.error(error.message)
    failed.push({ step, code: error.status ?? 1 })
    return false
  }
}

/** What Cargo needs for another system: Debian's compiler, a standard library made with it, and zig to link. */
function cross(target, mode) {
  tool('packages.sh', 'rustc-web', 'cargo-web', 'rust-web-src', ...(part.lint ? ['rust-web-clippy'] : []))
  const flags = [`--sysroot=${tool('std.sh', target, ...(mode ? [mode] : []))}`]
  if (target.endsWith('musl')) flags.push('-C target-feature=-crt-static')
  return { CARGO: '/usr/bin/cargo', RUSTC: '/usr/bin/rustc', RUSTFLAGS: flags.join(' '), ...folders(zig()) }
}

function folders(...first) {
  return { CARGO_TARGET_DIR: join(root, 'target', 'platforms'), PATH: [...first, process.env.PATH].join(':') }
}

/** The library for the part, as it is published where it is. */
function build() {
  const { target, rustflags, unpublished } = part
  if (rustflags) {
    const env = { RUSTFLAGS: rustflags, CARGO_TARGET_DIR: work }
    run('cargo', ['build', '--release', '--locked', '--quiet', '--package', 'memory-map-node'], { env })
    return named(join(work, 'release'), 'linux-x64-gnu')
  }
  const env = target.startsWith('x86_64-unknown-linux-gnu') ? folders() : cross(target)
  if (unpublished) {
    run('cargo-zigbuild', ['build', '--locked', '--release', '--package', 'memory-map-node', '--target', target], {
      env,
    })
    return named(join(env.CARGO_TARGET_DIR, target, 'release'), unpublished)
  }
  run(process.execPath, ['scripts/build-release.mjs', '--target', target], { env })
  return libraryOf(target)
}

function named(folder, platform) {
  const library = join(work, `memory-map.${platform}.node`)
  cpSync(join(folder, 'libmemory_map_node.so'), library)
  return library
}

/** A copy of this package and its tests in which `library` is the only native one, as where it was installed. */
function makeStage(library) {
  rmSync(stage, { recursive: true, force: true })
  tool('stage.sh', stage, library)
  const { host, debian, compiler } = part.node
  if (host) return
  // Debian's Node 20 takes no types away, and later ones need no loader, which would be a library for this machine.
  if (debian) run(process.execPath, [join(here, 'strip-types.mjs'), stage])
  const manifest = JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8'))
  manifest.ava.nodeArguments = [...(debian ? ['--import=./typescript.mjs'] : []), '--expose-gc']
  writeFileSync(join(stage, 'package.json'), JSON.stringify(manifest))
  if (!compiler) return
  const include = join(root, 'node_modules', 'node-api-headers', 'include')
  const flags = ['-target', compiler, '-O2', '-shared', '-fPIC', '-pthread', `-I${include}`]
  for (const addon of ['fixture', 'forbid']) {
    const [source, target] = ['c', 'node'].map((end) => join(stage, '__test__', 'addon', `${addon}.${end}`))
    run(join(zig(), 'zig'), ['cc', ...flags, source, '-o', target])
  }
}

function runSpecs(node, specs) {
  const options = part.node.debian ? ['--serial'] : [] // all at once need more addresses or time than there is
  for (const title of part.without ?? []) options.push('--match', `!${title}`)
  const files = specs.map((spec) => `__test__/${spec}.spec.ts`)
  // AVA says nothing of a file that is not there.
  const gone = files.filter((file) => !existsSync(join(stage, file)))
  if (gone.length > 0) throw new Error(`there is no ${gone.join(', ')}`)
  run(node, ['node_modules/ava/entrypoints/cli.mjs', ...options, ...files], { cwd: stage })
}

function testAddon() {
  const { node, specs, specsOnOtherNodes = [] } = part
  const command = nodeFor(node, work)
  const installed = join(stage, '__test__', 'runtimes', 'node_modules')
  if (specsOnOtherNodes.length > 0) {
    run(process.execPath, [join(runtimes, 'install.mjs')])
    symlinkSync(join(runtimes, 'node_modules'), installed)
  }
  passes('specs', () => runSpecs(command, specs))
  if (specsOnOtherNodes.length === 0) return
  rmSync(installed)
  for (const other of readdirSync(join(runtimes, 'node_modules')).filter((folder) => folder.startsWith('node'))) {
    const binary = join(runtimes, 'node_modules', other, 'bin', 'node')
    if (execFileSync(binary, ['-v'], { encoding: 'utf8' }).trim() === process.version) continue
    console.log(`== ${other}`)
    passes(`specs on ${other}`, () => runSpecs(binary, specsOnOtherNodes))
  }
}

/**
 * The tests of the core where there is a kernel for them, or here if this one runs them. In a machine without those of
 * searches, the fuzz targets and the models, which ask little of a system and take an emulator long. Without optimisation
 * they take minutes here, too.
 */
function testCore() {
  const { machine, target } = part
  const env = { ...cross(target), CARGO_PROFILE_DEV_OPT_LEVEL: '1' }
  const args = ['test', '--locked', '--package', 'memory-map', '--target', target]
  if (part.node?.chroot) {
    env[`CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUNNER`] = join(work, 'run')
    return run('cargo-zigbuild', [...args, '--no-fail-fast', '--tests'], { env })
  }
  if (machine.pageSize) env.TEST_PAGE_SIZE = String(machine.pageSize)
  const programs = readdirSync(join(root, 'crates', 'memory-map', 'tests'))
    .filter((file) => !/^(common|fuzz|lines|models|search)/.test(file))
    .map((file) => basename(file, '.rs'))
  const tests = ['--lib', ...programs.flatMap((program) => ['--test', program])]
  const options = { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }
  const output = execFileSync('cargo-zigbuild', [...args, ...tests, '--no-run', '--message-format=json'], options)
  const built = output.split('\n').flatMap((line) => (line.startsWith('{') ? (JSON.parse(line).executable ?? []) : []))
  writeFileSync(join(work, 'programs'), built.map((program) => `${program}\n`).join(''))
  run(join(here, 'tools', 'machine.sh'), [work, machine.architecture, machine.kernel])
}

function shareWords() {
  run('npm', ['run', 'build:native']) // for the process of this machine
  run(process.execPath, [join(here, 'words.mjs'), join(work, 'node'), stage, work])
}

function lint(target, { link, check }) {
  const env = cross(target, check.includes(target) ? 'check' : undefined)
  const clippy = ['clippy', '--locked', '--target', target]
  // The first cargo-clippy on the PATH must be the one of the compiler.
  const own = { ...env, PATH: `/usr/bin:${env.PATH}` }
  // Where a thread's values are found by keys, Clippy does not see that they are constants.
  const allowed = target.includes('android') ? ['-A', 'clippy::missing_const_for_thread_local'] : []
  for (const what of [['--workspace'], ['--package', 'memory-map', '--all-targets']]) {
    const args = [...clippy, ...what, '--', '-D', 'warnings', ...allowed]
    passes(`Clippy for ${target}: ${what.join(' ')}`, () => run('cargo', args, { env: own }))
  }
  if (link.includes(target)) run(process.execPath, ['scripts/build-release.mjs', '--target', target], { env })
}

mkdirSync(work, { recursive: true })
if (rest.length > 0) passes('library', build)
else runAll()
for (const { step, code } of failed) {
  console.error(code === NOT_RUN ? `NOT RUN: ${step}` : `FAILED: ${step} (exit code ${code})`)
}
if (failed.length > 0) process.exitCode = failed.every(({ code }) => code === NOT_RUN) ? NOT_RUN : 1

function runAll() {
  const { lint: targets, specs, machine, node, shares, script } = part
  for (const target of targets ? [...targets.link, ...targets.check] : []) {
    passes(`library for ${target}`, () => lint(target, targets))
  }
  const isStaged = specs && passes('library', () => makeStage(build()))
  if (isStaged) passes('Node', testAddon)
  if (machine || node?.chroot) passes('core', testCore)
  if (isStaged && shares) passes('words', shareWords)
  if (script) passes(script, () => run(join(here, script), []))
}
