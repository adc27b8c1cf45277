// Plots as SVG: bars, where cases are few, and lines over cases that grow. One file for light pages, one for dark.

import { format } from './report.mjs'

const WIDTH = 760
const themes = {
  light: { ink: '#1f2328', soft: '#59636e', grid: '#d8dee4', ours: '#0969da', limit: '#57606a', other: '#b6c0cb' },
  dark: { ink: '#f0f6fc', soft: '#9198a1', grid: '#30363d', ours: '#4493f8', limit: '#9198a1', other: '#484f58' },
}
/** For the lines of others, which must be told apart; readable on both. */
const hues = ['#d1762c', '#8a63d2', '#2a9d8f', '#c2528b', '#a08a1d', '#5b8c3a', '#c9534b', '#4f7cac']

export const themeNames = Object.keys(themes)

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const kindOf = (way) => (way.startsWith('memory-map') ? 'ours' : /^(C,|Rust)/.test(way) ? 'limit' : 'other')

function label(x, y, text, { fill, size = 12, anchor = 'start', weight = 400 }) {
  const style = `fill="${fill}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}"`
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${escape(text)}</text>`
}

const rule = (x1, y1, x2, y2, color, extra = '') =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${color}"${extra}/>`

function frame(height, title, parts) {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `role="img" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">\n` +
    `<title>${escape(title)}</title>\n${parts.join('\n')}\n</svg>\n`
  )
}

const LEGEND = { ours: 'memory-map', limit: 'C, Rust: the limit', other: 'others' }

/** The title, what the numbers are, and the colours of `kinds`. */
function heading(title, subtitle, colors, kinds = []) {
  const legend = kinds.map((kind) => [LEGEND[kind], colors[kind]])
  const parts = [
    label(16, 28, title, { fill: colors.ink, size: 16, weight: 600 }),
    label(16, 48, subtitle, { fill: colors.soft }),
  ]
  let x = WIDTH - 16
  for (const [text, color] of legend.toReversed()) {
    x -= text.length * 6.9
    parts.push(label(x, 28, text, { fill: colors.soft }))
    x -= 16
    parts.push(`<rect x="${x.toFixed(1)}" y="18" width="10" height="10" rx="2" fill="${color}"/>`)
    x -= 20
  }
  return parts
}

/** The powers of ten, or round numbers, that lie around some values; `log` where those differ much. */
function scaleOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  if (high / low < 100) return { log: false, low: 0, high }
  return { log: true, low: Math.log10(low) - 0.6, high: Math.log10(high) }
}

const isShown = (way, ways) => ways === undefined || ways.includes(way)

const part = ({ log, low, high }, value) => ((log ? Math.log10(value) : value) - low) / (high - low)

/** A panel for each case, with a bar for each way, the shortest first. */
function bars(question, found, { table, cases = found.cases, ways }, colors) {
  const { title, unit } = question.tables[table]
  const [left, right] = [270, WIDTH - 90]
  const parts = []
  let y = 62
  let isLog = false
  const kinds = new Set()
  for (const name of cases) {
    const rows = Object.entries(found.tables[table]).filter(([way, cells]) => cells[name] && isShown(way, ways))
    rows.sort(([, a], [, b]) => a[name].median - b[name].median)
    if (rows.length === 0) continue
    const scale = scaleOf(rows.map(([, cells]) => cells[name].median))
    isLog ||= scale.log
    if (cases.length > 1) {
      y += 22
      parts.push(label(16, y, name, { fill: colors.ink, size: 13, weight: 600 }))
      y += 8
    }
    const top = y
    for (const [way, cells] of rows) {
      const { median, q1, q3 } = cells[name]
      const [length, from, to] = [median, q1, q3].map((value) => Math.max(2, part(scale, value) * (right - left)))
      const kind = kindOf(way)
      const strong = kind === 'ours'
      kinds.add(kind)
      parts.push(
        label(left - 10, y + 15, way, {
          fill: strong ? colors.ink : colors.soft,
          anchor: 'end',
          weight: strong ? 600 : 400,
        }),
        `<rect x="${left}" y="${y + 3}" width="${length.toFixed(1)}" height="16" rx="3" fill="${colors[kind]}"/>`,
        rule(left + from, y + 11, left + Math.min(to, right - left + 20), y + 11, colors.ink, ' stroke-opacity="0.45"'),
        label(left + Math.max(length, Math.min(to, right - left + 20)) + 8, y + 15, format(median), {
          fill: colors.ink,
        }),
      )
      y += 23
    }
    parts.push(rule(left, top, left, y, colors.grid))
  }
  const note = `${title}, ${unit}; shorter is better${isLog ? '; lengths are logarithmic' : ''}`
  return frame(y + 16, question.title, [
    ...heading(
      question.title,
      note,
      colors,
      Object.keys(LEGEND).filter((kind) => kinds.has(kind)),
    ),
    ...parts,
  ])
}

/** A number of an axis; times in the unit that makes them short. */
function tick(value, unit) {
  if (unit !== 'µs') return value.toLocaleString('en')
  if (value >= 1e6) return `${value / 1e6} s`
  return value >= 1000 ? `${value / 1000} ms` : `${value} µs`
}

/** A line for each way, over cases at equal distances; logarithmic. */
function lines(question, found, { table, cases = found.cases, ways }, colors) {
  const { title, unit } = question.tables[table]
  const [left, right, top, bottom] = [64, WIDTH - 280, 72, 470]
  const rows = Object.entries(found.tables[table])
    .filter(([way]) => isShown(way, ways))
    .map(([way, cells]) => [way, cases.map((name) => cells[name]?.median)])
  const values = rows.flatMap(([, row]) => row).filter((value) => value > 0)
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values))), low + 1)
  const x = (i) => left + 12 + (i / (cases.length - 1)) * (right - left - 24)
  const y = (value) => bottom - ((Math.log10(value) - low) / (high - low)) * (bottom - top)

  const parts = []
  for (let power = low; power <= high; power++) {
    parts.push(rule(left, y(10 ** power), right, y(10 ** power), colors.grid))
    parts.push(
      label(left - 8, y(10 ** power) + 4, tick(10 ** power, unit), {
        fill: colors.soft,
        anchor: 'end',
        size: 11,
      }),
    )
  }
  cases.forEach((name, i) => parts.push(label(x(i), bottom + 20, name, { fill: colors.soft, anchor: 'middle' })))

  const ends = []
  let hue = 0
  for (const [way, row] of rows) {
    const kind = kindOf(way)
    const color = kind === 'other' ? hues[hue++ % hues.length] : colors[kind]
    const points = row.flatMap((value, i) => (value > 0 ? [[x(i), y(value)]] : []))
    if (points.length === 0) continue
    const dash = kind === 'limit' ? ' stroke-dasharray="6 4"' : ''
    const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')
    const width = kind === 'ours' ? 3 : 1.6
    parts.push(`<polyline points="${path}" fill="none" stroke="${color}" stroke-width="${width}"${dash}/>`)
    for (const [x, y] of points) {
      parts.push(
        `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${kind === 'ours' ? 3.5 : 2.4}" fill="${color}"/>`,
      )
    }
    ends.push({ way, color, at: points.at(-1), strong: kind === 'ours' })
  }
  // Names beside the ends of their lines, as near as they can be without touching.
  ends.sort((a, b) => a.at[1] - b.at[1])
  let free = top - 10
  const room = (i) => bottom + 6 - (ends.length - 1 - i) * 16
  ends.forEach(({ way, color, at, strong }, i) => {
    const place = Math.min(Math.max(at[1], free), room(i))
    free = place + 16
    parts.push(rule(at[0] + 6, at[1], right + 12, place, color, ' stroke-opacity="0.5" stroke-dasharray="1 3"'))
    parts.push(label(right + 18, place + 4, way, { fill: color, weight: strong ? 600 : 400 }))
  })
  const note = `${title}, ${unit}, logarithmic; lower is better`
  return frame(bottom + 40, question.title, [...heading(question.title, note, colors), ...parts])
}

export const plot = (question, found, theme) =>
  (question.plot.kind === 'lines' ? lines : bars)(question, found, question.plot, themes[theme])
