// Draws the figures of the documentation, each for light and for dark pages:
//
//     npm run figures

import { writeFileSync } from 'node:fs'

const WIDTH = 760
const themes = {
  light: {
    ink: '#1f2328',
    soft: '#59636e',
    line: '#818b98',
    paper: '#f6f8fa',
    one: '#ddf4ff',
    two: '#fff1cc',
    three: '#ffd8d3',
  },
  dark: {
    ink: '#f0f6fc',
    soft: '#9198a1',
    line: '#656c76',
    paper: '#212830',
    one: '#0c2d6b',
    two: '#5a4300',
    three: '#67160f',
  },
}
const LINE = 16

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** What a figure is drawn with, in the colours of a theme. */
function pencils(colors) {
  const text = (x, y, words, { fill = 'ink', size = 12, anchor = 'start', weight = 400 } = {}) =>
    words
      .split('\n')
      .map((line, index) => {
        const style = `fill="${colors[fill]}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}"`
        return `<text x="${x}" y="${y + index * LINE}" ${style}>${escape(line)}</text>`
      })
      .join('')
  const title = (words) => text(16, 28, words, { size: 16, weight: 600 })
  const note = (x, y, words, anchor = 'start') => text(x, y, words, { fill: 'soft', anchor })
  /** A box with words in its middle; `fill` is a colour, or 'none' for a dashed frame. */
  const box = (x, y, width, height, words = '', fill = 'paper') => {
    const look = fill !== 'none' ? `fill="${colors[fill]}"` : 'fill="none" stroke-dasharray="4 3"'
    const lines = words.split('\n').length
    return (
      `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" stroke="${colors.line}" ${look}/>` +
      text(x + width / 2, y + height / 2 + 4 - ((lines - 1) * LINE) / 2, words, { anchor: 'middle' })
    )
  }
  const arrow = (x1, y1, x2, y2, { dashed = false } = {}) =>
    `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colors.soft}" stroke-width="1.5" ` +
    `${dashed ? 'stroke-dasharray="4 3" ' : ''}marker-end="url(#head)"/>`
  return { title, note, box, arrow }
}

const figures = {
  mapping: {
    title: 'A mapping, the page cache, and the file',
    height: 330,
    draw: ({ note, box, arrow }) => [
      note(16, 62, 'process 1: addresses'),
      ...[0, 1, 2, 3].map((page) => box(16, 72 + page * 40, 130, 40, `page ${page}`, page === 2 ? 'none' : 'one')),
      note(614, 62, 'process 2: addresses'),
      ...[0, 1].map((page) => box(614, 72 + page * 40, 130, 40, `page ${page}`, 'one')),
      note(310, 62, 'page cache: memory'),
      ...[0, 1, 3].map((page) => box(310, 72 + page * 40, 140, 40, `page ${page} of the file`, 'two')),
      box(310, 152, 140, 40, 'not in memory', 'none'),
      ...[0, 1, 3].map((page) => arrow(146, 92 + page * 40, 306, 92 + page * 40)),
      ...[0, 1].map((page) => arrow(614, 92 + page * 40, 454, 92 + page * 40)),
      note(226, 86, 'load, store', 'middle'),
      arrow(146, 172, 306, 172, { dashed: true }),
      note(226, 166, 'first touch', 'middle'),
      box(310, 272, 140, 40, 'the file, on disk'),
      arrow(350, 232, 350, 268),
      arrow(410, 268, 410, 232),
      note(342, 255, 'sync(), or later', 'end'),
      note(418, 255, 'when a page is touched, or ahead'),
      note(614, 180, 'Both use the same\nmemory: what one\nstores, the other\nloads at once.'),
      note(16, 255, 'No system call, and no copy,\nfor a page that is in memory.'),
    ],
  },
  kinds: {
    title: 'Shared, private, anonymous: where a store goes',
    height: 250,
    draw: ({ note, box, arrow }) => [
      ...['mapShared', 'mapPrivate', 'mapAnonymous'].map((name, at) => note(16 + at * 250, 62, name)),
      box(16, 72, 100, 40, 'page', 'one'),
      arrow(66, 112, 66, 148),
      note(74, 135, 'store'),
      box(16, 152, 220, 36, 'page cache: all processes see it', 'two'),
      arrow(126, 188, 126, 206),
      box(16, 208, 220, 28, 'the file'),
      box(266, 72, 100, 40, 'page', 'one'),
      arrow(366, 92, 402, 92),
      note(384, 84, 'store', 'middle'),
      box(406, 72, 80, 40, 'a copy', 'three'),
      arrow(316, 112, 316, 148),
      note(324, 135, 'load, before the first store'),
      box(266, 152, 220, 36, 'page cache', 'two'),
      arrow(376, 208, 376, 192),
      box(266, 208, 220, 28, 'the file never changes'),
      box(516, 72, 100, 40, 'page', 'one'),
      note(
        516,
        135,
        'Zeros at first. No file: gone\nwith the mapping. With shared: true\na child can get its descriptor.',
      ),
    ],
  },
  fault: {
    title: 'The life of a fault',
    height: 300,
    draw: ({ note, box, arrow }) => {
      const steps = [
        ['A load or store\nof a page that fails', 'one'],
        ['The kernel sends\nSIGBUS or SIGSEGV', 'three'],
        ['The guard puts private\nmemory over the page', 'two'],
        ['The access is made\nagain, and succeeds', 'one'],
      ]
      const later = [
        ['The page is mapped\nfrom the file again', 'two'],
        ['onFault, or a\nprocess warning', 'one'],
        ['check() or sync()\nthrows it once', 'one'],
      ]
      return [
        note(16, 62, 'at once, on the thread that made the access'),
        ...steps.map(([words, fill], at) => box(16 + at * 187, 72, 166, 56, words, fill)),
        ...[0, 1, 2].map((at) => arrow(182 + at * 187, 100, 200 + at * 187, 100)),
        note(577, 146, 'a load reads zeros,\na store goes nowhere'),
        arrow(725, 132, 725, 212),
        note(203, 206, 'on the next turn of the event loop'),
        ...later.map(([words, fill], at) => box(577 - at * 187, 216, 166, 56, words, fill)),
        ...[0, 1].map((at) => arrow(577 - at * 187, 244, 559 - at * 187, 244)),
        note(16, 240, 'No stage ends\nthe process.'),
      ]
    },
  },
  ring: {
    title: "A channel's ring",
    height: 270,
    draw: ({ note, box, arrow }) => [
      note(16, 62, 'its words'),
      ...['magic, length', "senders' lock", 'head', 'tail', "receiver's lock", 'two events'].map((words, at) =>
        box(16 + at * 122, 72, 118, 30, words),
      ),
      note(16, 138, 'the ring'),
      box(16, 148, 100, 44, 'free', 'none'),
      box(116, 148, 130, 44, 'committed', 'one'),
      box(246, 148, 110, 44, 'committed', 'one'),
      box(356, 148, 130, 44, 'reserved:\nbeing written', 'two'),
      box(486, 148, 90, 44, 'committed', 'one'),
      box(576, 148, 168, 44, 'free', 'none'),
      arrow(116, 224, 116, 196),
      note(116, 240, 'tail: what is received next', 'middle'),
      arrow(576, 224, 576, 196),
      note(576, 240, 'head: what is reserved next', 'middle'),
      note(356, 258, 'The receiver waits here until the message is committed, or its sender is dead.', 'middle'),
      arrow(356, 246, 356, 196, { dashed: true }),
    ],
  },
}

/** The figures: the name of each file, and what is in it. */
export function drawn() {
  return Object.entries(figures).flatMap(([name, { title, height, draw }]) =>
    Object.entries(themes).map(([theme, colors]) => {
      const pencil = pencils(colors)
      const head =
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">' +
        `<path d="M0 0 8 4 0 8z" fill="${colors.soft}"/></marker></defs>`
      const svg =
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
        `role="img" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">\n` +
        [`<title>${escape(title)}</title>`, head, pencil.title(title), ...draw(pencil)].join('\n')
      return [`${name}-${theme}.svg`, `${svg}\n</svg>\n`]
    }),
  )
}

if (process.argv[1] === import.meta.filename) {
  for (const [file, svg] of drawn()) writeFileSync(new URL(file, import.meta.url), svg)
}
