// The strips as a picture.

import { cellsOf } from './draw.mjs'

const CELLS = 200
const [CELL, STRIP, LINE, MARGIN] = [4, 16, 44, 12]

/** A strip for each file, in the colours of the reader's system. */
export function svg(files) {
  const width = CELLS * CELL + 2 * MARGIN
  const height = files.length * LINE + 2 * MARGIN
  const rows = files.map((file, index) => row(file, MARGIN + index * LINE))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<style>
  text { fill: #222 } .none { fill: #ddd } .in { fill: #06c } .hidden { fill: none; stroke: #999; stroke-dasharray: 4 }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .none { fill: #333 } .in { fill: #5af } }
</style>
${rows.join('\n')}
</svg>
`
}

function row({ path, pages, resident, bitmap }, y) {
  const told = resident === undefined ? `? of ${pages} pages` : `${resident} of ${pages} pages`
  const text = `<text x="${MARGIN}" y="${y + 12}">${escaped(path)}: ${told}</text>`
  const box = `x="${MARGIN}" y="${y + 18}" width="${CELLS * CELL}" height="${STRIP}"`
  if (bitmap === undefined) return `${text}\n<rect class="hidden" ${box}/>`
  const cells = cellsOf(bitmap, pages, Math.max(1, Math.min(CELLS, pages)))
  const width = (CELLS * CELL) / cells.length
  const rect = (part, at) =>
    `<rect class="in" x="${MARGIN + at * width}" y="${y + 18}" width="${width}" height="${STRIP}" opacity="${part.toFixed(2)}"/>`
  return [text, `<rect class="none" ${box}/>`, ...cells.map((part, at) => (part === 0 ? '' : rect(part, at)))].join('')
}

function escaped(text) {
  return text.replaceAll(/[<>&]/g, (character) => `&#${character.codePointAt(0)};`)
}
