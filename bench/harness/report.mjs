// Tables of what was found, for a terminal and for Markdown.

/** A value with three digits that count. */
export function format(value) {
  if (value === undefined) return ''
  if (Math.abs(value) >= 99.95) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 9.995 ? 1 : 2)
}

const spread = (cell) => (cell ? `${format(cell.median)} (${format(cell.q1)}–${format(cell.q3)})` : '')

/** The header and rows of one table of a question. */
function rowsOf(found, table, cell) {
  const ways = Object.entries(found.tables[table])
  const cases = found.cases.filter((name) => ways.some(([, cells]) => cells[name]))
  return [['', ...cases], ...ways.map(([way, cells]) => [way].concat(cases.map((name) => cell(cells[name]))))]
}

function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) => row.map((text, i) => (i ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join('  '))
}

function markdownTable([head, ...rows]) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i ? '--:' : '---'))), ...rows.map(line)].join('\n')
}

const verdict = ({ what, value, atLeast, atMost }) => {
  const goal = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
  return [what, Number.isNaN(value) ? 'not measured' : `${value.toFixed(2)} (${goal})`]
}

/** What the question demands of what was found, with NaN where that was not measured. */
export function targetsOf(question, found) {
  const value = (way, one, table = 'time') => found.tables[table]?.[way]?.[one]?.median ?? NaN
  return question.targets(value)
}

export const isMet = ({ value, atLeast = -Infinity, atMost = Infinity }) => value >= atLeast && value <= atMost

/** What could not be measured: each way once, with the cases where it ended in the same way. */
const failureLines = ({ failures }) =>
  Object.entries(failures).flatMap(([way, reasons]) =>
    [...new Set(Object.values(reasons))].map((reason) => {
      const cases = Object.keys(reasons).filter((name) => reasons[name] === reason)
      return `${way}, ${cases.join(', ')}: not measured: ${reason}`
    }),
  )

export function toTerminal(question, found) {
  const lines = [`\n## ${question.title}`]
  for (const [table, { title, unit }] of Object.entries(question.tables)) {
    if (Object.keys(found.tables[table]).length === 0) continue
    lines.push('', `${title}, ${unit}`, ...aligned(rowsOf(found, table, (cell) => format(cell?.median))))
  }
  lines.push('', ...failureLines(found))
  for (const target of found.targets) lines.push(`${isMet(target) ? 'met   ' : 'MISSED'} ${verdict(target).join(': ')}`)
  return lines.join('\n')
}

export function toMarkdown(question, found, name) {
  const parts = [`## ${question.title}`, question.about]
  if (question.plot) parts.push(picture(name, question.title, 'plots'))
  for (const [table, { title, unit }] of Object.entries(question.tables)) {
    if (Object.keys(found.tables[table]).length === 0) continue
    parts.push(`**${title}**, ${unit}: median (quartiles)`, markdownTable(rowsOf(found, table, spread)))
  }
  const failures = failureLines(found)
  if (failures.length > 0) parts.push(failures.map((line) => `- ${line}`).join('\n'))
  if (found.targets.length > 0) {
    parts.push(
      markdownTable([
        ['Target', 'Measured', ''],
        ...found.targets.map((target) => [...verdict(target), isMet(target) ? 'met' : '**missed**']),
      ]),
    )
  }
  return parts.join('\n\n')
}

/** A plot, as light or as dark as its reader. */
export const picture = (name, title, folder) =>
  `<picture><source media="(prefers-color-scheme: dark)" srcset="${folder}/${name}-dark.svg">` +
  `<img alt="${title}" src="${folder}/${name}-light.svg"></picture>`
