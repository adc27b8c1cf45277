// The demo (examples/demo.mjs) runs on this machine, and checks its own claims.

import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'

import { isWindows } from './helpers/platform.ts'
import { run, scriptEnv } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const examples = fileURLToPath(new URL('../examples/', import.meta.url))
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const digestOfNode = () => sha256(readFileSync(process.execPath))

/** Runs a copy of the demo, with its temporary files in a folder. */
async function runDemo(path: string, folder: string) {
  const env = { ...scriptEnv(), TMPDIR: folder, TEMP: folder }
  return await run(process.execPath, [join(path, 'demo.mjs')], { env })
}

let before: string
let demo: Awaited<ReturnType<typeof runDemo>>
let filesLeft: string[]
let chapters: string[]

test.before('the demo runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'memory-map-demo-'))
  before = digestOfNode()
  demo = await runDemo(examples, folder)
  filesLeft = readdirSync(folder)
  rmSync(folder, { recursive: true })
  chapters = demo.stdout.split(/^(?=\d+\. )/m)
})

test('it ends well', (t) => {
  const { code, signal, stdout, stderr } = demo
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, stdout)
})

test('it leaves no files', (t) => {
  t.deepEqual(filesLeft, [])
})

test('it does not change the executable of Node', (t) => {
  t.is(digestOfNode(), before)
})

test('it has an introduction and six chapters', (t) => {
  t.is(chapters.length, 7)
})

test('it finds the sections of the executable of Node', (t) => {
  const sections = chapters[1]!
  t.true(sections.includes(`mapShared('${process.execPath}')`))
  t.regex(sections, /text +code +0x[0-9a-f]+ +[\d.]+ MiB$/m)
  t.regex(sections, /^ +ok +the program's entry point, 0x[0-9a-f]+, lies in a section of code/m)
})

test('it patches a private copy of the executable, and the file stays', (t) => {
  const patch = chapters[2]!
  t.regex(patch, new RegExp(`^ +SHA-256, file before +${before}$`, 'm'))
  t.regex(patch, new RegExp(`^ +SHA-256, file after +${before}$`, 'm'))
  const [, patched] = /^ +SHA-256, mapping +([0-9a-f]{64})$/m.exec(patch)!
  t.not(patched, before)
})

test('it counts bytes in several processes', (t) => {
  const counters = chapters[3]!
  const counted = (kind: string) =>
    Number(new RegExp(`^ +${kind} +([\\d,]+)$`, 'm').exec(counters)![1]!.replaceAll(',', ''))
  const program = readFileSync(process.execPath)
  t.is(counted('together'), program.length)
  t.is(counted('zero'), program.filter((byte) => byte === 0).length)
  t.is(counted('a digit'), program.filter((byte) => byte >= 0x30 && byte <= 0x39).length)
  t.regex(counters, /^ +ok +each process saw at once what the other had stored/m)
})

test('it survives a store to a read-only page', (t) => {
  const forbidden = chapters[4]!
  t.regex(forbidden, /\{ kind: 'protection', offset: \d+, length: \d+, contained: true \}/)
  t.regex(forbidden, /^ +ok +the process lives/m)
  t.regex(forbidden, /^ +ok +the read-only page says old all over/m)
})

test('it survives a truncation, which Windows does not allow', (t) => {
  const truncated = chapters[5]!
  if (isWindows) return t.regex(truncated, /^ +ok +the file is whole/m)
  t.regex(truncated, /\{ kind: 'beyond-end', offset: \d+, length: \d+, contained: true \}/)
  t.regex(truncated, /^ +ok +the process lives/m)
})

test('it compares its speed with fs', (t) => {
  const speed = chapters[6]!
  t.regex(speed, /^ +mapShared, scan, close +[\d.]+ ms$/m)
  t.regex(speed, /^ +fs\.readFileSync, scan +[\d.]+ ms$/m)
  t.regex(speed, /^ +Ratio: to map and scan takes \d+\.\d\d of the time/m)
})

test('it counts the claims that hold, which are all', (t) => {
  const { stdout } = demo
  const claims = stdout.match(/^ +ok +\S/gm)!.length
  t.true(stdout.endsWith(`\nAll ${claims} claims hold.\n`), stdout.slice(-100))
  t.true(claims > (isWindows ? 15 : 20))
  t.notRegex(stdout, /NOT SO|undefined|NaN/)
})

test('it prints no colours where there is no terminal', (t) => {
  t.false(demo.stdout.includes('\u001b'))
})

test('it fails if a claim is false', async (t) => {
  // The same demo, with a package in which shared mappings are private.
  const folder = scratchFolder(t)
  cpSync(examples, join(folder, 'examples'), { recursive: true })
  const fake = join(folder, 'node_modules', 'memory-map')
  mkdirSync(fake, { recursive: true })
  writeFileSync(join(fake, 'package.json'), JSON.stringify({ name: 'memory-map', type: 'module', main: 'index.js' }))
  const real = new URL('../index.js', import.meta.url).href
  writeFileSync(
    join(fake, 'index.js'),
    `import * as real from ${JSON.stringify(real)}
    export const { mapAnonymous, mapPrivate, pageSize } = real
    export function mapShared(file, options) {
      const shared = real.mapShared(file, options)
      if (options?.protection !== 'read-write') return shared
      const { length, onFault } = options
      const map = real.mapPrivate(file, { ...(length === undefined ? {} : { length }), onFault })
      map.sync = () => shared.sync()
      return map
    }`,
  )

  const { code, signal, stdout } = await runDemo(join(folder, 'examples'), folder)

  t.deepEqual({ code, signal }, { code: 1, signal: null }, stdout)
  t.regex(stdout, /NOT SO: +each process saw at once what the other had stored/)
  t.regex(stdout, /NOT SO: +the numbers in the file are those in memory/)
  t.regex(stdout, /^\d+ of \d+ claims do not hold\.$/m)
  t.deepEqual(readdirSync(folder).toSorted(), ['examples', 'node_modules'], 'files were left')
})
