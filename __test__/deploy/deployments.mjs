// How programs are deployed: each builds one in a project, takes what was built to a folder of its own, and runs it there.

import { cpSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { body, cjs, esm, expected, library, Project, run, runtimes, tools, version } from './project.mjs'

const require = createRequire(import.meta.url)
const node = process.execPath
const bun = join(runtimes, 'bun', 'bin', 'bun')
const deno = join(runtimes, 'deno', 'deno')
const file = `memory-map.${library.slice('memory-map-'.length)}.node`
const load = (name) => import(pathToFileURL(require.resolve(name)).href)

const nodeOf = (major) => join(runtimes, `node${major}`, 'bin', 'node')

/** Bundles app.cjs as CommonJS, or as the options say. */
function bundleForNode(project, outfile, { entry = 'app.cjs', ...options } = {}) {
  return require('esbuild').build({
    entryPoints: [project.path(entry)],
    bundle: true,
    platform: 'node',
    outfile: project.path(outfile),
    logLevel: 'error',
    ...options,
  })
}

function sea(node) {
  return async () => {
    const project = new Project({ 'app.cjs': cjs })
    await bundleForNode(project, 'main.cjs')
    const assets = { [file]: join('node_modules', library, file) }
    project.write({
      'sea.json': JSON.stringify({ main: 'main.cjs', output: 'out.blob', disableExperimentalSEAWarning: true, assets }),
    })
    // Assets came with Node 20.12.
    await project.run(node, ['--experimental-sea-config', 'sea.json'])
    mkdirSync(project.path('out'))
    cpSync(node, project.path('out', 'app'))
    await project.tool('postject/dist/cli.js', [
      'out/app',
      'NODE_SEA_BLOB',
      'out.blob',
      '--sentinel-fuse',
      'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
    ])
    return start(project.deploy(['out', '.']), './app')
  }
}

/** Runs a program in a folder of its own. */
const start = (folder, ...args) =>
  run(args[0].startsWith('.') ? join(folder, args[0]) : node, args[0].startsWith('.') ? args.slice(1) : args, {
    cwd: folder,
  })

/** The bundle alone, with the library's package beside it in node_modules. */
function beside(project, from, program) {
  const folder = project.deploy([from, '.'])
  Project.libraryTo(folder)
  return start(folder, program)
}

function rolledUpBy(command, ...args) {
  return async () => {
    const [rollup, resolve] = ['rollup', '@rollup/plugin-node-resolve'].map((name) => JSON.stringify(join(tools, name)))
    const project = new Project({
      'app.mjs': esm,
      'build.cjs': `const { rollup } = require(${rollup}), { nodeResolve } = require(${resolve})
rollup({ input: 'app.mjs', plugins: [nodeResolve()], external: /^node:/ }).then((bundle) => bundle.write({ file: 'out/app.mjs' }))`,
    })
    await project.run(command, [...args, 'build.cjs'])
    return beside(project, 'out', 'app.mjs')
  }
}

function next(...args) {
  return async () => {
    const project = new Project({
      'app/api/route.js': handler('export const dynamic = "force-dynamic"\nexport const GET =', 'Response.json'),
      'app/layout.js': 'export default ({ children }) => <html><body>{children}</body></html>',
      'app/page.js': 'export default () => <p>page</p>',
      'next.config.mjs': `export default { output: 'standalone', serverExternalPackages: ['memory-map'], outputFileTracingRoot: import.meta.dirname }`,
      'package.json': JSON.stringify({
        private: true,
        dependencies: { 'memory-map': version, next: '*', react: '*', 'react-dom': '*' },
      }),
    })
    await link(project, 'next', 'react', 'react-dom')
    await project.run(node, [project.path('node_modules/next/dist/bin/next'), 'build', ...args])
    return serve(project.deploy(['.next/standalone', '.']), 'server.js', {}, '/api')
  }
}

export const deployments = {
  async '@vercel/nft (Vercel, Netlify)'() {
    const project = new Project({ 'app.mjs': esm, 'app.cjs': cjs })
    const { nodeFileTrace } = require('@vercel/nft')
    const outputs = []
    for (const entry of ['app.mjs', 'app.cjs']) {
      const { fileList } = await nodeFileTrace([project.path(entry)], { base: project.folder })
      const target = project.path('out', entry)
      for (const path of fileList) {
        mkdirSync(dirname(join(target, path)), { recursive: true })
        cpSync(project.path(path), join(target, path))
      }
    }
    const folder = project.deploy('out')
    for (const entry of ['app.mjs', 'app.cjs']) outputs.push(await start(join(folder, 'out', entry), entry))
    return outputs
  },

  async 'esbuild, ES module'() {
    const project = new Project({ 'app.mjs': esm })
    await bundleForNode(project, 'out/app.mjs', { entry: 'app.mjs', format: 'esm' })
    return beside(project, 'out', 'app.mjs')
  },

  // Which has no import.meta.url.
  async 'esbuild, ES module to CommonJS, minified'() {
    const project = new Project({ 'app.mjs': esm })
    await bundleForNode(project, 'out/app.cjs', { entry: 'app.mjs', format: 'cjs', minify: true })
    return beside(project, 'out', 'app.cjs')
  },

  async 'esbuild, CommonJS, library copied beside'() {
    const project = new Project({ 'app.cjs': cjs })
    await bundleForNode(project, 'out/app.cjs')
    cpSync(project.path('node_modules', library, file), project.path('out', file))
    return start(project.deploy(['out', '.']), 'app.cjs')
  },

  async Rollup() {
    const project = new Project({ 'app.mjs': esm })
    const { rollup } = require('rollup')
    const { default: resolve } = await load('@rollup/plugin-node-resolve')
    const bundle = await rollup({ input: project.path('app.mjs'), plugins: [resolve()], external: /^node:/ })
    await bundle.write({ dir: project.path('out'), entryFileNames: 'app.mjs' })
    return beside(project, 'out', 'app.mjs')
  },

  async 'Rollup, CommonJS'() {
    const project = new Project({ 'app.cjs': cjs })
    const { rollup } = require('rollup')
    const { default: resolve } = await load('@rollup/plugin-node-resolve')
    const { default: commonjs } = await load('@rollup/plugin-commonjs')
    const bundle = await rollup({
      input: project.path('app.cjs'),
      plugins: [resolve({ exportConditions: ['node'] }), commonjs()],
      external: /^node:/,
      onwarn() {},
    })
    await bundle.write({ dir: project.path('out'), entryFileNames: 'app.cjs', format: 'cjs' })
    return beside(project, 'out', 'app.cjs')
  },

  'Rollup, run by Deno': rolledUpBy(deno, 'run', '-A', '--node-modules-dir=manual'),
  'Rollup, run by Bun': rolledUpBy(bun),

  async 'Vite (SSR)'() {
    const project = new Project({ 'app.mjs': esm })
    const { build } = await import(pathToFileURL(join(tools, 'vite', 'dist', 'node', 'index.js')).href)
    await build({
      root: project.folder,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: { ssr: 'app.mjs', outDir: 'out', rollupOptions: { output: { entryFileNames: 'app.mjs' } } },
    })
    return beside(project, 'out', 'app.mjs')
  },

  async 'webpack 5'() {
    const project = new Project({ 'app.mjs': esm })
    await pack(require('webpack'), project, {})
    return beside(project, 'out', 'main.js')
  },

  async 'webpack 5, CommonJS, development'() {
    const project = new Project({ 'app.cjs': cjs })
    await pack(require('webpack'), project, { mode: 'development', entry: './app.cjs' })
    return beside(project, 'out', 'main.js')
  },

  async Rspack() {
    const project = new Project({ 'app.mjs': esm })
    const { rspack } = await load('@rspack/core')
    await pack(rspack, project, {})
    return beside(project, 'out', 'main.js')
  },

  async '@vercel/ncc'() {
    const project = new Project({ 'app.cjs': cjs })
    await project.tool('@vercel/ncc/dist/ncc/cli.js', ['build', 'app.cjs', '-o', 'out'])
    const folder = project.deploy(['out', '.'])
    return start(folder, existsSync(join(folder, 'index.cjs')) ? 'index.cjs' : 'index.js')
  },

  async Parcel() {
    const project = new Project({
      'app.mjs': esm,
      'package.json': JSON.stringify({
        private: true,
        targets: {
          out: {
            source: 'app.mjs',
            distDir: 'out',
            context: 'node',
            includeNodeModules: { 'memory-map': true },
            outputFormat: 'commonjs',
          },
        },
        dependencies: { 'memory-map': version },
        engines: { node: '>=20' },
      }),
    })
    await project.tool('parcel/lib/bin.js', ['build', '--no-cache', '--no-source-maps'])
    return beside(project, 'out', 'app.js')
  },

  async tsup() {
    const project = new Project({ 'app.ts': `// @ts-nocheck\n${esm}` })
    await project.tool('tsup/dist/cli-default.js', ['app.ts', '--format', 'esm,cjs', '--no-config', '-d', 'out'])
    const folder = project.deploy('out', 'node_modules')
    return [
      await start(folder, 'out/app.js').catch(() => start(folder, 'out/app.mjs')),
      await start(folder, existsSync(join(folder, 'out/app.cjs')) ? 'out/app.cjs' : 'out/app.js'),
    ]
  },

  async 'bun build --compile'() {
    const project = new Project({ 'app.mjs': esm, 'app.cjs': cjs })
    const outputs = []
    for (const entry of ['app.mjs', 'app.cjs'])
      await project.run(bun, ['build', entry, '--compile', '--outfile', `out/${entry}.bin`])
    const folder = project.deploy('out')
    for (const entry of ['app.mjs', 'app.cjs']) outputs.push(await start(folder, `./out/${entry}.bin`))
    return outputs
  },

  'Single executable application (SEA), Node 20': sea(node),
  'Single executable application (SEA), Node 22': sea(nodeOf(22)),
  'Single executable application (SEA), Node 24': sea(nodeOf(24)),
  'Single executable application (SEA), Node 26': sea(nodeOf(26)),

  async '@yao-pkg/pkg, --sea, of a project'() {
    const project = new Project({
      'app.cjs': cjs,
      'package.json': JSON.stringify({ name: 'app', bin: 'app.cjs', dependencies: { 'memory-map': version } }),
    })
    await packExecutable(project, '.')
    // It puts the library into the folder of the user.
    const folder = project.deploy(['out', '.'])
    return run(join(folder, 'app'), [], { cwd: folder, env: { HOME: folder } })
  },

  async '@yao-pkg/pkg, --sea, of a bundle'() {
    // The bundle alone is packed, with the library beside the executable.
    const project = new Project({ 'app.cjs': cjs })
    await bundleForNode(project, 'main.cjs')
    await packExecutable(project, 'main.cjs')
    cpSync(project.path('node_modules', library, file), project.path('out', file))
    return start(project.deploy(['out', '.']), './app')
  },

  async 'deno compile: the library is packed, nothing is run'() {
    const project = new Project({ 'app.mjs': esm })
    // What it puts the program into is a download. This one starts as a Deno and not as the program.
    const env = { DENORT_BIN: deno, DENO_DIR: project.path('.deno') }
    await project.run(
      deno,
      ['compile', '-A', '--no-check', '--node-modules-dir=manual', '--output', 'out', 'app.mjs'],
      { env },
    )
    const isPacked = readFileSync(project.path('out')).includes(
      readFileSync(project.path('node_modules', library, file)),
    )
    project.remove()
    return isPacked ? expected : 'it has no library'
  },

  async 'an asar of Electron: the library lies outside, nothing is run'() {
    const project = new Project({ 'app/app.cjs': cjs })
    renameSync(project.path('node_modules'), project.path('app', 'node_modules'))
    // It needs Node 22.
    const pack = ['pack', 'app', 'out/app.asar', '--unpack', '**/memory-map-*/*.node']
    await project.run(nodeOf(22), [join(tools, '@electron/asar/bin/asar.mjs'), ...pack])
    const folder = project.deploy(['out', '.'])
    return existsSync(join(folder, 'app.asar.unpacked', 'node_modules', library, file)) ? expected : 'it is not'
  },

  async 'a bundle that starts worker threads'() {
    const main = `import { Worker } from 'node:worker_threads'
new Worker(new URL('./worker.mjs', import.meta.url))`
    const project = new Project({ 'app.mjs': main, 'worker.mjs': esm })
    for (const entry of ['app.mjs', 'worker.mjs'])
      await bundleForNode(project, `out/${entry}`, { entry, format: 'esm' })
    return beside(project, 'out', 'app.mjs')
  },

  async 'a bundle beside a dependency: two copies of the JavaScript'() {
    const project = new Project({
      'app.cjs': `${cjs}
{
  const { take, make } = require('dependency'), { mapAnonymous, MemoryMap } = require('memory-map')
  if (take(mapAnonymous(4096, { shared: true })) !== 'acquired') throw new Error('a lock of the other copy')
  if (!(make() instanceof MemoryMap)) throw new Error('two classes')
}`,
      'node_modules/dependency/index.js': `const { Mutex } = require('memory-map/sync')
exports.take = (map) => new Mutex(map, 0).tryLock()
exports.make = () => require('memory-map').mapAnonymous(1)`,
    })
    await bundleForNode(project, 'out/app.cjs', { external: ['dependency'] })
    const folder = project.deploy(['out', '.'], 'node_modules')
    return start(folder, 'app.cjs')
  },

  async 'import and require in one program'() {
    const project = new Project({
      'app.mjs': `import { createRequire } from 'node:module'
import { MemoryMap } from 'memory-map'
const require = createRequire(import.meta.url)
if (require('memory-map').MemoryMap !== MemoryMap) throw new Error('two copies')
${esm}`,
    })
    return start(project.deploy('app.mjs', 'node_modules'), 'app.mjs')
  },

  async 'an application of "type": "commonjs"'() {
    const project = new Project({
      'package.json': '{ "private": true, "type": "commonjs" }',
      'app.js': cjs,
      'imports.js': `${cjs
        .replace(/^const \{.*\n/gm, '')
        .replace(
          body,
          `Promise.all([import('memory-map'), import('memory-map/sync')]).then(([{ mapShared }, { Mutex }]) => {${body}})`,
        )}`,
    })
    const folder = project.deploy('app.js', 'imports.js', 'package.json', 'node_modules')
    return [await start(folder, 'app.js'), await start(folder, 'imports.js')]
  },

  async 'a root file system of Node and its libraries alone, without /proc, /dev and /tmp'() {
    // Without locks: those on files need /proc.
    const project = new Project({
      'app.mjs': esm
        .replaceAll(/path\.join\(os\.tmpdir\(\), 'deployed-'\)/g, "'/deployed-'")
        .replace('new Mutex(map, 0).tryLock()', "'acquired'"),
    })
    const used = await run('ldd', [node, project.path('node_modules', library, file)])
    cpSync(node, project.path('node'), { dereference: true })
    for (const [path] of used.matchAll(/\/\S+(?= \()/g))
      cpSync(path, project.path(path.slice(1)), { dereference: true })
    return run('chroot', [project.deploy('.'), '/node', '/app.mjs'])
  },

  async Nitro() {
    const project = new Project({
      'routes/index.mjs': handler("import { defineEventHandler } from 'h3'\nexport default defineEventHandler"),
      'nitro.config.mjs': `export default { compatibilityDate: '2025-01-01', preset: 'node-server' }`,
    })
    await link(project, 'nitropack', 'h3')
    await project.tool('nitropack/dist/cli/index.mjs', ['build'])
    return serve(project.deploy(['.output', '.']), 'server/index.mjs', { NITRO_PORT: '0' }, '/')
  },

  "Next.js (output: 'standalone'), Turbopack": next(),
  "Next.js (output: 'standalone'), webpack": next('--webpack'),
}

/** Makes out/app with `pkg --sea`, on Node 22, which it needs. */
async function packExecutable(project, entry) {
  const { version: of } = JSON.parse(readFileSync(join(runtimes, 'node22', 'package.json'), 'utf8'))
  // What it would download, in its own cache.
  const name = `node-v${of}-linux-x64`
  const cache = project.path('.pkg-cache', 'sea')
  mkdirSync(join(cache, name, 'bin'), { recursive: true })
  cpSync(nodeOf(22), join(cache, name, 'bin', 'node'))
  await run('tar', ['-czf', `${name}.tar.gz`, name], { cwd: cache })
  project.write({ [join('.pkg-cache', 'sea', `${name}.tar.gz.ok`)]: '' })
  mkdirSync(project.path('out'))
  const args = ['--sea', entry, '-t', `node${of}-linux-x64`, '-o', 'out/app']
  await project.run(nodeOf(22), [join(tools, '@yao-pkg/pkg/lib-es5/bin.js'), ...args], {
    env: { HOME: project.folder },
  })
}

async function pack(compiler, project, options) {
  const config = {
    mode: 'production',
    target: 'node',
    context: project.folder,
    entry: './app.mjs',
    output: { path: project.path('out'), filename: 'main.js' },
    ...options,
  }
  const stats = await new Promise((resolve, reject) =>
    compiler(config, (error, found) => (error ? reject(error) : resolve(found))),
  )
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true })
  const said = [...errors, ...warnings].map(({ message }) => message)
  if (said.length > 0) throw new Error(said.join('\n'))
}

/** A handler of requests that does what the programs do. */
function handler(before, respond = '') {
  return `import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { mapShared } from 'memory-map'
import { Mutex } from 'memory-map/sync'
${before}(async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'deployed-')), 'file')
  fs.writeFileSync(file, Buffer.alloc(8192))
  return new Promise((resolve) => {
    const map = mapShared(file, {
      protection: 'read-write',
      onFault: ({ kind }) => (map.close(), resolve(${respond}(kind + ' ' + result))),
    })
    const result = new Mutex(map, 0).tryLock()
    fs.truncateSync(file, 0)
    map.buffer[5000] = 1
  })
})`
}

/** Puts packages, with all that they need, into a project: as files, not links. */
async function link(project, ...names) {
  const seen = new Set()
  const add = (name, from) => {
    let path
    for (let folder = from; ; folder = dirname(folder)) {
      path = join(folder, 'node_modules', name)
      if (existsSync(path)) break
      if (folder === dirname(folder)) return
    }
    if (seen.has(path)) return
    seen.add(path)
    const target = project.path('node_modules', path.slice(tools.length))
    mkdirSync(dirname(target), { recursive: true })
    if (!existsSync(target)) cpSync(path, target, { recursive: true, verbatimSymlinks: true })
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = require(join(path, 'package.json'))
    for (const other of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) add(other, path)
  }
  for (const name of names) add(name, dirname(tools))
}

/** Starts a server, asks it once, and ends it. */
async function serve(folder, program, env, path) {
  const { spawn } = await import('node:child_process')
  const port = String(20_000 + (process.pid % 10_000))
  const child = spawn(node, [program], {
    cwd: folder,
    env: { ...process.env, PORT: port, HOSTNAME: '127.0.0.1', ...env, NITRO_PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
  try {
    for (const end = Date.now() + 60_000; ;) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}${path}`)
        return `${await response.text()} ${response.ok ? '' : said}`
      } catch (error) {
        if (Date.now() > end || child.exitCode !== null) throw new Error(said, { cause: error })
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  } finally {
    child.kill()
  }
}
