// The command-line tool: `npm run test:cli`.

import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { mapShared, openSharedMemory, pageSize, unlinkSharedMemory } from '../../index.js'
import { packTool } from '../../scripts/pack.mjs'
import { isLinux, onLinux, where } from '../helpers/platform.ts'
import { run } from '../helpers/processes.ts'
import { pattern, scratchFile, scratchFolder, sparseFile } from '../helpers/scratch.ts'
import { asJson, cli, main, started } from './tool.ts'

const draw = (await import('../../cli/lib/draw.mjs' as string)) as {
  cellsOf(bitmap: Uint8Array, pages: number, cells: number): number[]
  strip(cells: number[]): string
}

const collecting = new URL('../scenarios/collect.mjs', import.meta.url).href

const TMPFS = 0x0102_1994

/** A file that is on the disk. */
function fileOf(t: ExecutionContext, pages: number): string {
  const path = scratchFile(t, pattern(pages * pageSize))
  const file = openSync(path, 'r')
  fsyncSync(file)
  closeSync(file)
  return path
}

function fincore(path: string): number {
  return Number(execFileSync('fincore', ['--noheadings', '--raw', '--output', 'PAGES', path], { encoding: 'utf8' }))
}

function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const withFincore = where(isLinux && has('fincore'), 'fincore of util-linux is not installed')

withFincore('residency gives the numbers of fincore, and which pages they are', async (t) => {
  // Nothing of a hole is in memory. Locked pages stay, and random access reads no page ahead.
  const path = sparseFile(t, 200 * pageSize)
  t.is(fincore(path), 0)
  const map = mapShared(path, { advice: 'random' })
  t.teardown(() => map.close())
  map.lock({ offset: 10 * pageSize, length: 5 * pageSize })
  map.lock({ offset: 100 * pageSize, length: 50 * pageSize })
  const [found] = await asJson(t, 'residency', path)
  t.is(found.resident, fincore(path))
  t.deepEqual(
    { pages: found.pages, resident: found.resident, ranges: found.ranges },
    {
      pages: 200,
      resident: 55,
      ranges: [
        { first: 10, count: 5 },
        { first: 100, count: 50 },
      ],
    },
  )
  t.regex(await cli(t, 'residency', path), /: 55 of 200 pages, 220 KiB in memory, 28 %\n {2}▕ {3,4}[░▒▓█]+ +█+ +▏\n$/)
})

withFincore('evict removes a file from memory, and touch brings it in', async (t) => {
  const path = fileOf(t, 50)
  t.true(fincore(path) > 0)
  // Linux may leave some for a while, and on tmpfs, which has no disk, all that there is no swap space for.
  for (let round = 0; statfsSync(path).type !== TMPFS && fincore(path) > 0; round++) {
    t.true(round < 200, 'it stays in memory')
    await cli(t, 'evict', path)
  }
  const map = mapShared(path)
  t.teardown(() => map.close())
  map.lock({ onFault: true }) // what is brought in now stays
  t.regex(await cli(t, 'touch', path), /: 50 of 50 pages/)
  t.is(fincore(path), 50)
})

test('a cell is blank only if no page of it is in memory, and full only if all are', (t) => {
  const bitmap = new Uint8Array(4).fill(255, 0, 1)
  bitmap[1] = 1
  t.deepEqual(draw.cellsOf(bitmap, 32, 4), [1, 1 / 8, 0, 0])
  t.is(draw.strip([1, 1 / 8, 0, 0.99]), '▕█░ ▓▏')
  t.deepEqual(
    draw.cellsOf(bitmap, 9, 9),
    Array.from({ length: 9 }, () => 1),
  )
  t.deepEqual(draw.cellsOf(bitmap, 0, 1), [0])
})

test('a folder stands for all its files: their sum is shown, and those that cannot be mapped are named', async (t) => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'inner'))
  writeFileSync(join(folder, 'a & b'), 'a')
  writeFileSync(join(folder, 'inner', 'c'), '')
  const picture = join(scratchFolder(t), 'picture.svg')
  const found = (await asJson(t, 'residency', '--svg', picture, folder)) as { path: string; pages: number }[]
  const sorted = found.map(({ path, pages }) => [path, pages]).toSorted()
  t.deepEqual(sorted, [
    [join(folder, 'a & b'), 1],
    [join(folder, 'inner', 'c'), 0],
  ])
  const svg = readFileSync(picture, 'utf8')
  t.regex(svg, /^<svg .*a &#38; b: 1 of 1 pages<.*<rect class="in".*<\/svg>\n$/s)
  const { code, stdout, stderr } = await run(process.execPath, [main, 'residency', folder, '/dev/null'])
  t.is(code, isLinux ? 1 : code)
  t.regex(stdout, /^2 files: 1 of 1 pages/m)
  if (isLinux) t.regex(stderr, /^memory-map: \/dev\/null: /m)
})

const isRoot = process.getuid?.() === 0
const asNobody = where(isLinux && isRoot && canBeNobody(), 'needs root, and a clone that others can read')

function canBeNobody(): boolean {
  try {
    execFileSync(process.execPath, [main, '--version'], { uid: 65_534, gid: 65_534, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

asNobody('a user who may not write a file is told that Linux does not show its pages', async (t) => {
  const path = fileOf(t, 4)
  chmodSync(join(path, '..'), 0o755)
  chmodSync(path, 0o644)
  const options = { uid: 65_534, gid: 65_534 }
  const { stdout } = await run(process.execPath, [main, 'residency', path], options)
  t.regex(stdout, /: \? of 4 pages\n {2}\?{4}\n\? Linux tells only the owner/)
  const { stdout: text } = await run(process.execPath, [main, 'residency', '--json', path], options)
  t.is(JSON.parse(text)[0].resident, null)
})

onLinux('lock keeps files in memory until it is stopped, even if garbage is collected', async (t) => {
  const { child, ended, next } = started(t, '--expose-gc', '--import', collecting, main, 'lock', fileOf(t, 16))
  t.regex(await next(), /^1 file locked, 64\.0 KiB/)
  child.kill('SIGUSR2')
  t.is(await next(), 'collected')
  const [, locked] = /^VmLck:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))!
  t.is(Number(locked), 64)
  child.kill('SIGTERM')
  t.is((await ended).code, 0)
})

onLinux('watch draws the strip again', async (t) => {
  const path = sparseFile(t, 8 * pageSize)
  const { next } = started(t, main, 'watch', '--interval', '0.05', path)
  t.regex(await next(), /: 0 of 8 pages/)
  const map = mapShared(path)
  t.teardown(() => map.close())
  map.lock()
  let line
  do line = await next()
  while (!line.includes(': 8 of 8 pages'))
  t.pass()
})

onLinux('ls lists named memory and who has it mapped, and rm removes it', async (t) => {
  const name = `memory-map-cli-${process.pid}`
  const map = openSharedMemory(name, { create: true, length: 8192 })
  t.teardown(() => {
    map.close()
    if (!gone) unlinkSharedMemory(name)
  })
  let gone = false
  const listed = async () =>
    ((await asJson(t, 'ls')) as { name: string }[]).find((entry) => entry.name === name) as object | undefined
  t.like(await listed(), { name, length: 8192, users: [process.pid] })
  t.regex(await cli(t, 'inspect', name), /^memory-map-cli-\d+: 8\.0 KiB\nnothing of memory-map\/sync /)
  await cli(t, 'rm', name)
  gone = true
  t.is(await listed(), undefined)
  const { code, stderr } = await run(process.execPath, [main, 'rm', name])
  t.deepEqual([code, /ENOENT/.test(stderr)], [1, true])
})

onLinux('ls says which names are temporary, and rm removes them too', async (t) => {
  const name = `memory-map-cli-temporary-${process.pid}`
  const map = openSharedMemory(name, { create: true, temporary: true, length: 4096 })
  t.teardown(() => map.close())
  const row = async () => (await cli(t, 'ls')).split('\n').find((line) => line.endsWith(` ${name}`))
  t.regex((await row())!, new RegExp(`^4\\.0 KiB .* ${process.pid} +yes +${name}$`))
  await cli(t, 'rm', name)
  t.is(await row(), undefined)
})

test('an error is printed in one line', async (t) => {
  for (const args of [
    ['residency', '/does/not/exist'],
    ['residency'],
    ['melt'],
    ['inspect', main, '--mutex', '-1'],
    ['inspect', main, '--mutex', '99999999'],
    ['watch', '--interval', '0', main],
  ]) {
    const { code, stdout, stderr } = await run(process.execPath, [main, ...args])
    t.deepEqual([code, stdout], [1, ''], args.join(' '))
    t.regex(stderr, /^(error|memory-map): .+\n$/)
  }
})

test('the published package needs the library of its own version, and has all its files', (t) => {
  const { id, files, complaints } = packTool()
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  t.is(id, `memory-map-cli@${version}`)
  t.deepEqual(complaints, [])
  const manifest = readFileSync(new URL('../../release/memory-map-cli/package.json', import.meta.url), 'utf8')
  t.is(JSON.parse(manifest).dependencies['memory-map'], version)
  const imported = readFileSync(main, 'utf8').matchAll(/ from '\.\/(.+)'/g)
  for (const [, file] of imported) t.true(files.includes(file!), file)
})
