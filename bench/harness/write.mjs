// What a full run leaves: results.md, results.json, plots/, and the table in the project's README.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { plot, themeNames } from './plot.mjs'
import { format, isMet, targetsOf, toMarkdown } from './report.mjs'

const here = fileURLToPath(new URL('..', import.meta.url))
const root = path.join(here, '..')
const [begin, end] = ['<!-- measured: begin -->', '<!-- measured: end -->']

/** What the README shows: of a question a table, one case, and some ways by the names they have there. */
const highlights = [
  ['open', 'time', '4 KiB', 'Map 4 KiB, read 8 bytes, close'],
  ['open', 'time', '1 GiB', 'the same with 1 GiB'],
  ['open', 'time', '1 GiB, 2 M objects', 'the same in a process with 2 million objects'],
  ['sum', 'first', 'f64', 'Sum 1 GiB of Float64, from the path'],
  ['sum', 'first', 'u8', 'Sum 1 GiB of bytes, from the path'],
  ['random', 'again', '1 GiB', 'A load of 8 bytes, anywhere in 1 GiB'],
  ['search', 'time', 'count lines, from the path', 'Count the lines of 512 MiB, from the path'],
  ['memory', 'time', 'all', '4 processes over 1 GiB: memory'],
  ['ipc', 'trip', '8 B', 'A message of 8 bytes to a process, and back'],
]
const columns = [
  ['memory-map', ['memory-map', 'memory-map, read', 'memory-map, Float64Array', 'memory-map, Channel']],
  ['memory-map, buffer', ['memory-map, buffer']],
  ['C', ['C, mmap(2)', 'C, mmap(2), memchr, memmem, memrchr', 'C, a futex after a spin']],
  ['koffi', ['koffi (FFI)']],
  ['fs, whole file', ['fs.readFileSync', 'fs.readFileSync, Buffer']],
  [
    'fs, at positions or as a stream',
    [
      'fs.openSync, readSync, closeSync',
      'fs.createReadStream, 1 MiB at a time',
      'fs.createReadStream, 1 MiB, Buffer',
      'fs.readSync',
    ],
  ],
  ['process.send', ['process.send']],
]

function highlightTable(results) {
  const rows = highlights.flatMap(([name, table, one, title]) => {
    const { question, found } = results.find((result) => result.name === name) ?? {}
    if (found === undefined) return []
    const cells = columns.map(([, ways]) => {
      const way = ways.find((way) => found.tables[table][way]?.[one])
      return way ? format(found.tables[table][way][one].median) : ''
    })
    return `| ${title}, ${question.tables[table].unit} | ${cells.join(' | ')} |`
  })
  const head = `| | ${columns.map(([title]) => title).join(' | ')} |`
  return [head, `| --- |${' --: |'.repeat(columns.length)}`, ...rows].join('\n')
}

function summaryOf(facts, results) {
  const targets = results.flatMap(({ question, found }) => found.targets.map((target) => [question.title, target]))
  const missed = targets.filter(([, target]) => !isMet(target)).map(([title, { what }]) => `- ${title}: ${what}`)
  const list = Object.entries(facts).map(([name, fact]) => `- ${name}: ${fact}`)
  return [
    '# Measured',
    'Written by `npm run bench`; not by hand. Every way runs in processes of its own, in turn with the others; ' +
      'numbers are medians of all rounds with their quartiles. How the questions are asked: ' +
      '`bench/questions`, how they are measured: `bench/harness`.',
    list.join('\n'),
    `${targets.length - missed.length} of ${targets.length} targets are met.` +
      (missed.length > 0 ? ` Missed:\n\n${missed.join('\n')}` : ''),
  ].join('\n\n')
}

const data = path.join(here, 'results.json')

/** Keeps what was found so far: all that `render` needs. */
export function save(facts, results) {
  const questions = results.map(({ name, question: { title, tables }, found }) => ({
    name,
    title,
    units: tables,
    ...found,
  }))
  fs.writeFileSync(data, JSON.stringify({ ...facts, questions }, rounded))
}

/** What `save` kept. */
export async function kept() {
  const results = []
  for (const found of JSON.parse(fs.readFileSync(data)).questions) {
    const { question } = await import(`../questions/${found.name}.mjs`)
    found.targets = targetsOf(question, found)
    results.push({ name: found.name, question, found })
  }
  return results
}

/** Writes everything else from what was kept. */
export async function render() {
  const { questions: _, ...facts } = JSON.parse(fs.readFileSync(data))
  const results = await kept()
  const plots = path.join(here, 'plots')
  fs.rmSync(plots, { recursive: true, force: true })
  fs.mkdirSync(plots)
  for (const { name, question, found } of results.filter(({ question }) => question.plot)) {
    for (const theme of themeNames)
      fs.writeFileSync(path.join(plots, `${name}-${theme}.svg`), plot(question, found, theme))
  }
  const parts = results.map(({ name, question, found }) => toMarkdown(question, found, name))
  fs.writeFileSync(path.join(here, 'results.md'), `${[summaryOf(facts, results), ...parts].join('\n\n')}\n`)

  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`README.md has no ${begin} and ${end}`)
  const when = `${facts.date}, ${facts.processor}, ${facts.system}, load average ${facts['load average']}`
  const inside = [begin, highlightTable(results), `Medians of one run: ${when}.`, end].join('\n\n')
  fs.writeFileSync(path.join(root, 'README.md'), before + inside + after)
  const written = ['README.md', 'bench/results.md', 'bench/results.json']
  execFileSync('npx', ['prettier', '--write', ...written], { cwd: root, stdio: 'ignore' })
}

const rounded = (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)
