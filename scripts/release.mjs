// Publishes a version: the libraries first, then the package that asks for them, then the tool that asks for the package.
//
//     npm run release -- --dry-run               # everything but publishing, with this machine's library
//     npm run release -- --artifacts <folder>    # with the libraries that lie in a folder, as in CI

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { build, hostTarget, libraryOf } from './build-release.mjs'
import {
  author,
  bugs,
  homepage,
  name,
  packageName,
  packLibrary,
  packPackage,
  packTool,
  repository,
  targets,
  version,
} from './pack.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const { values: options } = parseArgs({ options: { 'dry-run': { type: 'boolean' }, artifacts: { type: 'string' } } })
const dryRun = options['dry-run'] ?? false

function read(path) {
  return readFileSync(join(root, path), 'utf8')
}

function run(command, args) {
  return execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Copies the libraries in a folder into their packages. */
function collect(folder) {
  for (const library of targets.map(libraryOf)) {
    const artifact = join(folder, basename(library))
    if (existsSync(artifact)) copyFileSync(artifact, library)
  }
}

/** The places whose version differs from package.json's. */
function versionsOutOfStep() {
  const lock = JSON.parse(read('package-lock.json'))
  const locked = (crate) => new RegExp(`name = "${crate}"\\nversion = "(.*)"`).exec(read('Cargo.lock'))?.[1]
  const versions = {
    'package-lock.json': lock.version,
    'package-lock.json, packages': lock.packages[''].version,
    'cli/package.json': JSON.parse(read('cli/package.json')).version,
    'cli/package-lock.json': JSON.parse(read('cli/package-lock.json')).version,
    'Cargo.toml': /^version = "(.*)"/m.exec(read('Cargo.toml'))?.[1],
    'Cargo.lock, memory-map': locked('memory-map'),
    'Cargo.lock, memory-map-node': locked('memory-map-node'),
  }
  return Object.entries(versions)
    .filter(([, found]) => found !== version)
    .map(([place, found]) => `${place} has version ${found}, package.json ${version}`)
}

/** What a version must have before it is published, and a checkout need not. */
function notYet() {
  const heading = read('CHANGELOG.md').match(new RegExp(`^## ${version.replaceAll('.', '\\.')} \\((.*)\\)$`, 'm'))
  const tag = process.env.GITHUB_REF_TYPE === 'tag' ? process.env.GITHUB_REF_NAME : `v${version}`
  return [
    ...(heading ? [] : [`CHANGELOG.md has no heading "## ${version} (date)"`]),
    ...(heading?.[1] === 'unreleased' ? [`CHANGELOG.md has no date for ${version}`] : []),
    ...(run('git', ['status', '--porcelain']) === '' ? [] : ['there are changes that are not committed']),
    ...(tag === `v${version}` ? [] : [`the tag is ${tag}, not v${version}`]),
    ...(repository ? [] : ["package.json has no repository, which npm's provenance needs"]),
    ...Object.entries({ homepage, bugs, author }).flatMap(([key, value]) =>
      value ? [] : [`package.json has no ${key}`],
    ),
    ...targets.filter((target) => !existsSync(libraryOf(target))).map((target) => `no library for ${target}`),
  ]
}

function isPublished(id) {
  try {
    return run('npm', ['view', id, 'version']).trim() !== ''
  } catch {
    return false
  }
}

/**
 * Publishes a package unless an earlier release that failed has done so. Only a workflow can prove provenance, and npm
 * trusts workflows for packages that exist already: the first version is published by hand.
 */
function publish({ id, tarball }) {
  const provenance = process.env.GITHUB_ACTIONS ? ['--provenance'] : []
  if (isPublished(id)) console.log(`${id} is published already`)
  else execFileSync('npm', ['publish', tarball, '--access', 'public', ...provenance], { stdio: 'inherit' })
}

run('npx', ['napi', 'create-npm-dirs'])
if (options.artifacts) collect(options.artifacts)
else if (dryRun) build(hostTarget())
run('npm', ['run', 'build:ts'])

const missing = notYet()
const packed = [...targets.map(packLibrary).filter(Boolean), packPackage(), packTool()]
const wrong = [
  ...versionsOutOfStep(),
  ...packed.flatMap(({ id, complaints }) => complaints.map((complaint) => `${id}: ${complaint}`)),
]

for (const { id, size, files } of packed) {
  console.log(`${dryRun ? 'would publish' : 'publishes'} ${id}: ${Math.ceil(size / 1000)} kB, ${files.length} files`)
}
const absent = targets.filter((target) => !packed.some(({ id }) => id === `${packageName(target)}@${version}`))
if (dryRun && absent.length > 0) console.log(`${name} ${version} needs besides: ${absent.map(packageName).join(', ')}`)
for (const problem of wrong) console.error(`wrong: ${problem}`)
for (const problem of missing) console.error(`${dryRun ? 'not yet' : 'wrong'}: ${problem}`)

if (wrong.length > 0 || (!dryRun && missing.length > 0)) process.exit(1)
if (!dryRun) packed.forEach(publish)
