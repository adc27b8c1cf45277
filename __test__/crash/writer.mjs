// Stores records to a file, makes them durable, and says which are, until it is killed: `writer.mjs FILE FIRST SEED`.
//
// A record is 64 times its number, in a slot of 512 bytes. FIRST is more than all numbers that the file has. A line of the
// output is `SLOT COUNT NUMBER`: from now on none of these slots may ever have less than NUMBER. With PRETEND it is told
// before it is so: what runs this must notice.

import fs from 'node:fs'
import { dirname } from 'node:path'

import { random } from '../helpers/observe.mjs'

const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const [file, first, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const chance = random(seed)

const WORDS = 64
const SLOT = WORDS * 8
/** Slots at first, and after the file has grown. */
const FEW = 3 * 64
const MANY = 3 * 512
/** What stores, each to its own slots. */
const WRITERS = 3

const backing = chance(4) === 0 ? 'shared-array-buffer' : 'array-buffer'
const isNew = !fs.existsSync(file)
const map = mapShared(file, {
  protection: 'read-write',
  create: true,
  length: isNew ? FEW * SLOT : undefined,
  allocate: chance(3) === 0,
  backing,
})
let slots = map.length / SLOT
if (isNew) {
  // As docs/durability.md has it; Windows has no fsync of a folder.
  await map.sync()
  if (process.platform !== 'win32') {
    const folder = fs.openSync(dirname(file), 'r')
    fs.fsyncSync(folder)
    fs.closeSync(folder)
  }
}

let number = first
async function write(writer) {
  for (;;) {
    const own = Math.floor(slots / WRITERS)
    const count = 1 + chance(8)
    const slot = writer * own + chance(own - count)
    const value = BigInt(number++)
    const range = { offset: slot * SLOT, length: count * SLOT }
    if (chance(2) === 0) map.typedArray(BigUint64Array, range.offset, count * WORDS).fill(value)
    else map.write(new BigUint64Array(count * WORDS).fill(value), range.offset)
    const told = `${slot} ${count} ${value}\n`
    if (process.env.PRETEND) fs.writeSync(1, told)
    else await [() => map.sync(range), () => map.sync(), () => map.syncSync(range)][chance(3)]()
    if (!process.env.PRETEND) fs.writeSync(1, told)
    // The slots of the writers move with this, so none may be under way.
    if (writer === 0 && slots < MANY && chance(50) === 0) grows = true
    if (grows) return
    await undefined
  }
}

let grows = false
for (;;) {
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
  grows = false
  slots = Math.min(slots + FEW, MANY)
  map.resize(slots * SLOT)
}
