// What memory-map does, shown on real files, and checks every claim that it makes.
//
//     npm run demo

import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'

import { mapAnonymous, mapPrivate, mapShared, pageSize } from 'memory-map'

import { countBytes, KINDS, sum, TABLE_BYTES } from './demo/count.mjs'
import { readExecutable, ZEROED } from './demo/executable.mjs'
import { claim, conclude, heading, hex, number, say, size, table, title } from './demo/report.mjs'

const program = process.execPath
const folder = mkdtempSync(join(tmpdir(), 'memory-map-demo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

title(`memory-map: files as memory. Node ${process.version}, ${process.platform} ${process.arch}`)
say(`Six things it does, on real files. What is marked 'ok' was checked in this run.`)
readSections()
patchPrivately()
await countInTwoProcesses()
await storeToReadOnlyPage()
await truncateMappedFile()
timeScans()
if (!conclude()) process.exitCode = 1

function readSections() {
  heading('A file becomes memory: the program that runs this demo')
  const begin = performance.now()
  const map = mapShared(program)
  const took = performance.now() - begin
  const { format, machine, entry, sections } = readExecutable(map)
  const inFile = sections.filter(({ kind }) => kind !== ZEROED)

  say(`mapShared('${program}') turned a file of ${size(map.length)} into memory in ${took.toFixed(2)} ms: nothing is
    read until it is touched. Its header, read through a DataView, says what it is, ${format}; views of the section table
    say what is in it. The largest of ${sections.length} sections:`)
  const [largest, others] = split(sections, 7)
  table(
    ['section', 'what it is', 'offset in file', 'size'],
    [
      ...largest.map(({ name, kind, offset, size: bytes }) => [name, kind, hex(offset), size(bytes)]),
      [`${others.length} others`, '', '', size(others.reduce((total, section) => total + section.size, 0))],
    ],
  )
  const home = sections.find(
    ({ kind, address, size: bytes }) => kind === 'code' && entry >= address && entry < address + bytes,
  )
  claim(`the header names the machine that this is, ${process.arch}`, machine === process.arch)
  claim(`the program's entry point, ${hex(entry)}, lies in a section of code, ${home?.name}`, home !== undefined)
  claim(
    'every section lies within the file',
    inFile.every(({ offset, size: bytes }) => offset + bytes <= map.length),
  )
  const { offset } = inFile.reduce((last, section) => (section.offset > last.offset ? section : last))
  claim(
    `fs.readSync finds the same bytes at the start and at ${hex(offset)}`,
    [0, offset].every((at) => map.view(at, 64).equals(readAt(program, at, 64))),
  )
  map.close()
}

/** The `count` largest sections, and the rest. */
function split(sections, count) {
  const sorted = sections.toSorted((a, b) => b.size - a.size)
  return [sorted.slice(0, count), sorted.slice(count)]
}

function readAt(path, position, length) {
  const fd = openSync(path, 'r')
  const bytes = Buffer.alloc(length)
  readSync(fd, bytes, 0, length, position)
  closeSync(fd)
  return bytes
}

function patchPrivately() {
  heading('A private copy: change the memory, not the file')
  const before = sha256(readFileSync(program))
  const map = mapPrivate(program)
  const unpatched = sha256(map.buffer)

  const found = [process.version, 'node', 'text'].find((text) => map.buffer.includes(text))
  const at = map.buffer.indexOf(found)
  map.buffer.write(found.replaceAll(/\d/g, '9').toUpperCase(), at)

  const patched = sha256(map.buffer)
  const after = sha256(readFileSync(program))
  const file = mapShared(program)
  say(`mapPrivate() shares its pages with the file, until one is stored to: then this process gets a copy of that page, and
    the file never changes. We patch a text at ${hex(at)} of the program's file:`)
  table(
    [],
    [
      ['the file', textAround(file.buffer, at)],
      ['the mapping', textAround(map.buffer, at)],
      ['SHA-256, file before', before],
      ['SHA-256, mapping', patched],
      ['SHA-256, file after', after],
    ],
  )
  claim('the mapping was the file, byte for byte, before the patch', unpatched === before)
  claim('it is something else with the patch', patched !== before)
  claim('the file is what it was', after === before)
  const touched = pageOf(at + found.length - 1) - pageOf(at) + 1
  const changed = pagesThatDiffer(map.buffer, file.buffer)
  claim(`pages that are no longer the file's: ${changed} of ${number(pageOf(map.length - 1) + 1)}`, changed === touched)
  file.close()
  map.close()
}

/** The text without a zero byte that has the byte `at` in it, or what of it fits on a line. */
function textAround(bytes, at) {
  const start = Math.max(bytes.lastIndexOf(0, at) + 1, at - 40)
  const end = bytes.indexOf(0, at)
  return bytes.toString('latin1', start, Math.min(end, start + 66)).replaceAll(/[^ -~]/g, '.')
}

function pageOf(offset) {
  return Math.floor(offset / pageSize)
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function pagesThatDiffer(one, other) {
  let count = 0
  for (let at = 0; at < one.length; at += pageSize) {
    if (one.compare(other, at, Math.min(at + pageSize, other.length), at, Math.min(at + pageSize, one.length))) count++
  }
  return count
}

async function countInTwoProcesses() {
  heading('Memory that two processes share, and a file keeps')
  const TURNS = 16
  const path = join(folder, 'counters')
  const map = mapShared(path, { protection: 'read-write', create: true, length: TABLE_BYTES })
  const counters = map.typedArray(Uint32Array)
  const bytes = mapShared(program)
  const second = fork(fileURLToPath(new URL('demo/second-process.mjs', import.meta.url)), [program, path])
  const gone = new AbortController()
  second.once('exit', () => gone.abort(new Error('the second process has ended too early')))

  let seenHere = 0
  let seenThere = 0
  for (let turn = 0; turn < TURNS; turn++) {
    const [start, end] = [turn, turn + 1].map((n) => Math.floor((n * bytes.length) / TURNS))
    if (turn % 2 === 0) {
      countBytes(counters, bytes.buffer, start, end)
    } else {
      second.send({ start, end })
      const [{ seen }] = await once(second, 'message', { signal: gone.signal })
      if (seen === start) seenThere++
      if (sum(counters) === end) seenHere++
    }
  }
  second.disconnect()
  await once(second, 'exit')
  await map.sync()

  const kept = readFileSync(path)
  const inFile = new Uint32Array(kept.buffer, kept.byteOffset, KINDS.length)
  say(`A file of four counters is mapped by process ${process.pid}, which is this one, and by process ${second.pid}. They
    take ${TURNS / 2} turns each to count the bytes of the program, and every increment is an ordinary store to the mapping,
    counters[kind]++. After a sync(), which makes it durable, fs.readFileSync finds in the file:`)
  table(
    ['bytes that are', 'counted'],
    [...KINDS.map((kind, index) => [kind, number(inFile[index])]), ['together', number(sum(inFile))]],
  )
  const alone = new Uint32Array(KINDS.length)
  countBytes(alone, readFileSync(program), 0, bytes.length)
  claim('each process saw at once what the other had stored, before any sync', seenHere + seenThere === TURNS)
  claim(
    'the numbers in the file are those in memory',
    inFile.every((count, index) => count === counters[index]),
  )
  claim(
    'one process that counts alone, without a mapping, finds the same',
    inFile.every((count, index) => count === alone[index]),
  )
  claim('the second process has ended well', second.exitCode === 0 && second.signalCode === null)
  bytes.close()
  map.close()
}

async function storeToReadOnlyPage() {
  heading('A store that is forbidden, and no crash')
  const told = []
  const map = mapAnonymous(2 * pageSize, { onFault: (fault) => told.push(fault) })
  map.buffer.fill('old ')
  map.protect('read', { offset: pageSize, length: pageSize })

  map.buffer.fill('new ')
  await untilTold(map, told)

  say(`Two pages of anonymous memory are filled with the word old. The second is made read-only, and both are filled with
    the word new. In C the process would end here, by SIGSEGV. This one goes on, and its onFault is called with:`)
  showFaults(told)
  claim('the process lives, and has counted the fault', map.faults === 1)
  claim(
    'the fault was told once, with what it was, where, and that nothing of the store is left',
    told.length === 1 && told[0].kind === 'protection' && told[0].offset === pageSize && told[0].contained,
  )
  claim('the first page says new all over', map.view(0, pageSize).equals(Buffer.alloc(pageSize, 'new ')))
  claim('the read-only page says old all over', map.view(pageSize).equals(Buffer.alloc(pageSize, 'old ')))
  claim(
    'check() throws the fault, once',
    codeOf(() => map.check()) === 'ERR_MMAP_FAULT' && codeOf(() => map.check()) === undefined,
  )
  map.close()
}

/** The counter of faults is right at once; `onFault` is called soon, when the event loop turns. */
async function untilTold(map, told) {
  const end = Date.now() + 60_000
  while (told.length < map.faults && Date.now() < end) await sleep(1)
}

function showFaults(faults) {
  if (faults.length === 0) return say('(it was not called)')
  table(
    [],
    faults.map(({ kind, offset, length, contained }) => [inspect({ kind, offset, length, contained })]),
  )
}

function codeOf(call) {
  try {
    call()
  } catch (error) {
    return error.code
  }
}

async function truncateMappedFile() {
  heading('A file that shrinks under its mapping, and no crash')
  const told = []
  const path = join(folder, 'shrinking')
  writeFileSync(path, Buffer.alloc(4 * pageSize, 'text '))
  const map = mapShared(path, { protection: 'read-write', onFault: (fault) => told.push(fault) })
  try {
    truncateSync(path, pageSize)
  } catch (error) {
    say(`Here the system does not let a file shrink that is mapped: ${error.code}.`)
    claim('the file is whole', statSync(path).size === map.length)
    map.close()
    return
  }

  const loaded = map.buffer[2 * pageSize]
  map.buffer.write('lost', 3 * pageSize)
  await untilTold(map, told)
  const code = await map.sync().then(
    () => 'nothing',
    (error) => error.code,
  )

  say(`A file of four pages is mapped, and then cut to one page. We load from the third page, and store to the fourth. In C
    the process would end here, by SIGBUS. This one goes on, and its onFault is called with:`)
  showFaults(told)
  claim('the process lives, and has counted what went wrong', map.faults === told.length)
  claim(
    'every fault that was told was beyond the end of the file',
    told.length > 0 && told.every(({ kind }) => kind === 'beyond-end'),
  )
  claim('the load gave 0', loaded === 0)
  claim('the page that the file has kept is there still', map.buffer.toString('latin1', 0, 9) === 'text text')
  claim('the store did not reach the file, which has one page', statSync(path).size === pageSize)
  claim('sync() does not pretend that the lost store is safe: ERR_MMAP_FAULT', code === 'ERR_MMAP_FAULT')
  writeFileSync(path, Buffer.alloc(4 * pageSize, 'again '))
  claim('when the file grows again the mapping shows it', map.view(2 * pageSize).includes('again again'))
  map.close()
}

function timeScans() {
  heading('How fast: map and scan, or read and scan')
  const ROUNDS = 9
  const ways = {
    'mapShared, scan, close': () => {
      const map = mapShared(program)
      const result = addWords(map.typedArray(Uint32Array, 0, Math.floor(map.length / 4)))
      map.close()
      return result
    },
    'fs.readFileSync, scan': () => {
      const bytes = readFileSync(program)
      return addWords(new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4)))
    },
  }
  const times = Object.keys(ways).map(() => [])
  const results = new Set()
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [index, scan] of Object.values(ways).entries()) {
      const begin = performance.now()
      results.add(scan())
      // The first round is for the compiler to warm up.
      if (round > 0) times[index].push(performance.now() - begin)
    }
  }
  const [map, read] = times.map(median)
  say(`The scan adds up all 32-bit words of the program, ${size(statSync(program).size)} that the system has in its cache by
    now, in one JavaScript loop for both. ${ROUNDS} times each, in turns; the median:`)
  table(
    ['way', 'time'],
    Object.keys(ways).map((way, index) => [way, `${[map, read][index].toFixed(1)} ms`]),
  )
  say(
    `Ratio: to map and scan takes ${(map / read).toFixed(2)} of the time that it takes to read and scan, in this run.`,
  )
  console.log()
  claim('both ways have found the same sum every time', results.size === 1)
}

function addWords(words) {
  let total = 0
  for (let index = 0; index < words.length; index++) total = (total + words[index]) >>> 0
  return total
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
