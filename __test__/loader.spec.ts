// The package finds its native library, or says what to do if there is none.

import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseTriple } from '@napi-rs/cli'
import type { ExecutionContext } from 'ava'

import { allPlatforms, platforms, prebuilt } from '../lib/platform.ts'
import { onLinux as test } from './helpers/platform.ts'
import { run } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const [host] = platforms()

/** A folder in which the package is installed without a native library. */
function install(t: ExecutionContext): string {
  const folder = scratchFolder(t)
  const target = join(folder, 'node_modules', 'memory-map')
  for (const name of [
    'package.json',
    'lib',
    ...readdirSync(root).filter((name) => /^(index|sync)\.c?js$/.test(name)),
  ]) {
    cpSync(join(root, name), join(target, name), { recursive: true })
  }
  // Deno takes what lies in node_modules only where there is a package.json.
  writeFileSync(join(folder, 'package.json'), '{ "dependencies": { "memory-map": "*" } }')
  return folder
}

/** Puts a package with a library for `platform` beside the package. */
function installLibrary(folder: string, platform: string, library: Buffer): void {
  const target = join(folder, 'node_modules', `memory-map-${platform}`)
  const main = `memory-map.${platform}.node`
  mkdirSync(target)
  writeFileSync(join(target, 'package.json'), JSON.stringify({ name: `memory-map-${platform}`, main }))
  writeFileSync(join(target, main), library)
}

/** The host's own library. */
function library(): Buffer {
  return readFileSync(join(root, `memory-map.${host}.node`))
}

/** A library that no machine here can load. */
function foreignLibrary(): Buffer {
  if (process.platform !== 'linux') return library().subarray(0, 64)
  const foreign = library()
  foreign.writeUInt16LE(2, 18) // e_machine of elf(5): EM_SPARC
  return foreign
}

/** Runs `before` in a new process and imports the package there: its page size, or the error. */
async function load(folder: string, before: string, { command, args } = runtimes()[0]!) {
  const file = join(folder, 'load.mjs')
  writeFileSync(
    file,
    `${before}
    const seen = await import('memory-map').then(
      ({ pageSize }) => ({ pageSize }),
      ({ code, message, cause }) => ({ code, lines: message.split('\\n'), causes: cause.errors.map(String) }),
    )
    console.log(JSON.stringify(seen))`,
  )
  const { code, stdout, stderr } = await run(command, [...args, file], { cwd: folder })
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as { pageSize?: number; code: string; lines: string[]; causes: string[] }
}

for (const runtime of runtimes()) {
  const on = `on ${runtime.name} ${runtime.version}`

  test(`the error without a library names the places where it was looked for, and what to do: ${on}`, async (t) => {
    const folder = install(t)
    const { code, lines, causes } = await load(folder, '', runtime)
    t.is(code, 'ERR_MMAP_UNSUPPORTED')
    t.is(lines.length, 4)
    t.true(lines[0]!.includes(host!), lines[0])
    const file = join(folder, 'node_modules', 'memory-map', `memory-map.${host}.node`)
    t.deepEqual(lines.slice(1, 3), [`- ${file}: there is none`, `- memory-map-${host}: there is none`])
    t.regex(lines[3]!, /optional/)
    t.is(causes.length, 2)
  })

  test(`the library is found in a package of its own: ${on}`, async (t) => {
    const folder = install(t)
    installLibrary(folder, host!, library())
    t.true((await load(folder, '', runtime)).pageSize! >= 4096)
  })

  test(`the error for a library that cannot be loaded has the system's words: ${on}`, async (t) => {
    const folder = install(t)
    installLibrary(folder, host!, foreignLibrary())
    const { code, lines } = await load(folder, '', runtime)
    t.is(code, 'ERR_MMAP_UNSUPPORTED')
    t.regex(lines[2]!, /^- memory-map-\S+: it is there, but could not be loaded: .*\.node: ./)
    t.regex(lines[3]!, /another processor/)
  })
}

for (const runtime of runtimes().filter(({ name }) => name !== 'bun')) {
  test(`the error in a runtime that may not load libraries says so: on ${runtime.name} ${runtime.version}`, async (t) => {
    const folder = install(t)
    installLibrary(folder, host!, library())
    const without = runtime.args.filter((arg) => arg !== '-A')
    const args = [...without, ...(runtime.name === 'deno' ? ['--allow-read', '--allow-env'] : ['--no-addons'])]
    const { code, lines } = await load(folder, '', { ...runtime, args })
    t.is(code, 'ERR_MMAP_UNSUPPORTED')
    t.regex(lines.at(-1)!, runtime.name === 'deno' ? /--allow-ffi/ : /--no-addons/)
  })
}

test('the library is found beside the package that a link leads to, also with --preserve-symlinks', async (t) => {
  const folder = install(t)
  installLibrary(folder, host!, library())
  mkdirSync(join(folder, 'store'))
  renameSync(join(folder, 'node_modules'), join(folder, 'store', 'node_modules'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(folder, 'store', 'node_modules', 'memory-map'), join(folder, 'node_modules', 'memory-map'))
  for (const args of [[], ['--preserve-symlinks']]) {
    const { command, name, version } = runtimes()[0]!
    t.true((await load(folder, '', { command, args, name, version })).pageSize! >= 4096, `${args}`)
  }
})

test('a library beside the package, where a build puts it, comes first', async (t) => {
  const folder = install(t)
  installLibrary(folder, host!, Buffer.from('no library'))
  copyFileSync(
    join(root, `memory-map.${host}.node`),
    join(folder, 'node_modules', 'memory-map', `memory-map.${host}.node`),
  )
  t.true((await load(folder, '')).pageSize! >= 4096)
})

test('the package of the library is looked for as by `require`: inside first, then beside, then further out', async (t) => {
  const folder = install(t)
  const further = join(folder, 'further')
  cpSync(join(folder, 'node_modules'), join(further, 'node_modules'), { recursive: true })
  installLibrary(folder, host!, library())
  t.true((await load(further, '')).pageSize! >= 4096, 'further out')
  installLibrary(further, host!, Buffer.from('no library'))
  t.is((await load(further, '')).code, 'ERR_MMAP_UNSUPPORTED', 'beside')
  const inside = join(further, 'node_modules', 'memory-map')
  mkdirSync(join(inside, 'node_modules'))
  installLibrary(inside, host!, library())
  t.true((await load(further, '')).pageSize! >= 4096, 'inside')
})

/** A second copy of the package, in the folder `other`. */
function installAgain(folder: string): string {
  const target = join(folder, 'other', 'node_modules', 'memory-map')
  cpSync(join(folder, 'node_modules'), join(folder, 'other', 'node_modules'), { recursive: true })
  return target
}

test('the classes are the same if the package is imported, required or loaded from another copy', async (t) => {
  const folder = install(t)
  installLibrary(folder, host!, library())
  installAgain(folder)
  const file = join(folder, 'all.mjs')
  writeFileSync(
    file,
    `import { createRequire } from 'node:module'
    import * as imported from 'memory-map'
    import * as other from './other/node_modules/memory-map/index.js'
    import { Mutex } from 'memory-map/sync'
    const require = createRequire(import.meta.url)
    const required = require('memory-map')
    const all = [imported, other, required, require('./other/node_modules/memory-map/index.cjs')]
    console.log(new Set(all.map(({ MemoryMap }) => MemoryMap)).size, new Set(all.map(({ MemoryFaultError }) => MemoryFaultError)).size)
    console.log(require('memory-map/sync').Mutex === Mutex)
    for (const { mapAnonymous } of all) console.log(new Mutex(mapAnonymous(8, { shared: true }), 0).tryLock())
    console.log(process.listenerCount('beforeExit') <= 1)`,
  )
  for (const { command, args } of runtimes()) {
    const { stdout, stderr } = await run(command, [...args, file], { cwd: folder })
    t.deepEqual(stdout.trim().split('\n'), ['1 1', 'true', ...Array(4).fill('acquired'), 'true'], stderr)
  }
})

test('the error for a mapping of another version of the package says so', async (t) => {
  const folder = install(t)
  installLibrary(folder, host!, library())
  const main = join(installAgain(folder), 'index.js')
  writeFileSync(main, readFileSync(main, 'utf8').replaceAll(manifest.version, '99.0.0'))
  const file = join(folder, 'both.mjs')
  writeFileSync(
    file,
    `import { mapAnonymous } from './other/node_modules/memory-map/index.js'
    import { Mutex } from 'memory-map/sync'
    for (const map of [mapAnonymous(8, { shared: true }), {}, null]) {
      try { new Mutex(map, 0) } catch ({ code, message }) { console.log(code, message) }
    }`,
  )
  const { stdout } = await run(runtimes()[0]!.command, [file], { cwd: folder })
  const wrong = 'ERR_INVALID_ARG_TYPE The argument "map" must be a MemoryMap'
  t.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' Received', 1)[0]),
    [`${wrong} of the same version of the package and the same realm.`, `${wrong}.`, `${wrong}.`],
  )
})

test('twelve realms in a process add no listener to it, and each is told of its own faults', async (t) => {
  const folder = install(t)
  installLibrary(folder, host!, library())
  const file = join(folder, 'realms.cjs')
  // As test runners do it: a global object of its own, with a copy of \`process\`.
  writeFileSync(
    file,
    `const { readFileSync, truncateSync, writeFileSync } = require('node:fs')
    const { dirname } = require('node:path')
    const vm = require('node:vm')
    const path = require.resolve('memory-map')
    const source = readFileSync(path, 'utf8')
    const told = []
    process.on('warning', (warning) => console.log(String(warning)))
    const maps = []
    for (let index = 0; index < 12; index++) {
      const copy = Object.create(process)
      const realm = vm.createContext({ process: copy, Buffer, URL, setImmediate, queueMicrotask, structuredClone })
      const module = { exports: {} }
      vm.compileFunction(source, ['module', 'exports', 'require', '__filename', '__dirname'], { parsingContext: realm })(
        module, module.exports, require, path, dirname(path))
      const { mapShared } = module.exports
      const name = 'realm' + index
      writeFileSync(name, Buffer.alloc(8192))
      const map = mapShared(name, { onFault: ({ map }) => told.push(map === maps[index]) })
      maps.push(map)
      truncateSync(name, 0)
    }
    let sum = 0
    for (const map of maps) sum += map.buffer[5000]
    const end = Date.now() + 120_000
    const wait = () => (told.length === 12 || Date.now() > end ? console.log(sum, told.join()) : setTimeout(wait, 5))
    wait()`,
  )
  const { stdout, stderr } = await run(runtimes()[0]!.command, [file], { cwd: folder })
  t.is(stdout, `0 ${Array(12).fill('true').join()}\n`, stderr)
})

for (const runtime of runtimes()) {
  test(`the runtime is not told by globals, which others may have made or taken away (${runtime.name})`, async (t) => {
    const folder = install(t)
    installLibrary(folder, host!, library())
    const file = join(folder, 'globals.cjs')
    writeFileSync(
      file,
      `if (!('deno' in process.versions)) globalThis.Deno = Object.freeze({ build: {} })
      else delete globalThis.Deno
      delete globalThis.Bun
      const { mapAnonymous } = require('memory-map')
      const map = mapAnonymous(100)
      console.log(map.view(0, 10).length, map.buffer.length)`,
    )
    const { stdout, stderr } = await run(runtime.command, [...runtime.args, file], { cwd: folder })
    t.is(stdout, '10 100\n', stderr)
  })
}

test('the error says if a library is for another machine, or another C library', async (t) => {
  for (const other of [...allPlatforms(), 'win32-x64-msvc'].filter(
    (name) => name !== host && prebuilt.includes(name),
  )) {
    const folder = install(t)
    installLibrary(folder, other, Buffer.alloc(0))
    const { lines } = await load(folder, '')
    t.true(lines.at(-1)!.startsWith(`What is installed is for ${other}:`), lines.at(-1))
  }
})

test('the error on a system without a library names the systems that have one', async (t) => {
  const before = `Object.defineProperty(process, 'arch', { value: 's390x' })`
  const { code, lines } = await load(install(t), before)
  t.is(code, 'ERR_MMAP_UNSUPPORTED')
  t.is(lines.length, 3)
  t.true(lines[0]!.includes('linux-s390x-gnu'), lines[0])
  for (const name of prebuilt) t.true(lines[2]!.includes(name), name)
})

test("the C library is found out from the executable's loader", async (t) => {
  const folder = install(t)
  for (const [loader, name] of [
    ['/lib/ld-musl-x86_64.so.1', 'linux-x64-musl'],
    ['/nix/store/0-glibc/lib/ld-linux-x86-64.so.2', 'linux-x64-gnu'],
  ]) {
    const executable = join(folder, 'executable')
    writeFileSync(executable, `\x7fELF${loader}\0`)
    const before = `Object.defineProperties(process, {
      platform: { value: 'linux' },
      arch: { value: 'x64' },
      execPath: { value: ${JSON.stringify(executable)} },
    })`
    const { lines } = await load(folder, before)
    t.true(lines[2]!.startsWith(`- memory-map-${name}:`), lines[2])
  }
})

test('the C library is found out from a process report if the executable cannot be read', async (t) => {
  for (const [header, name] of [
    [{ glibcVersionRuntime: '2.36' }, 'linux-x64-gnu'],
    [{}, 'linux-x64-musl'],
  ] as const) {
    const before = `Object.defineProperties(process, {
      platform: { value: 'linux' },
      arch: { value: 'x64' },
      execPath: { value: '/nowhere' },
      report: { value: { getReport: () => ({ header: ${JSON.stringify(header)} }) } },
    })`
    const { lines } = await load(install(t), before)
    t.true(lines[2]!.startsWith(`- memory-map-${name}:`), lines[2])
  }
})

test('the loader knows every platform that is built', (t) => {
  const built: string[] = manifest.napi.targets.map((target: string) => parseTriple(target).platformArchABI)
  t.deepEqual([...prebuilt].sort(), built.sort())
})
