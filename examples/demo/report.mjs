// A report in plain text: headings, paragraphs, tables, and claims that hold or do not.

const WIDTH = 92
const INDENT = '   '

const colours = process.stdout.isTTY && process.env.NO_COLOR === undefined
const style = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text)
const bold = style(1)
const green = style(32)
const red = style('1;31')

let chapters = 0
let held = 0
let broken = 0

export function title(text) {
  console.log(`\n${bold(text)}`)
}

/** Begins a chapter. */
export function heading(text) {
  chapters++
  console.log(`\n${bold(`${chapters}. ${text}`)}\n`)
}

/** A paragraph, broken into lines. */
export function say(text) {
  let line = INDENT
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > WIDTH) {
      console.log(line.trimEnd())
      line = INDENT
    }
    line += `${word} `
  }
  console.log(line.trimEnd())
}

/** Rows of cells in columns; figures stand at the right of theirs. */
export function table(head, rows) {
  const columns = rows[0].map((_, column) => rows.map((row) => row[column]))
  const rightAligned = columns.map((cells) => cells.every(isFigure))
  const widths = columns.map((cells, column) => Math.max(...[head[column] ?? '', ...cells].map(({ length }) => length)))
  const print = (row, weight) => {
    const cells = row.map((cell, column) =>
      rightAligned[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    )
    console.log(weight(INDENT + cells.join('   ').trimEnd()))
  }
  console.log()
  if (head.length > 0) print(head, bold)
  for (const row of rows) print(row, String)
  console.log()
}

function isFigure(cell) {
  return /^([\d.,]+( [A-Za-z]+)?|0x[0-9a-f]+|)$/.test(cell)
}

/** Checks a claim, and prints it with the outcome. */
export function claim(text, holds) {
  if (holds) held++
  else broken++
  console.log(`${INDENT}${holds ? green('ok  ') : red('NOT SO: ')}${text}`)
}

/** Sums up; returns whether all claims held. */
export function conclude() {
  console.log()
  if (broken === 0) console.log(green(`All ${held} claims hold.`))
  else console.log(red(`${broken} of ${held + broken} claims do not hold.`))
  return broken === 0
}

/** A number of bytes, in a unit that reads well. */
export function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const exponent = bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10)
  return `${(bytes / 1024 ** exponent).toFixed(exponent === 0 ? 0 : 1)} ${units[exponent]}`
}

/** A number with its thousands set apart. */
export function number(value) {
  return value.toLocaleString('en-US')
}

export function hex(value) {
  return `0x${value.toString(16)}`
}
