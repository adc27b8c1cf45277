// The demo runs on this machine, and checks its own claims.

import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'

import { isWindows } from './helpers/platform.ts'
import { run, scriptEnv } from './helpers/processes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const examples = fileURLToPath(new URL('../examples/', import.meta.url))
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test.serial('the demo shows what it claims, and cleans up', async (t) => {
  const temporary = scratchFolder(t)
  const before = sha256(readFileSync(process.execPath))

  const env = { ...scriptEnv(), TMPDIR: temporary, TEMP: temporary }
  const { code, signal, stdout, stderr } = await run(process.execPath, [join(examples, 'demo.mjs')], { env }, 120_000)

  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, stdout)
  t.deepEqual(readdirSync(temporary), [], 'files were left')
  const after = sha256(readFileSync(process.execPath))
  t.is(after, before, 'the demo has changed the Node executable')

  const chapters = stdout.split(/^(?=\d+\. )/m)
  t.is(chapters.length, 7, 'an introduction and six chapters')
  const [, sections, patch, counters, forbidden, truncated, speed] = chapters as [string, ...string[]]

  t.true(sections!.includes(`mapShared('${process.execPath}')`))
  t.regex(sections!, /text +code +0x[0-9a-f]+ +[\d.]+ MiB$/m)
  t.regex(sections!, /^ +ok +the program's entry point, 0x[0-9a-f]+, lies in a section of code/m)

  t.regex(patch!, new RegExp(`^ +SHA-256, file before +${before}$`, 'm'))
  t.regex(patch!, new RegExp(`^ +SHA-256, file after +${before}$`, 'm'))
  const [, patched] = /^ +SHA-256, mapping +([0-9a-f]{64})$/m.exec(patch!)!
  t.not(patched, before)

  const counted = (kind: string) =>
    Number(new RegExp(`^ +${kind} +([\\d,]+)$`, 'm').exec(counters!)![1]!.replaceAll(',', ''))
  const program = readFileSync(process.execPath)
  t.is(counted('together'), program.length)
  t.is(counted('zero'), program.filter((byte) => byte === 0).length)
  t.is(counted('a digit'), program.filter((byte) => byte >= 0x30 && byte <= 0x39).length)
  t.regex(counters!, /^ +ok +each process saw at once what the other had stored/m)

  t.regex(forbidden!, /\{ kind: 'protection', offset: \d+, length: \d+, contained: true \}/)
  t.regex(forbidden!, /^ +ok +the process lives/m)
  t.regex(forbidden!, /^ +ok +the read-only page says old all over/m)

  if (isWindows) {
    t.regex(truncated!, /^ +ok +the file is whole/m)
  } else {
    t.regex(truncated!, /\{ kind: 'beyond-end', offset: \d+, length: \d+, contained: true \}/)
    t.regex(truncated!, /^ +ok +the process lives/m)
  }

  t.regex(speed!, /^ +mapShared, scan, close +[\d.]+ ms$/m)
  t.regex(speed!, /^ +fs\.readFileSync, scan +[\d.]+ ms$/m)
  t.regex(speed!, /^ +Ratio: to map and scan takes \d+\.\d\d of the time/m)

  const claims = stdout.match(/^ +ok +\S/gm)!.length
  t.true(stdout.endsWith(`\nAll ${claims} claims hold.\n`), stdout.slice(-100))
  t.true(claims > (isWindows ? 15 : 20))
  t.notRegex(stdout, /NOT SO|undefined|NaN/)
  t.false(stdout.includes('\u001b'), 'colours where there is no terminal')
})

test.serial('the demo fails if a claim is false', async (t) => {
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

  const env = { ...scriptEnv(), TMPDIR: folder, TEMP: folder }
  const { code, signal, stdout } = await run(process.execPath, [join(folder, 'examples/demo.mjs')], { env }, 120_000)

  t.deepEqual({ code, signal }, { code: 1, signal: null }, stdout)
  t.regex(stdout, /NOT SO: +each process saw at once what the other had stored/)
  t.regex(stdout, /NOT SO: +the numbers in the file are those in memory/)
  t.regex(stdout, /^\d+ of \d+ claims do not hold\.$/m)
  t.deepEqual(readdirSync(folder).toSorted(), ['examples', 'node_modules'], 'files were left')
})
