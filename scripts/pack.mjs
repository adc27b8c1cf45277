// Makes the tarballs that are published, in release/: one of the package, one for each platform that has a library, and
// one of the command-line tool.
//
// The package's optionalDependencies are written here and not in the repository: of packages that are not published yet
// npm writes nothing into the lock file, and then `npm ci` refuses it; and whoever published one of their names first
// would run code in every checkout.

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseTriple } from '@napi-rs/cli'

import { check, libraryOf } from './build-release.mjs'
import { bill, linkedCrates, notices } from './linked.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const release = join(root, 'release')
const manifest = readJson(join(root, 'package.json'))

export const { name, version } = manifest
export const targets = manifest.napi.targets

/** What a repository's package.json says that is of no use to those who install the package. */
const ofTheRepository = new Set(['scripts', 'devDependencies', 'overrides', 'napi', 'ava', 'prettier'])

const KB = 1000
const maxSizes = { package: 320 * KB, library: 1000 * KB, tool: 20 * KB }

/** npm's provenance needs the repository; in a workflow it is known. */
export const repository = manifest.repository ?? inWorkflow(process.env)

/** The same for all packages, from package.json. */
export const { homepage, bugs, author } = manifest

const NOTICES = 'THIRD-PARTY-NOTICES.txt'
const BILL = 'sbom.cdx.json'

function inWorkflow({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: path }) {
  return path && { type: 'git', url: `git+${server}/${path}.git` }
}

/**
 * @typedef {object} Packed
 * @property {string} id name and version
 * @property {string} tarball its path
 * @property {number} size in bytes
 * @property {string[]} files what is in it
 * @property {string[]} complaints what is wrong with it
 */

/** Packs the package. @returns {Packed} */
export function packPackage() {
  const folder = join(release, name)
  rmSync(folder, { recursive: true, force: true })
  for (const file of npmPack(root, ['--dry-run']).files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    copyFileSync(join(root, file), join(folder, file))
  }
  const entries = Object.entries({ ...manifest, repository }).filter(([key]) => !ofTheRepository.has(key))
  const names = targets.map((target) => packageName(target)).toSorted()
  const optionalDependencies = Object.fromEntries(names.map((dependency) => [dependency, version]))
  writeJson(join(folder, 'package.json'), { ...Object.fromEntries(entries), optionalDependencies })
  const parts = names.map((dependency) => ({ kind: 'npm', name: dependency, version, license: manifest.license }))
  writeJson(join(folder, BILL), bill(manifest, parts))
  const pages = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.md'))
  for (const page of pages) {
    const path = join(folder, page)
    writeFileSync(path, linkedFromPackage(readFileSync(path, 'utf8'), dirname(path), folder))
  }
  const packed = npmPack(folder)
  return { ...packed, complaints: [...tooLarge(packed, maxSizes.package), ...notOurs(packed.files)] }
}

/** Packs the command-line tool, which asks for the package of its own version. @returns {Packed} */
export function packTool() {
  const source = join(root, 'cli')
  const { dependencies, ...entries } = readJson(join(source, 'package.json'))
  const folder = join(release, entries.name)
  rmSync(folder, { recursive: true, force: true })
  for (const file of npmPack(source, ['--dry-run']).files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    copyFileSync(join(source, file), join(folder, file))
  }
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  const asked = { ...dependencies, [name]: version }
  writeJson(join(folder, 'package.json'), { ...entries, repository, homepage, bugs, author, dependencies: asked })
  const page = join(folder, 'README.md')
  writeFileSync(page, linkedFromPackage(readFileSync(page, 'utf8'), folder, release))
  const packed = npmPack(folder)
  return { ...packed, complaints: tooLarge(packed, maxSizes.tool) }
}

/**
 * A page whose links to what is not in the package go to the repository; where that is not known, there is the text alone.
 * @param {string} page what it says
 * @param {string} from the folder that it is in
 * @param {string} folder the package's
 */
export function linkedFromPackage(page, from, folder, source = repository?.url ?? repository) {
  const web = source?.replace(/^git\+/, '').replace(/\.git$/, '')
  const absolute = (link) => {
    const [path] = link.split('#', 1)
    if (path === '' || /^[a-z]+:/.test(path) || existsSync(join(from, path))) return link
    return web && `${web}/raw/v${version}/${relative(folder, join(from, link)).replaceAll('\\', '/')}`
  }
  return page
    .replaceAll(/\[([^[\]]+)\]\(([^()\s]+)\)/g, (_, text, link) => {
      const to = absolute(link)?.replace('/raw/', /\.(svg|png)$/.test(link) ? '/raw/' : '/blob/')
      return to ? `[${text}](${to})` : text
    })
    .replaceAll(/<picture>.*<\/picture>\n*/g, (picture) => {
      const to = picture.replaceAll(/(src|srcset)="([^"]+)"/g, (_, key, link) => `${key}="${absolute(link) ?? ''}"`)
      return to.includes('=""') ? '' : to
    })
}

/** Packs the library of a target. @returns {Packed | undefined} nothing where it was not built */
export function packLibrary(target) {
  const { platformArchABI, platform, abi } = parseTriple(target)
  if (!existsSync(libraryOf(target))) return undefined
  const folder = join(release, packageName(target))
  rmSync(folder, { recursive: true, force: true })
  cpSync(join(root, 'npm', platformArchABI), folder, { recursive: true })
  const path = join(folder, 'package.json')
  const libc = platform === 'linux' && abi.startsWith('gnu') ? ['glibc'] : readJson(path).libc
  const library = basename(libraryOf(target))
  const crates = linkedCrates(target)
  const entry = {
    type: 'commonjs',
    main: 'index.js',
    // What Bun compiles into an executable are libraries that are required themselves.
    exports: { '.': { bun: `./${library}`, default: './index.js' }, './package.json': './package.json' },
    files: ['index.js', library, NOTICES, BILL],
    preferUnplugged: true,
  }
  writeJson(path, { ...readJson(path), ...entry, libc, repository, homepage, bugs, author })
  const parts = crates.map(({ name: crate, ...one }) => ({ kind: 'cargo', name: crate, ...one }))
  writeJson(join(folder, BILL), bill({ ...manifest, name: packageName(target) }, parts))
  writeFileSync(join(folder, NOTICES), notices(crates))
  writeFileSync(join(folder, 'index.js'), opener(library))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(join(folder, 'README.md'), readme(target))
  const packed = npmPack(folder)
  const wanted = ['LICENSE', 'README.md', NOTICES, 'index.js', library, 'package.json', BILL]
  const odd = `${packed.files}` === `${wanted}` ? [] : [`it has ${packed.files.join(', ')}`]
  return { ...packed, complaints: [...check(target), ...tooLarge(packed, maxSizes.library), ...odd] }
}

export function packageName(target) {
  return `${name}-${parseTriple(target).platformArchABI}`
}

/**
 * Loads the library beside it by a path that tracers and packers recognise as a file to include, and that bundlers which
 * know no libraries leave alone.
 */
function opener(library) {
  return `'use strict'
const path = require('node:path')
const library = path.join(__dirname, '${library}')
process.dlopen(module, path.toNamespacedPath(library))
`
}

function readme(target) {
  return `# ${packageName(target)}

The native library of ${name} for \`${target}\`. Install that package: it brings this one where it is needed.
`
}

/** Packs a folder. */
function npmPack(folder, options = []) {
  mkdirSync(release, { recursive: true })
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', release, ...options]
  // npm is a batch file on Windows, which takes a shell; no argument needs to be quoted.
  const shell = process.platform === 'win32'
  const [packed] = JSON.parse(
    execFileSync('npm', args, { cwd: folder, encoding: 'utf8', shell, stdio: ['ignore', 'pipe', 'ignore'] }),
  )
  const files = packed.files.map(({ path }) => path).toSorted()
  return { id: packed.id, tarball: join(release, packed.filename), size: packed.size, files }
}

function tooLarge({ size }, most) {
  return size < most ? [] : [`it has ${size} bytes, and ${most} are too many`]
}

/** Files that are none of the package's code, types and documentation. */
function notOurs(files) {
  const ours =
    /^(package\.json|sbom\.cdx\.json|LICENSE|(README|CHANGELOG|docs\/[\w-]+)\.md|(ts5\.6\/)?(index|sync)\.d\.c?ts|(index|sync)\.c?js)$/
  const code = ['index', 'sync'].flatMap((entry) => ['js', 'cjs', 'd.ts', 'd.cts'].map((end) => `${entry}.${end}`))
  const missing = [...code, 'LICENSE', 'README.md']
  return [
    ...files.filter((file) => !ours.test(file)).map((file) => `${file} does not belong there`),
    ...missing.filter((file) => !files.includes(file)).map((file) => `${file} is missing`),
  ]
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}
