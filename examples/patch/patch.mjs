// Changes bytes of a file in place, and only if all of them are what the patch expects.
//
//     node patch.mjs [--dry-run] FILE PATCH
//
// A line of the patch is an offset, the bytes that are there, and those to put there: `0x1f4: 90 90 -> eb 05`.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { mapPrivate, mapShared } from 'memory-map'

const options = { 'dry-run': { type: 'boolean', default: false } }
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const [path, patch] = positionals
const dry = values['dry-run']

const changes = readFileSync(patch, 'utf8')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => {
    const [, offset, before, after] = /^(\w+): ([0-9a-f ]+) -> ([0-9a-f ]+)$/i.exec(line) ?? []
    if (offset === undefined) throw new Error(`not a change: ${line}`)
    const [from, to] = [before, after].map((text) => Buffer.from(text.replaceAll(' ', ''), 'hex'))
    if (from.length !== to.length) throw new Error(`the file would not keep its length: ${line}`)
    return { offset: Number(offset), from, to }
  })

// A private mapping takes the stores, and the file never sees them.
const map = dry ? mapPrivate(path) : mapShared(path, { protection: 'read-write' })
try {
  for (const { offset, from } of changes) {
    if (offset + from.length > map.length || !map.read(offset, from.length).equals(from)) {
      console.error(`${path} has other bytes at ${offset}. Nothing was changed.`)
      process.exit(1)
    }
  }
  for (const { offset, to } of changes) map.write(to, offset)
  if (!dry) await map.sync()
  const hash = createHash('sha256').update(map.read()).digest('hex')
  console.log(`${dry ? 'would change' : 'changed'} ${changes.length} places`)
  console.log(`${dry ? 'would be' : 'is'} sha256 ${hash}`)
} finally {
  map.close()
}
