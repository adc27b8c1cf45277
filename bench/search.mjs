// Counting lines, finding things and reading lines in a large text, against C on an mmap of the same file and
// against what Node has.
//
//   npm run build && node bench/search.mjs [GiB of text, 1 if not given]
//
// The text is real: the Rust sources of the cargo registry, the documents and word lists of the system, and the
// JavaScript of node_modules, whichever there are, one after the other in the order of their paths, again and
// again until it is long enough. It lies in the temporary folder until the end, and in the system's page cache. Each line is the median of some rounds, in which the ways are tried in turn; "cold" begins with the path
// and includes opening, mapping or reading, and closing; "warm" is the search alone, of pages that are mapped.
// The C program needs a compiler called cc; without one, it is left out.

import { isUtf8 } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { mapShared } from 'memory-map'

const MIB = 2 ** 20
const ROUNDS = 7
/** A string of this runtime has at most 512 Mi letters, and the array of its lines needs as much again. */
const PART = 128 * MIB

const size = Number(process.argv[2] ?? 1) * 1024 * MIB
const here = path.dirname(fileURLToPath(import.meta.url))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-map-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))

// The text

function* filesIn(directory, pattern) {
  let entries = []
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true })
  } catch {
    return // there is none, or it is not for us
  }
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(directory, entry.name)
    if (entry.isDirectory()) yield* filesIn(file, pattern)
    else if (entry.isFile() && pattern.test(entry.name)) yield file
  }
}

function makeText(file) {
  const cargo = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo')
  const sources = [
    [path.join(cargo, 'registry', 'src'), /\.(rs|md|toml)$/],
    ['/usr/share/dict', /./],
    ['/usr/share/doc', /(^copyright|\.(txt|md|html))$/],
    ['/usr/share/perl', /\.(pm|pod)$/],
    [path.join(here, '..', 'node_modules'), /\.(js|mjs|ts|md|json)$/],
  ]
  const pieces = []
  for (const [directory, pattern] of sources) {
    for (const found of filesIn(directory, pattern)) {
      const bytes = fs.readFileSync(found)
      // What readline sees other lines in than everybody else stays out.
      const isPlain = isUtf8(bytes) && !['\0', '\r', '\u2028', '\u2029'].some((letter) => bytes.includes(letter))
      if (isPlain) pieces.push(bytes)
    }
  }
  const once = Buffer.concat(pieces)
  const fd = fs.openSync(file, 'w')
  for (let written = 0; written < size;) {
    const length = size - written < once.length ? once.lastIndexOf('\n', size - written) + 1 : once.length
    if (length === 0) break
    written += fs.writeSync(fd, once, 0, length)
  }
  fs.writeSync(fd, 'the last line\n')
  fs.closeSync(fd)
  return `${pieces.length} files of real text, ${(once.length / MIB).toFixed(0)} MiB, repeated`
}

// Measuring

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const program = path.join(folder, 'search')
let hasC = true
try {
  execFileSync('cc', ['-O3', '-march=native', '-o', program, path.join(here, 'search.c')])
} catch {
  hasC = false
}

/** A way that is C's: `first` in a fresh mapping, or `again` in one that was searched. */
function inC(which, what, needle, repeat = 1) {
  if (!hasC) return undefined
  const looks = which === 'first' ? '1' : '2'
  return () => {
    const output = execFileSync(program, [file, what, needle, String(repeat), looks], { encoding: 'utf8' })
    const times = output.matchAll(new RegExp(`^${which} (.*)$`, 'gm'))
    return {
      time: median(Array.from(times, ([, time]) => Number(time))),
      answer: Number(/^answer (.*)$/m.exec(output)[1]),
    }
  }
}

async function timed(run, repeat) {
  const start = performance.now()
  let answer
  for (let i = 0; i < repeat; i++) {
    answer = run()
    if (answer instanceof Promise) answer = await answer
  }
  return { time: (performance.now() - start) / repeat, answer }
}

/**
 * Tries all ways in turn, checks that their answers are one, and prints the table. `goals` says by name what part of
 * another way's speed ours, the first, must reach.
 */
async function compare(title, bytes, ways, goals = {}, repeat = 1) {
  const times = new Map(Object.keys(ways).map((name) => [name, []]))
  const answers = new Set()
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(ways)) {
      if (run === undefined) continue
      // The slow ones are not worth the wait.
      if (round > 1 && times.get(name)[0] > 2000) continue
      const { time, answer } = name.startsWith('C,') ? run() : await timed(run, repeat)
      answers.add(answer)
      if (round >= 0) times.get(name).push(time)
    }
  }
  if (answers.size !== 1) throw new Error(`${title}: the answers differ: ${[...answers].join(', ')}`)
  console.log(`\n${title} (${[...answers][0]})`)
  const ours = median(times.values().next().value)
  for (const [name, all] of times) {
    if (all.length === 0) {
      console.log(`  ${name.padEnd(46)} not measured`)
      continue
    }
    const time = median(all)
    const ratio = time / ours
    const speed = bytes / time / 1e6
    const goal = goals[name]
    const verdict = goal === undefined ? '' : `   goal ${goal}: ${ratio >= goal ? 'reached' : 'MISSED'}`
    console.log(
      `  ${name.padEnd(46)} ${time.toFixed(time < 10 ? 3 : 1).padStart(9)} ms ${speed.toFixed(2).padStart(9)} GB/s` +
        `   ours is ${ratio.toFixed(2).padStart(8)} times as fast${verdict}`,
    )
  }
}

// Node's ways

function countIn(buffer, byte) {
  let count = 0
  for (let at = buffer.indexOf(byte); at !== -1; at = buffer.indexOf(byte, at + 1)) count++
  return count
}

async function countInStream(byte) {
  let count = 0
  for await (const chunk of fs.createReadStream(file, { highWaterMark: MIB })) count += countIn(chunk, byte)
  return count
}

async function findInStream(needle) {
  let at = 0
  let rest = Buffer.alloc(0)
  for await (const chunk of fs.createReadStream(file, { highWaterMark: MIB })) {
    const bytes = Buffer.concat([rest, chunk])
    const found = bytes.indexOf(needle)
    if (found !== -1) return at + found
    rest = bytes.subarray(Math.max(0, bytes.length - needle.length + 1))
    at += bytes.length - rest.length
  }
  return -1
}

async function readLines(end, use) {
  const lines = createInterface({ input: fs.createReadStream(file, { end: end - 1 }), crlfDelay: Infinity })
  lines.on('line', use)
  await once(lines, 'close')
}

function lastLineInTail() {
  const fd = fs.openSync(file)
  const { size } = fs.fstatSync(fd)
  const tail = Buffer.allocUnsafe(65_536)
  fs.readSync(fd, tail, 0, tail.length, size - tail.length)
  fs.closeSync(fd)
  return size - tail.length + tail.lastIndexOf('\n', -2)
}

/** With the file mapped from its path for this alone. */
function cold(search) {
  return () => {
    const fresh = mapShared(file)
    try {
      return search(fresh)
    } finally {
      fresh.close()
    }
  }
}

const file = path.join(folder, 'text')
const description = makeText(file)
const map = mapShared(file)
/** The mapping as a Buffer, whose own searches are compared. */
const { buffer } = map
const lineCount = map.count('\n')
console.log(`Node ${process.versions.node}, ${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.cpus().length} cores`)
console.log(`${(map.length / MIB).toFixed(0)} MiB: ${description}; ${(map.length / lineCount).toFixed(1)} bytes a line`)

/** Bytes of the text, by how often they occur. */
const histogram = new Float64Array(256)
for (const byte of buffer.subarray(0, 64 * MIB)) histogram[byte]++
const missing = Array.from({ length: 127 }, (_, byte) => byte).find((byte) => byte > 0 && !map.includes(byte))
const common = ['eatonirs', 'tion there es', 'e s t a n o'].find((word) => !map.includes(word))
const rare = 'Xylophonquarz'

await compare(
  "count('\\n'), warm",
  map.length,
  {
    'map.count': () => map.count('\n'),
    'C, memchr in a loop': inC('again', 'count', '\n'),
    'map.countAsync': () => map.countAsync('\n'),
    'Buffer.indexOf in a loop, same memory': () => countIn(buffer, 10),
  },
  { 'C, memchr in a loop': 0.8 },
)
await compare(
  "count('\\n'), cold",
  map.length,
  {
    'mapShared, count, close': cold((map) => map.count('\n')),
    'C, open, mmap, memchr in a loop, munmap': inC('first', 'count', '\n'),
    'fs.readFileSync, Buffer.indexOf in a loop': () => countIn(fs.readFileSync(file), 10),
    'fs.createReadStream, Buffer.indexOf in a loop': () => countInStream(10),
    "readline, 'line'": () => countByReadline(map.length),
  },
  { 'C, open, mmap, memchr in a loop, munmap': 0.8 },
)
await compare(
  `absent, of common letters: ${JSON.stringify(common)}, warm`,
  map.length,
  {
    'map.indexOf': () => map.indexOf(common),
    'Buffer.indexOf, same memory': () => buffer.indexOf(common),
    'map.find': () => map.find(common),
    'C, memmem': inC('again', 'find', common),
  },
  { 'Buffer.indexOf, same memory': 5 },
)
const absent = `${String.fromCharCode(missing)}needle`
await compare(
  `absent, as is its first byte: ${JSON.stringify(absent)}, warm`,
  map.length,
  {
    'map.indexOf': () => map.indexOf(absent),
    'Buffer.indexOf, same memory': () => buffer.indexOf(absent),
    'map.find': () => map.find(absent),
    'C, memmem': inC('again', 'find', absent),
  },
  { 'Buffer.indexOf, same memory': 0.9 },
)
const at = Math.floor(map.length * 0.9)
fs.writeSync(fs.openSync(file, 'r+'), rare, at)
await compare(`a rare word at nine tenths: ${JSON.stringify(rare)}, warm`, at, {
  'map.indexOf': () => map.indexOf(rare),
  'Buffer.indexOf, same memory': () => buffer.indexOf(rare),
  'map.find': () => map.find(rare),
  'C, memmem': inC('again', 'find', rare),
})
await compare(`a rare word at nine tenths: ${JSON.stringify(rare)}, cold`, at, {
  'mapShared, indexOf, close': cold((map) => map.indexOf(rare)),
  'fs.readFileSync, Buffer.indexOf': () => fs.readFileSync(file).indexOf(rare),
  'fs.createReadStream, Buffer.indexOf': () => findInStream(rare),
  'C, open, mmap, memmem, munmap': inC('first', 'find', rare),
})
await compare(
  'the last line, cold',
  map.length,
  {
    'mapShared, lastIndexOf, close': cold((map) => map.lastIndexOf('\n', -2)),
    'C, open, mmap, memrchr, munmap': inC('first', 'last', '\n', 200),
    'fs.readSync of the last 64 KiB, lastIndexOf': lastLineInTail,
  },
  {},
  200,
)
await compare('the last line of the whole, cold', map.length, {
  'mapShared, lastIndexOf, close': cold((map) => map.lastIndexOf('\n', -2)),
  'fs.readFileSync, Buffer.lastIndexOf': () => fs.readFileSync(file).lastIndexOf('\n', -2),
})

/** Counts lines, and looks at each. */
function countLines(lines) {
  let [count, letters] = [0, 0]
  for (const line of lines) {
    count++
    letters += line.length
  }
  if (letters < 0) throw new Error('unreachable')
  return count
}

async function countByReadline(end) {
  let [count, letters] = [0, 0]
  await readLines(end, (line) => {
    count++
    letters += line.length
  })
  if (letters < 0) throw new Error('unreachable')
  return count
}

await compare(
  'all lines, cold',
  map.length,
  {
    'mapShared, lines, close': cold((map) => countLines(map.lines())),
    "readline, 'line'": () => countByReadline(map.length),
  },
  { "readline, 'line'": 5 },
)
const part = map.lastIndexOf('\n', PART - 1) + 1
function readPart() {
  const fd = fs.openSync(file)
  const bytes = Buffer.allocUnsafe(part)
  fs.readSync(fd, bytes, 0, part, 0)
  fs.closeSync(fd)
  return bytes
}
await compare(
  `all lines of ${(part / MIB).toFixed(0)} MiB, cold`,
  part,
  {
    'mapShared, lines, close': cold((map) => countLines(map.lines({ length: part }))),
    "readline, 'line'": () => countByReadline(part),
    "readSync, toString, split('\\n')": () => countLines(readPart().toString().split('\n')) - 1,
    'mapShared, lines and toString of each, close': cold((map) => {
      let count = 0
      for (const line of map.lines({ length: part })) if (line.toString().length >= 0) count++
      return count
    }),
  },
  { "readline, 'line'": 5 },
)
