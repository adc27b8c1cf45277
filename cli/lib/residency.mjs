// Which pages of files are in the page cache.

import { writeFileSync } from 'node:fs'

import { pageSize } from 'memory-map'

import { cellsOf, size, strip } from './draw.mjs'
import { eachFile, isTold } from './files.mjs'
import { svg } from './svg.mjs'

/** What is known of a file: `resident` is undefined where the system does not tell. */
export function look(path, map) {
  const { pages, resident, bitmap } = map.residency()
  const told = isTold(path)
  return { path, length: map.length, pages, resident: told ? resident : undefined, bitmap: told ? bitmap : undefined }
}

export async function residency(names, options) {
  const found = await eachFile(names, look)
  if (options.svg !== undefined) writeFileSync(options.svg, svg(found))
  if (options.json) return console.log(JSON.stringify(found.map(asJson), null, 2))
  if (options.svg === undefined) console.log(drawn(found).join('\n'))
}

/** A line or two for each file, and one for all. */
export function drawn(found, width = process.stdout.columns ?? 80) {
  const lines = found.flatMap((file) => [heading(file), `  ${stripOf(file, width)}`])
  if (found.some(({ resident }) => resident === undefined)) {
    lines.push('? Linux tells only the owner of a file, and those who may write it, which pages are in memory.')
  }
  const told = found.filter(({ resident }) => resident !== undefined)
  if (told.length < 2) return lines
  const [pages, resident] = ['pages', 'resident'].map((key) => told.reduce((sum, file) => sum + file[key], 0))
  return [...lines, `${told.length} files: ${share(resident, pages)}`]
}

function heading({ path, pages, resident }) {
  return `${path}: ${resident === undefined ? `? of ${pages} pages` : share(resident, pages)}`
}

function share(resident, pages) {
  const percent = pages === 0 ? 0 : (100 * resident) / pages
  return `${resident} of ${pages} pages, ${size(resident * pageSize)} in memory, ${percent.toFixed(percent < 10 ? 1 : 0)} %`
}

function stripOf({ pages, bitmap }, width) {
  const cells = Math.max(1, Math.min(width - 4, pages))
  return bitmap === undefined ? '?'.repeat(cells) : strip(cellsOf(bitmap, pages, cells))
}

/** Runs of pages that are in memory, instead of a bit for each. */
function asJson({ path, length, pages, resident, bitmap }) {
  if (resident === undefined) return { path, length, pageSize, pages, resident: null, ranges: null }
  const ranges = rangesOf(bitmap, pages).map(([first, count]) => ({ first, count }))
  return { path, length, pageSize, pages, resident, ranges }
}

/** Each run of pages that are in memory: its first page, and how many it has. */
export function rangesOf(bitmap, pages) {
  const ranges = []
  let first = -1
  for (let page = 0; page <= pages; page++) {
    const isIn = page < pages && ((bitmap[page >> 3] >> (page & 7)) & 1) === 1
    if (isIn && first === -1) first = page
    if (isIn || first === -1) continue
    ranges.push([first, page - first])
    first = -1
  }
  return ranges
}
