// The samples of a soak as SVG: a panel for each measure, a line for each process.

import { MEASURES, type Measure, type Soaked } from './run.ts'

const [WIDTH, LEFT, PANEL, GAP] = [760, 60, 110, 44]
const COLORS = ['#0969da', '#d1762c', '#2a9d8f', '#8a949e']

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

export function plot({ samples, names }: Soaked, title: string): string {
  const end = Math.max(...samples.flat().map(({ second }) => second))
  const x = (second: number) => (LEFT + (second / end) * (WIDTH - LEFT - 16)).toFixed(1)
  const parts = [`<text x="16" y="26" class="title">${escape(title)}</text>`]
  names.forEach((name, i) => {
    const at = 16 + i * 150
    parts.push(`<rect x="${at}" y="38" width="10" height="10" fill="${COLORS[i]}"/>`)
    parts.push(`<text x="${at + 16}" y="47">${escape(name)}</text>`)
  })
  let top = 84
  for (const measure of Object.keys(MEASURES) as Measure[]) {
    const shown = samples.map((all) => all.map((sample) => [sample.second, sample[measure]] as const))
    const most = Math.max(1, ...shown.flat().map(([, value]) => value)) * 1.05
    const y = (value: number) => (top + PANEL - (value / most) * PANEL).toFixed(1)
    parts.push(`<text x="16" y="${top - 8}">${MEASURES[measure]}</text>`)
    for (const value of [0, most / 2, most]) {
      parts.push(`<line x1="${LEFT}" x2="${WIDTH - 16}" y1="${y(value)}" y2="${y(value)}" class="grid"/>`)
      parts.push(`<text x="${LEFT - 6}" y="${Number(y(value)) + 4}" class="tick">${Math.round(value)}</text>`)
    }
    shown.forEach((points, i) => {
      // Who watches is there for the delay alone.
      if (i === shown.length - 1 && measure !== 'held') return
      const path = points.map(([second, value]) => `${x(second)},${y(value)}`).join(' ')
      parts.push(`<polyline points="${path}" fill="none" stroke="${COLORS[i]}" stroke-width="1.4"/>`)
    })
    top += PANEL + GAP
  }
  const minutes = Math.max(1, Math.floor(end / 60))
  for (let minute = 0; minute <= minutes && minute * 60 <= end; minute++) {
    parts.push(`<text x="${x(minute * 60)}" y="${top - GAP + 18}" class="tick">${minute} min</text>`)
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" role="img" font-family="system-ui, sans-serif" font-size="12">
<title>${escape(title)}</title>
<style>text { fill: #59636e } .title { font-size: 16px; font-weight: 600 } .tick { text-anchor: end; font-size: 11px } .grid { stroke: #8b949e; stroke-opacity: 0.3 }</style>
${parts.join('\n')}
</svg>
`
}
