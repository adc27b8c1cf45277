// A large text, and what can be looked for in it.

import { isUtf8 } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** Nowhere in the text, though its letters are everywhere; nowhere, as its first byte; once, at nine tenths. */
export const needles = { common: 'eatonirs', absent: '\u0001needle', rare: 'Xylophonquarz' }

// Files in which readline finds other lines than the rest are left out too.
const unwanted = [...Object.values(needles), '\u0001', '\0', '\r', '\u2028', '\u2029']

function* filesIn(directory, pattern) {
  let entries = []
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true })
  } catch {
    return // it is missing, or may not be read
  }
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(directory, entry.name)
    if (entry.isDirectory()) yield* filesIn(file, pattern)
    else if (entry.isFile() && pattern.test(entry.name)) yield file
  }
}

/**
 * Writes a text of real files: Rust sources of the cargo registry, documents and word lists of the system, the
 * JavaScript of node_modules, whichever there are, in the order of their paths, again and again until it is long
 * enough.
 */
export function writeText(file, size) {
  const cargo = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo')
  const sources = [
    [path.join(cargo, 'registry', 'src'), /\.(rs|md|toml)$/],
    ['/usr/share/dict', /./],
    ['/usr/share/doc', /(^copyright|\.(txt|md|html))$/],
    ['/usr/share/perl', /\.(pm|pod)$/],
    [modules, /\.(js|mjs|ts|md|json)$/],
  ]
  const pieces = []
  for (const [directory, pattern] of sources) {
    for (const found of filesIn(directory, pattern)) {
      const bytes = fs.readFileSync(found)
      if (isUtf8(bytes) && !unwanted.some((word) => bytes.includes(word))) pieces.push(bytes)
    }
  }
  const once = Buffer.concat(pieces)
  const fd = fs.openSync(file, 'w')
  for (let written = 0; written < size;) {
    const length = size - written < once.length ? once.lastIndexOf('\n', size - written) + 1 : once.length
    if (length === 0) break
    written += fs.writeSync(fd, once, 0, length)
  }
  fs.writeSync(fd, 'the last line\n')
  fs.writeSync(fd, needles.rare, Math.floor(fs.fstatSync(fd).size * 0.9))
  fs.closeSync(fd)
}
