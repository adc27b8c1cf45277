// `npm run help`: what each script does.

import { readFileSync } from 'node:fs'

const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

const descriptions = {
  help: 'this list',
  build: 'the native library, the declarations and the JavaScript',
  'build:native': 'the native library alone: after a change in crates/',
  'build:ts': 'the declarations and the JavaScript alone: after a change in lib/, before a commit',
  test: 'builds, and runs every test in Rust and TypeScript; downloads runtimes the first time, 930 MB',
  'test:rust': 'the tests in Rust',
  'test:js': 'the tests in TypeScript, without a build; one file alone: npx ava __test__/NAME.spec.ts',
  'test:changing': 'functions of the runtimes on memory that another process changes: docs/changing-memory.md',
  'test:crash': 'kills and power losses, with other seeds and more of them: docs/testing.md',
  'test:hostile': 'hostile arguments, with other seeds and for longer: docs/testing.md',
  'test:soak': 'a mixed load for ten minutes, or as many as are given: docs/testing.md',
  'test:model': 'random programs, with other seeds and for longer: docs/testing.md',
  'test:injection': 'has every system call of the library fail in each way: docs/testing.md',
  'test:overcommit': 'mappings where the system promises no memory that it does not have; changes that for a moment',
  'test:loaded': 'the whole suite 20 times, or as often as is said, beside four busy processes: docs/testing.md',
  'test:loom': 'models of the locks and the ring, under loom',
  'test:sanitizers': 'the tests of the core, and random programs on Node, under sanitizers: docs/testing.md',
  fuzz: 'fuzzes one target of the core, or all: docs/testing.md',
  'test:package': 'packs what would be published, and tests it in empty projects',
  'test:libraries': 'other libraries on mappings: the table of docs/libraries.md',
  'test:examples': 'the examples, with their libraries',
  'test:cli': 'the command-line tool',
  'test:deploy': 'installers, bundlers and test runners: docs/deploying.md',
  'test:platforms': 'other systems and processors, in emulators: on Debian 12 for x64, as root',
  bench: 'measures, and writes bench/results.md; npm run bench -- --quick is a short trial',
  docs: 'a static site of all declarations and pages, in target/site: 46 MB; a broken link fails',
  figures: 'draws the figures of docs/ again',
  'example:cache': 'a cache that cluster workers share, against one for each',
  demo: 'builds, and shows what the library does',
  release: 'publishes; npm run release -- --dry-run only packs',
  lint: 'all that follows; needs rustfmt and Clippy',
  'lint:needs': 'whether what lint needs is installed',
  'lint:lengths': 'whether long files say why they are long',
  'lint:rust': 'layers, formatting, Clippy, and whether examples show all that is public',
  'lint:js': 'oxlint and Prettier',
  'lint:types': 'the types of the tests',
  'lint:workflows': 'the workflows',
  format: 'formats Rust, JavaScript, TypeScript and Markdown',
}

const width = Math.max(...Object.keys(scripts).map((name) => name.length))
for (const name of Object.keys(scripts)) {
  console.log(`npm run ${name.padEnd(width)}  ${descriptions[name] ?? '(not described in scripts/help.mjs)'}`)
}
const gone = Object.keys(descriptions).filter((name) => !Object.hasOwn(scripts, name))
if (gone.length > 0) console.log(`described, and not there: ${gone.join(', ')}`)
