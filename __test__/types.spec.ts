// The types of the installed package: its declarations, compiled with a user's settings.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

import { withCompiler as test } from './helpers/platform.ts'
import { run } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const user = readFileSync(new URL('types/user.ts', import.meta.url), 'utf8')
const expectation = /^ *\/\/ @ts-expect-error.*\n/gm
const require = createRequire(import.meta.url)
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

/** A folder in which only the declarations of the package are installed. */
function install(t: ExecutionContext): string {
  const folder = scratchFolder(t)
  const target = join(folder, 'node_modules', 'memory-map')
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true })
  symlinkSync(dirname(require.resolve('@types/node/package.json')), join(folder, 'node_modules', '@types', 'node'))
  for (const name of ['package.json', 'ts5.6', ...readdirSync(root).filter((name) => /\.d\.c?ts$/.test(name))]) {
    cpSync(join(root, name), join(target, name), { recursive: true })
  }
  return folder
}

/** The compiler's errors for `source`, as a file of this name; empty if there are none. */
async function compile(t: ExecutionContext, folder: string, name: string, source: string, options: object) {
  writeFileSync(join(folder, name), source)
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    noEmit: true,
    ...options,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [name] }))
  const { code, signal, stdout, stderr } = await run(process.execPath, [tsc, '--pretty', 'false'], { cwd: folder })
  t.is(signal, null)
  t.is(code === 0, stdout === '', stderr)
  return stdout
}

for (const [what, name, options] of [
  ['an ES module', 'user.mts', { module: 'nodenext' }],
  ['an ES module, resolved as Node 16 does', 'user.mts', { module: 'node16' }],
  ['a CommonJS module, which requires the package', 'user.cts', { module: 'nodenext' }],
  ['a CommonJS module, resolved as Node 16 does', 'user.cts', { module: 'node16' }],
  ['a bundler', 'user.ts', { module: 'esnext', moduleResolution: 'bundler' }],
  [
    'the strictest options',
    'user.mts',
    { module: 'nodenext', exactOptionalPropertyTypes: true, isolatedModules: true },
  ],
] as const) {
  test(`the types are right in ${what}`, async (t) => {
    t.is(await compile(t, install(t), name, user, options), '')
  })
}

for (const [what, name, options] of [
  ['an ES module', 'user.mts', { module: 'nodenext' }],
  ['a CommonJS module', 'user.cts', { module: 'nodenext' }],
  ['a bundler', 'user.ts', { module: 'esnext', moduleResolution: 'bundler' }],
] as const) {
  test(`the types are right in ${what} that has a clone installed, with its sources`, async (t) => {
    const folder = install(t)
    const target = join(folder, 'node_modules', 'memory-map')
    rmSync(target, { recursive: true })
    symlinkSync(root, target)
    const source = `
      import { mapShared } from 'memory-map'
      import { Mutex } from 'memory-map/sync'
      export const mutex = new Mutex(mapShared('file'), 0)`
    // The libraries are those of a program that is older than the sources.
    t.is(await compile(t, folder, name, source, { lib: ['es2022'], skipLibCheck: true, ...options }), '')
  })
}

test('what is imported and what is required are of the same types, as they are the same classes', async (t) => {
  const folder = install(t)
  writeFileSync(
    join(folder, 'required.cts'),
    `import { mapShared, MemoryFaultError, type MemoryMap } from 'memory-map'
    import { Channel } from 'memory-map/sync'
    export const make = (): MemoryMap => mapShared('file')
    export const open = (map: MemoryMap): Channel => Channel.open(map)
    export const isFault = (error: unknown): error is MemoryFaultError => error instanceof MemoryFaultError`,
  )
  const source = `
    import { mapPrivate, type MemoryFaultError, type MemoryMap } from 'memory-map'
    import { type Channel, Mutex } from 'memory-map/sync'
    import { isFault, make, open } from './required.cjs'
    export const map: MemoryMap = make(), mutex = new Mutex(make(), 0), channel: Channel = open(mapPrivate('file'))
    export const code = (error: unknown): MemoryFaultError | false => isFault(error) && error`
  t.is(await compile(t, folder, 'user.mts', source, { module: 'nodenext' }), '')
})

test('the declarations find each other by their paths: npm can install the package by another name', async (t) => {
  const folder = install(t)
  const [target, alias] = ['memory-map', 'alias'].map((name) => join(folder, 'node_modules', name)) as [string, string]
  cpSync(target, alias, { recursive: true })
  rmSync(target, { recursive: true })
  // The resolution of Node 10, which this compiler has no more, does not know a package's own name either.
  rmSync(join(alias, 'package.json'))
  const paths = { alias: [join(alias, 'index.d.ts')], 'alias/sync': [join(alias, 'sync.d.ts')] }
  const source = user.replaceAll(`'memory-map`, `'alias`)
  t.is(await compile(t, folder, 'user.ts', source, { module: 'esnext', moduleResolution: 'bundler', paths }), '')
})

test('the declarations ask for the types of Node themselves: a project may name none', async (t) => {
  const folder = install(t)
  for (const name of ['memory-map', 'memory-map/sync']) {
    const source = `
      import * as all from '${name}'
      export const given: Buffer = (all as unknown as { of: Buffer }).of
      // @ts-expect-error a Buffer is known
      export const other: string = given`
    t.is(await compile(t, folder, 'user.mts', source, { module: 'nodenext', types: [] }), '', name)
  }
})

test('the declarations need no types that a project may lack', async (t) => {
  const options = { module: 'nodenext', lib: ['es2022'] }
  const source = `
    import { mapShared } from 'memory-map'
    import { Mutex } from 'memory-map/sync'
    export const first: number | undefined = mapShared('file').buffer[0]
    export const mutex = Mutex`
  t.is(await compile(t, install(t), 'user.mts', source, options), '')
})

test('lines() has the iterator helpers if the project has them', async (t) => {
  const source = `
    import { mapShared } from 'memory-map'
    export const first: string[] = mapShared('file').lines().take(2).map(String).toArray()
    export const ordinary: IterableIterator<Buffer> = mapShared('file').lines()`
  t.is(await compile(t, install(t), 'user.mts', source, { module: 'nodenext', lib: ['esnext'] }), '')
})

test('each wrong use in types/user.ts is an error on its own line', async (t) => {
  const mistakes = user.replaceAll(expectation, '')
  const found = await compile(t, install(t), 'user.mts', mistakes, { module: 'nodenext' })
  const lines = new Set(found.match(/^user\.mts\(\d+,/gm))
  t.is(lines.size, user.match(expectation)!.length, found)
})

test('compilers before 5.7 get declarations in which Buffer has no type parameter', async (t) => {
  const folder = install(t)
  const target = join(folder, 'node_modules', 'memory-map')
  // This compiler does not look for them: `typesVersions` is for older ones.
  for (const name of readdirSync(join(target, 'ts5.6'))) cpSync(join(target, 'ts5.6', name), join(target, name))
  const source = `
    import { mapShared, MemoryMap } from 'memory-map'
    import { Mutex } from 'memory-map/sync'
    export const map: MemoryMap<SharedArrayBuffer> = mapShared('file', { backing: 'shared-array-buffer' })
    export const buffer: Buffer = map.view(1)
    export const floats: Float32Array = map.typedArray(Float32Array)
    export const mutex = new Mutex(map, 0)`
  t.is(await compile(t, folder, 'user.mts', source, { module: 'nodenext' }), '')
  t.is(await compile(t, folder, 'user.cts', source, { module: 'nodenext' }), '')
  t.notRegex(readFileSync(join(target, 'index.d.cts'), 'utf8'), /Array<B>|Buffer<|IteratorObject/)
})

test('types/user.ts fails with declarations that are less exact', async (t) => {
  const folder = install(t)
  const path = join(folder, 'node_modules', 'memory-map', 'index.d.cts')
  const declarations = readFileSync(path, 'utf8')
  for (const [exact, vague] of [
    ['get buffer(): Buffer<B>', 'get buffer(): Buffer'],
    ['byteOffset?: Bytes, length?: Bytes): Over<T, B>', 'byteOffset?: Bytes, length?: Bytes): T'],
    ['get length(): number', 'length: number'],
    ['[Symbol.dispose](): void', '[Symbol.dispose](): any'],
  ] as const) {
    t.true(declarations.includes(exact), exact)
    writeFileSync(path, declarations.replaceAll(exact, vague))
    t.not(await compile(t, folder, 'user.mts', user, { module: 'nodenext' }), '', vague)
  }
})
