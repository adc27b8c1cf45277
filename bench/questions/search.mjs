// How fast can a large text be searched, and its lines be read?

import { once } from 'node:events'
import fs from 'node:fs'
import { createInterface } from 'node:readline'

import { GIB, MIB, text } from '../harness/files.mjs'
import { needles } from '../harness/text.mjs'

const NEWLINE = 10

/** The array of all lines of a string needs much memory. */
const PART = 128 * MIB

function count(buffer) {
  let found = 0
  for (let at = buffer.indexOf(NEWLINE); at !== -1; at = buffer.indexOf(NEWLINE, at + 1)) found++
  return found
}

const streamOf = (file, options) => fs.createReadStream(file, { highWaterMark: MIB, ...options })

async function countInStream(file) {
  let found = 0
  for await (const chunk of streamOf(file)) found += count(chunk)
  return found
}

async function findInStream(file, needle) {
  let at = 0
  let rest = Buffer.alloc(0)
  for await (const chunk of streamOf(file)) {
    const bytes = Buffer.concat([rest, chunk])
    const found = bytes.indexOf(needle)
    if (found !== -1) return at + found
    rest = bytes.subarray(Math.max(0, bytes.length - needle.length + 1))
    at += bytes.length - rest.length
  }
  return -1
}

/** Counts lines, and looks at each. */
function countLines(lines) {
  let [found, letters] = [0, 0]
  for (const line of lines) {
    found++
    letters += line.length
  }
  return letters < 0 ? -1 : found
}

async function countByReadline(file, length) {
  let [found, letters] = [0, 0]
  const lines = createInterface({ input: streamOf(file, { end: length - 1 }), crlfDelay: Infinity })
  lines.on('line', (line) => {
    found++
    letters += line.length
  })
  await once(lines, 'close')
  return letters < 0 ? -1 : found
}

function lastLineInTail(file) {
  const fd = fs.openSync(file)
  const { size } = fs.fstatSync(fd)
  const tail = Buffer.allocUnsafe(65_536)
  fs.readSync(fd, tail, 0, tail.length, size - tail.length)
  fs.closeSync(fd)
  return size - tail.length + tail.lastIndexOf('\n', -2)
}

function readPart(file, length) {
  const fd = fs.openSync(file)
  const bytes = Buffer.allocUnsafe(length)
  const read = fs.readSync(fd, bytes, 0, length, 0)
  fs.closeSync(fd)
  return bytes.subarray(0, read)
}

/** By what is asked: of a mapping, of a Buffer over all of the file, and of the path. */
const ofMapping = {
  count: (map) => map.count(NEWLINE),
  find: (map, { needle }) => map.indexOf(needle),
  last: (map) => map.lastIndexOf(NEWLINE, -2),
  lines: (map, { length }) => countLines(map.lines({ length: Math.min(length, map.length) })),
}
const ofMappingAsync = {
  count: (map) => map.countAsync(NEWLINE),
  find: (map, { needle }) => map.find(needle),
}
const ofBuffer = {
  count,
  find: (buffer, { needle }) => buffer.indexOf(needle),
  last: (buffer) => buffer.lastIndexOf(NEWLINE, -2),
}
const ofStream = {
  count: (file) => countInStream(file),
  find: (file, { needle }) => findInStream(file, needle),
}
const ofReadline = {
  count: (file) => countByReadline(file, Infinity),
  lines: (file, { length }) => countByReadline(file, length),
}
const ofTail = { last: lastLineInTail }
const ofSplit = {
  lines: (file, { length }) => {
    const lines = readPart(file, length).toString().split('\n')
    if (lines.at(-1) === '') lines.pop() // what follows the last line end is no line
    return countLines(lines)
  },
}

async function rounds(run, { quick, fresh }) {
  const time = []
  let answer
  for (let round = fresh && !quick ? 0 : -1; round < (quick ? 1 : 3); round++) {
    const start = performance.now()
    answer = await run()
    if (round >= 0) time.push(performance.now() - start)
    if (time[0] > 1500) break // the slow ones are not worth the wait
  }
  return { time, answer: [answer] }
}

const mapping = (jobs) => ({
  run: async (context) => {
    const { mapShared } = await import('../../index.js')
    const { file, what, fresh } = context
    const map = mapShared(file)
    if (!fresh) return rounds(() => jobs[what](map, context), context)
    map.close()
    const run = async () => {
      const map = mapShared(file)
      try {
        return await jobs[what](map, context)
      } finally {
        map.close()
      }
    }
    return rounds(run, context)
  },
  only: ({ what }) => what in jobs,
})

const fromPath = (jobs, all = GIB) => ({
  run: (context) => rounds(() => jobs[context.what](context.file, context), context),
  only: ({ what, fresh = false, length = 0 }) => fresh && what in jobs && length <= all,
})

const COUNT = 'count lines'
const COMMON = 'absent word of common letters'
const RARE = 'word at nine tenths'
const LINES = 'read all lines'
const fresh = (name) => `${name}, from the path`

export const question = {
  title: 'Search 512 MiB of text, and read its lines',
  about:
    'Real text: sources, documents and word lists of this machine, repeated. "From the path" includes opening, ' +
    'mapping or reading, and closing; the other columns are the search alone, in memory that was touched.',
  rounds: 2,
  tables: { time: { title: 'Time', unit: 'ms' } },
  agree: true,
  cases: (quick) => {
    const file = text(quick ? 8 * MIB : 512 * MIB)
    const length = quick ? 4 * MIB : PART
    return [
      { name: COUNT, what: 'count', needle: '\n' },
      { name: fresh(COUNT), what: 'count', needle: '\n', fresh: true },
      { name: COMMON, what: 'find', needle: needles.common },
      { name: 'absent word, absent first byte', what: 'find', needle: needles.absent },
      { name: RARE, what: 'find', needle: needles.rare },
      { name: fresh(RARE), what: 'find', needle: needles.rare, fresh: true },
      { name: fresh('find the last line'), what: 'last', needle: '\n', fresh: true },
      { name: fresh(LINES), what: 'lines', length: 2 * GIB, fresh: true },
      { name: fresh(`${LINES} of 128 MiB`), what: 'lines', length, fresh: true },
    ].map((one) => Object.assign(one, { file }))
  },
  ways: {
    'C, mmap(2), memchr, memmem, memrchr': {
      program: 'c-search',
      args: ({ file, what, needle, fresh, quick }) => [file, what, needle, quick ? 1 : 3, fresh ? 'fresh' : 'warm'],
      only: ({ what }) => what !== 'lines',
    },
    'memory-map': mapping(ofMapping),
    'memory-map, find and countAsync': mapping(ofMappingAsync),
    "Buffer's own, over the same mapping": {
      run: async (context) => {
        const { mapShared } = await import('../../index.js')
        const { buffer } = mapShared(context.file)
        return rounds(() => ofBuffer[context.what](buffer, context), context)
      },
      only: ({ what, fresh }) => !fresh && what in ofBuffer,
    },
    'fs.readFileSync, Buffer': fromPath(
      Object.fromEntries(
        Object.entries(ofBuffer).map(([what, run]) => [what, (file, context) => run(fs.readFileSync(file), context)]),
      ),
    ),
    'fs.createReadStream, 1 MiB, Buffer': fromPath(ofStream),
    readline: fromPath(ofReadline, Infinity),
    'fs.readSync of the last 64 KiB': fromPath(ofTail),
    "fs.readSync, toString, split('\\n')": fromPath(ofSplit, PART),
  },
  plot: { kind: 'bars', table: 'time', cases: [fresh(COUNT), fresh(RARE), fresh(LINES)] },
  targets: (value) => {
    const speed = (one, other) => value(other, one) / value('memory-map', one)
    return [
      { what: 'count: speed against C', value: speed(COUNT, 'C, mmap(2), memchr, memmem, memrchr'), atLeast: 0.8 },
      {
        what: 'count from the path: speed against C',
        value: speed(fresh(COUNT), 'C, mmap(2), memchr, memmem, memrchr'),
        atLeast: 0.8,
      },
      {
        what: `${COMMON}: speed against Buffer`,
        value: speed(COMMON, "Buffer's own, over the same mapping"),
        atLeast: 5,
      },
      {
        what: 'absent first byte: speed against Buffer',
        value: speed('absent word, absent first byte', "Buffer's own, over the same mapping"),
        atLeast: 0.9,
      },
      { what: 'lines: speed against readline', value: speed(fresh(LINES), 'readline'), atLeast: 5 },
    ]
  },
}
