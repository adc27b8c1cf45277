// The documentation: its examples compile and run, and its links and names lead somewhere.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'

import * as lib from '../index.js'
import * as sync from '../sync.js'
import { onLinux } from './helpers/platform.ts'
import { run } from './helpers/processes.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const require = createRequire(import.meta.url)
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

const pages = ['README', 'ARCHITECTURE', 'CODE_OF_CONDUCT', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG']
  .map((name) => `${name}.md`)
  .concat(list('docs', '.md'), 'cli/README.md', readmesOf('examples'), readmesOf('clients'))
const sources = ['index.ts', ...list('lib', '.ts'), ...list('lib/sync', '.ts')].filter(
  (file) => !file.endsWith('.d.ts'),
)

function list(folder: string, ending: string): string[] {
  const names = readdirSync(join(root, folder))
  return names.filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`)
}

/** The page of a folder, and those of the folders in it. */
function readmesOf(folder: string): string[] {
  return ['.', ...readdirSync(join(root, folder))]
    .map((name) => join(folder, name, 'README.md'))
    .filter((file) => existsSync(join(root, file)))
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

type Example = { place: string; code: string }

/** The examples in JavaScript and TypeScript of a file, in which they can be in comments. */
function examplesOf(file: string): Example[] {
  const text = read(file).replaceAll(/^ *\* ?/gm, file.endsWith('.ts') ? '' : '$&')
  return Array.from(text.matchAll(/^```[jt]s\n(.*?)^```$/gms), ({ index, 1: code }) => {
    return { place: `${file}:${text.slice(0, index).split('\n').length}`, code: code! }
  })
}

/** An example that can run here, and checks what its comments say. */
function runnable(code: string): string {
  return code
    .replaceAll('?)', ')') // the parameters that a signature says may be left out
    .replaceAll('2n ** 40n', '2n ** 20n')
    .replaceAll('2 ** 30', '2 ** 22')
    .replaceAll('timeout: 1000', 'timeout: 60_000')
    .replaceAll(/(SharedMemory\()'(\w+)'/g, '$1`$2-${process.pid}`')
    .replaceAll(/^(for await \(.*?\)) (.+)$/gm, '$1 { $2; break }')
    .replaceAll(/^(.+) \/\/ throws ([A-Z]\w+Error).*$/gm, "assert.throws(() => $1, { name: '$2' })")
    .replaceAll(/^(.+) \/\/ (\d+\b|'[^'\n]*'$|true$|false$).*$/gm, 'assert.equal($1, $2)')
}

const examples = [...pages, ...sources].flatMap(examplesOf)
const folder = mkdtempSync(join(tmpdir(), 'memory-map-test-'))
const fileOf = (example: Example) => `${examples.indexOf(example)}.mts`

test.after.always(() => rmSync(folder, { recursive: true, force: true }))

/** The names of the stage as globals: those that an example declares or imports itself hide them. */
function globals(names: string[]): string {
  // Of Node's `Event` the global declarations make use: examples import ours.
  const own = names.filter((name) => name !== 'Event')
  const declarations = own.map((name) => `  const ${name}: Stage['${name}']`)
  return `type Stage = import('./stage.mjs').Stage\ndeclare global {\n${declarations.join('\n')}\n}\nexport {}\n`
}

onLinux.serial('the examples compile', async (t) => {
  t.true(examples.length > 20)
  const installed = join(folder, 'node_modules', 'memory-map')
  mkdirSync(installed, { recursive: true })
  mkdirSync(join(folder, 'node_modules', '@types'))
  // Copies, as of a published package.
  for (const name of readdirSync(root)) {
    if (/^(package\.json|(index|sync)\.(c?js|d\.c?ts)|.+\.node)$/.test(name)) {
      copyFileSync(join(root, name), join(installed, name))
    }
  }
  symlinkSync(dirname(require.resolve('@types/node/package.json')), join(folder, 'node_modules', '@types', 'node'))
  for (const file of ['__test__/documentation/stage.mjs', 'examples/cache/shared-cache.mjs']) {
    copyFileSync(join(root, file), join(folder, basename(file)))
  }
  writeFileSync(join(folder, 'worker.mjs'), '')
  copyFileSync(join(root, '__test__/documentation/in-worker.mjs'), join(folder, 'in-worker.mjs'))
  for (const example of examples) {
    writeFileSync(join(folder, fileOf(example)), `import './stage.mjs'\n${runnable(example.code)}\nexport {}\n`)
  }
  const shows = "import { names } from './stage.mjs'; console.log(JSON.stringify(names)); process.exit()"
  const shown = await run(process.execPath, ['--input-type=module', '--eval', shows], { cwd: folder })
  t.is(shown.code, 0, shown.stderr)
  writeFileSync(join(folder, 'globals.d.mts'), globals(JSON.parse(shown.stdout) as string[]))
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable', 'esnext.sharedmemory'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    allowJs: true,
    rootDir: '.',
    outDir: 'out',
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }))
  const { stdout } = await run(process.execPath, [tsc, '--pretty', 'false'], { cwd: folder })
  t.is(
    stdout.replaceAll(/^(\d+)\.mts/gm, (_, index) => examples[index]!.place),
    '',
  )
})

for (const example of examples) {
  onLinux.serial(`the example runs: ${example.place}`, async (t) => {
    const file = join('out', fileOf(example).replace('.mts', '.mjs'))
    const args = example.code.includes('from(workerData') ? ['in-worker.mjs', `./${file}`] : [file]
    const { code, signal, stderr } = await run(process.execPath, args, { cwd: folder }, 60_000)
    t.deepEqual([code, signal], [0, null], `${runnable(example.code)}\n${stderr}`)
  })
}

onLinux.serial('the first example of the README is right when four processes run it', async (t) => {
  const [first] = examplesOf('README.md')
  const often = first!.code.replace(/^(Atomics\.add\(.*?\)).*$/m, 'for (let i = 0; i < 100_000; i++) $1')
  t.not(often, first!.code)
  writeFileSync(join(folder, 'often.mjs'), `${often}\n`)
  rmSync(join(folder, 'counters.bin'), { force: true })
  const runs = await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, ['often.mjs'], { cwd: folder })))
  for (const { code, stderr } of runs) t.is(code, 0, stderr)
  t.is(readFileSync(join(folder, 'counters.bin')).readBigInt64LE(0), 400_000n)
})

test('every link leads to a file that is there, and to a heading in it', (t) => {
  for (const page of pages) {
    for (const [, link] of read(page).matchAll(/(?:\]\(|(?:src|srcset)=")([^)"\s]+)/g)) {
      if (/^https?:/.test(link!)) continue
      const [path = '', anchor] = link!.split('#')
      const target = path === '' ? join(root, page) : join(root, dirname(page), path)
      t.true(existsSync(target), `${page}: ${link}`)
      if (anchor !== undefined) t.true(headings(relative(root, target)).includes(anchor), `${page}: ${link}`)
    }
  }
})

function headings(page: string): string[] {
  return Array.from(read(page).matchAll(/^#+ (.+)$/gm), ([, title]) => anchorOf(title!))
}

/** The anchor that GitHub gives a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

test('the index lists every page', (t) => {
  for (const page of list('docs', '.md')) {
    if (page !== 'docs/README.md') t.true(read('docs/README.md').includes(`](${page.slice('docs/'.length)})`), page)
  }
})

const names = [lib, sync].flatMap((module) => Object.keys(module))

test('the index lists every public name', (t) => {
  t.true(names.length > 20)
  const rows = read('docs/README.md')
    .match(/^\| `.+\]\(.+$/gm)!
    .join('\n')
  t.deepEqual(
    names.filter((name) => !rows.includes(`\`${name}\``)),
    [],
  )
})

test('the changelog names everything public', (t) => {
  const changes = read('CHANGELOG.md')
  t.deepEqual(
    names.filter((name) => !new RegExp(`\`${name}\\b`).test(changes)),
    [],
  )
})

test('docs/errors.md explains the error codes of the sources, and no others', (t) => {
  const codes = [...sources, 'crates/memory-map/src/error.rs'].flatMap((file) =>
    Array.from(read(file).matchAll(/^(?! *\*).*?['"](ERR_\w+|ABORT_ERR)['"]/gm), ([, code]) => code!),
  )
  // What Node calls an addon that it may not load is a reason, and no code of ours.
  const ours = new Set(codes.filter((code) => code !== 'ERR_DLOPEN_DISABLED'))
  const explained = Array.from(read('docs/errors.md').matchAll(/^\| `((?:ERR_\w+|ABORT_ERR))`/gm), ([, code]) => code!)
  t.deepEqual(explained.filter((code) => code !== 'ERR_ACCESS_DENIED').toSorted(), [...ours].toSorted())
})

test('the documentation names only files that are there', (t) => {
  for (const file of [...pages, ...sources]) {
    for (const [, path] of read(file).matchAll(/[`(]((?:\.?\w[\w-]*\/)+[\w.-]+\.(?:rs|ts|mjs|sh|md|json))[`),:]/g)) {
      t.true(existsSync(join(root, path!)) || existsSync(join(root, dirname(file), path!)), `${file}: ${path}`)
    }
  }
})

test('ARCHITECTURE.md names only types and functions that the files it names define', (t) => {
  const page = read('ARCHITECTURE.md')
  const files = new Set(Array.from(page.matchAll(/`([\w./-]+\/[\w-]+\.(?:rs|ts))`/g), ([, file]) => file!))
  const code = [...files].map(read).join('\n')
  const names = Array.from(page.matchAll(/`(?:([A-Z][a-z]\w*)(?:::(\w+))?|([a-z]+_\w+))`/g))
  t.true(names.length > 10)
  for (const [name, type, method, fn = method] of names) {
    if (type !== undefined) t.regex(code, new RegExp(`\\b(struct|trait|class) ${type}\\b`), name)
    if (fn !== undefined) t.regex(code, new RegExp(`\\bfn ${fn}\\b`), name)
  }
})

test('the documentation names only scripts that are there', (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const page of pages) {
    for (const [, name] of read(page).matchAll(/npm (?:run )?(?!ci\b|install\b|run\b|\d)([\w:]+)/g)) {
      t.true(Object.hasOwn(scripts, name!), `${page}: npm run ${name}`)
    }
  }
})

test('`npm run help` explains every script', async (t) => {
  const { code, stdout } = await run(process.execPath, [join(root, 'scripts/help.mjs')])
  t.is(code, 0)
  t.notRegex(stdout, /not described|not there/)
  t.regex(stdout, /^npm run test:rust +the tests in Rust$/m)
})

test('`npm run lint` says what it needs', async (t) => {
  const env = { PATH: dirname(process.execPath) === '/usr/bin' ? '/nowhere' : dirname(process.execPath) }
  const { code, stderr } = await run(process.execPath, [join(root, 'scripts/lint-needs.mjs')], { env })
  t.is(code, 1)
  t.regex(stderr, /^npm run lint needs Rust 1\.88 or newer$/m)
  t.regex(stderr, /^npm run lint needs Clippy: rustup component add clippy$/m)
})

test('the figures are those that their script draws', async (t) => {
  const { drawn } = (await import(new URL('../docs/figures/draw.mjs', import.meta.url).href)) as {
    drawn(): [file: string, svg: string][]
  }
  t.true(drawn().length > 0)
  for (const [file, svg] of drawn()) t.is(read(`docs/figures/${file}`), svg, `${file}: npm run figures`)
})
