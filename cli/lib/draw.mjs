// Pages as a strip of cells.

const SHADES = [' ', '░', '▒', '▓', '█']

/** The share of the pages of each cell that is in memory, from 0 to 1. */
export function cellsOf(bitmap, pages, cells) {
  return Array.from({ length: cells }, (_, cell) => {
    const [start, end] = [cell, cell + 1].map((at) => Math.floor((at * pages) / cells))
    let resident = 0
    for (let page = start; page < end; page++) resident += (bitmap[page >> 3] >> (page & 7)) & 1
    return end === start ? 0 : resident / (end - start)
  })
}

/** A character for each cell: blank only if no page of it is in memory, full only if all are. */
export function strip(cells) {
  return `▕${cells.map((part) => SHADES[part === 1 ? 4 : Math.ceil(part * 3)]).join('')}▏`
}

export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10))
  const value = bytes / 1024 ** unit
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`
}
