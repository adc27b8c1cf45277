// The tarballs that are published, which `npm run release -- --dry-run` has put into release/: installed in an empty
// project, imported, required, compiled and bundled there.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'
import { build, type BuildOptions } from 'esbuild'

import { platforms } from '../../lib/platform.ts'
import { linkedFromPackage } from '../../scripts/pack.mjs'
import { run } from '../helpers/processes.ts'
import { runtimes } from '../helpers/runtimes.ts'
import { scratchFolder } from '../helpers/scratch.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const release = join(root, 'release')
const tools = fileURLToPath(new URL('node_modules/', import.meta.url))
// As the checkout finds it: the tools have an old compiler of their own.
const require = createRequire(join(root, 'package.json'))
const host = platforms().find((name) => readdirSync(release).includes(`memory-map-${name}`))!
const { version } = require('./package.json') as { version: string }
const tarballs = [`memory-map-${version}.tgz`, `memory-map-${host}-${version}.tgz`].map((name) => join(release, name))

/** An empty project with the package and the host's library installed; it asks no registry for the other libraries. */
function install(t: ExecutionContext): string {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], {
    cwd: folder,
    stdio: 'ignore',
  })
  return folder
}

/** What a command writes that has to succeed. */
async function output(t: ExecutionContext, command: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, { cwd })
  t.is(code, 0, stdout + stderr)
  return stdout
}

const use = `
  const map = mapAnonymous(4096, { shared: true })
  new Mutex(map, 0).lock()
  map.write(Buffer.from('mapped'), 64)
  console.log(map.view(64, 6).toString())
  map.close()`
const imported = `import { mapAnonymous } from 'memory-map'\nimport { Mutex } from 'memory-map/sync'\n${use}`
const required = `const { mapAnonymous } = require('memory-map')\nconst { Mutex } = require('memory-map/sync')\n${use}`

for (const { name, version, command, args } of runtimes()) {
  test(`installed, the package is imported and required: on ${name} ${version}`, async (t) => {
    const folder = install(t)
    writeFileSync(join(folder, 'import.mjs'), imported)
    writeFileSync(join(folder, 'require.cjs'), required)
    t.is(await output(t, command, [...args, 'import.mjs'], folder), 'mapped\n')
    t.is(await output(t, command, [...args, 'require.cjs'], folder), 'mapped\n')
  })
}

// Deno installs no tarballs: above it has what npm installs.
const bun = runtimes().find(({ name }) => name === 'bun')
if (bun) {
  test('Bun installs it, and runs it then', async (t) => {
    const folder = scratchFolder(t)
    const files = tarballs.map((tarball) => `file:${tarball}`)
    const dependencies = { 'memory-map': files[0], [`memory-map-${host}`]: files[1] }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
    writeFileSync(join(folder, 'import.mjs'), imported)
    // Nobody is there, who could be asked for the other libraries.
    const env = { ...process.env, BUN_CONFIG_REGISTRY: 'http://127.0.0.1:9/' }
    const { code, stderr } = await run(bun.command, ['install', '--no-progress'], { cwd: folder, env })
    t.is(code, 0, stderr)
    t.is(await output(t, bun.command, [...bun.args, 'import.mjs'], folder), 'mapped\n')
  })
}

test('both are one package: what is imported is what is required', async (t) => {
  const folder = install(t)
  writeFileSync(
    join(folder, 'both.mjs'),
    `import { createRequire } from 'node:module'
    import { MemoryMap } from 'memory-map'
    console.log(createRequire(import.meta.url)('memory-map').MemoryMap === MemoryMap)`,
  )
  t.is(await output(t, process.execPath, ['both.mjs'], folder), 'true\n')
})

test('the package asks for every library by its exact version', (t) => {
  const { optionalDependencies, scripts, devDependencies } = require(join(release, 'memory-map', 'package.json'))
  t.is(optionalDependencies[`memory-map-${host}`], version)
  t.is(Object.keys(optionalDependencies).length, require('./package.json').napi.targets.length)
  t.is(scripts, undefined)
  t.is(devDependencies, undefined)
})

test('links of the published pages are absolute, or to what is in the package', (t) => {
  const folder = join(release, 'memory-map')
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.md'))
  t.true(pages.includes('README.md'))
  for (const page of pages) {
    const text = readFileSync(join(folder, page), 'utf8')
    const links = [...text.matchAll(/\]\(([^()\s]+)\)|(?:href|src|srcset)="([^"]+)"/g)].map(
      (found) => found[1] ?? found[2]!,
    )
    for (const link of links.filter((one) => !/^(https?:|#)/.test(one))) {
      t.true(existsSync(join(folder, dirname(page), link.split('#')[0]!)), `${page}: ${link}`)
    }
  }
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const web = 'https://example.org/memory-map'
  const published = linkedFromPackage(readme, folder, folder, `git+${web}.git`)
  t.true(published.includes(`(${web}/blob/v${version}/ARCHITECTURE.md)`))
  t.true(published.includes(`src="${web}/raw/v${version}/bench/plots/open-light.svg"`))
  t.true(published.includes('(CHANGELOG.md)'))
})

test('what is linked in is listed, with its notices, and nothing tells of the machine that built it', (t) => {
  const folder = join(release, `memory-map-${host}`)
  const notices = readFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), 'utf8')
  const { components } = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8'))
  for (const crate of ['napi', 'memmap2', 'libloading', 'memchr']) {
    t.regex(notices, new RegExp(`^${crate} [\\d.]+ `, 'm'))
    t.true(
      components.some(({ purl }: { purl: string }) => purl.startsWith(`pkg:cargo/${crate}@`)),
      crate,
    )
  }
  const parts = JSON.parse(readFileSync(join(release, 'memory-map', 'sbom.cdx.json'), 'utf8')).components
  t.is(parts.length, require('./package.json').napi.targets.length)
  const library = readFileSync(join(folder, `memory-map.${host}.node`), 'latin1')
  t.false(library.includes(root))
  t.notRegex(library, /\.cargo\/registry/)
})

test('publint has nothing to say', async (t) => {
  const publint = join(tools, 'publint', 'src', 'cli.js')
  for (const tarball of tarballs) {
    t.regex(await output(t, process.execPath, [publint, '--strict', tarball], root), /All good!/)
  }
})

test('its types are found by every module resolution', async (t) => {
  const attw = join(tools, '@arethetypeswrong', 'cli', 'dist', 'index.js')
  t.regex(await output(t, process.execPath, [attw, tarballs[0]!], root), /No problems found/)
})

test('the packed types are complete', async (t) => {
  const folder = install(t)
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  mkdirSync(join(folder, 'node_modules', '@types'))
  symlinkSync(dirname(require.resolve('@types/node/package.json')), join(folder, 'node_modules', '@types', 'node'))
  const options = '--pretty false --noEmit --strict --target es2022 --module nodenext --types node'.split(' ')
  const lib = ['--lib', 'es2023,esnext.disposable']
  const files = ['user.mts', 'user.cts']
  for (const file of files) cpSync(fileURLToPath(new URL('../types/user.ts', import.meta.url)), join(folder, file))
  t.is(await output(t, process.execPath, [tsc, ...options, ...lib, ...files], folder), '')
})

for (const condition of ['node', 'bun', 'webpack']) {
  test(`compilers before 5.7 find the declarations for them, with the condition '${condition}'`, async (t) => {
    const folder = install(t)
    const old = createRequire(join(tools, '@arethetypeswrong', 'core', 'package.json')).resolve('typescript/lib/tsc.js')
    t.regex(await output(t, process.execPath, [old, '--version'], folder), /Version 5\.6/)
    mkdirSync(join(folder, 'node_modules', '@types'))
    symlinkSync(dirname(require.resolve('@types/node/package.json')), join(folder, 'node_modules', '@types', 'node'))
    writeFileSync(join(folder, 'user.mts'), imported)
    const options = '--pretty false --listFilesOnly --module nodenext --types node --customConditions'.split(' ')
    const found = await output(t, process.execPath, [old, ...options, condition, 'user.mts'], folder)
    const ours = found.split('\n').filter((path) => /memory-map\/.*\.d\.cts$/.test(path))
    t.is(ours.length, 2, found)
    for (const path of ours) t.regex(path, /\/ts5\.6\//)
  })
}

for (const format of ['esm', 'cjs'] as const) {
  test(`esbuild bundles it as ${format}, without the library`, async (t) => {
    const folder = install(t)
    const entry = join(folder, 'entry.mjs')
    const outfile = join(folder, 'out', `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`)
    writeFileSync(entry, imported)
    const options: BuildOptions = { bundle: true, platform: 'node', external: ['*.node'], logLevel: 'error' }
    await build({ ...options, entryPoints: [entry], outfile, format })
    t.true(readFileSync(outfile).length > 10_000)
    t.is(await output(t, process.execPath, [outfile], folder), 'mapped\n')
  })
}

test('Vite bundles it for a server, without the library', async (t) => {
  const folder = install(t)
  writeFileSync(join(folder, 'entry.mjs'), imported)
  writeFileSync(join(folder, 'vite.config.mjs'), 'export default { ssr: { noExternal: true } }')
  const vite = join(tools, 'vite', 'bin', 'vite.js')
  await output(t, process.execPath, [vite, 'build', '--ssr', 'entry.mjs', '--logLevel', 'error'], folder)
  const bundle = join(folder, 'dist', 'entry.mjs')
  t.true(readFileSync(bundle).length > 10_000)
  t.is(await output(t, process.execPath, [bundle], folder), 'mapped\n')
})
