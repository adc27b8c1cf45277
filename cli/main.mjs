#!/usr/bin/env node
// `memory-map`: which pages of files are in memory, and what lies in shared memory.

import { readFileSync } from 'node:fs'

import { InvalidArgumentError, Option, program } from 'commander'

import { inspectShared } from './lib/inspect.mjs'
import { list, remove } from './lib/named.mjs'
import { evict, lock, touch, watch } from './lib/pages.mjs'
import { residency } from './lib/residency.mjs'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

function byteOffset(text) {
  const offset = Number(text)
  if (text === '' || !Number.isSafeInteger(offset) || offset < 0)
    throw new InvalidArgumentError('not an offset in bytes')
  return offset
}

function seconds(text) {
  const value = Number(text)
  if (!(value > 0 && value < 10 ** 6)) throw new InvalidArgumentError('not a number of seconds')
  return value
}

const several = (text, before) => [...before, byteOffset(text)]
const interval = () => new Option('-i, --interval <seconds>', 'how often to look').argParser(seconds).default(1)
const json = ['--json', 'print JSON']

program
  .name('memory-map')
  .version(version)
  .showSuggestionAfterError(false)
  .description('Shows which pages of files are in memory, and what lies in shared memory.')

program
  .command('residency')
  .description('draw which pages of files are in the page cache; of a folder, those of all files in it')
  .argument('<file...>')
  .option(...json)
  .option('--svg <output>', 'draw into an SVG file')
  .action(residency)

program.command('touch').description('bring files into the page cache').argument('<file...>').action(touch)

program
  .command('evict')
  .description('write files back, and drop them from the page cache, but for pages that other processes have mapped')
  .argument('<file...>')
  .action(evict)

program
  .command('lock')
  .description('bring files into memory and keep them there until this program ends')
  .argument('<file...>')
  .action(lock)

program
  .command('watch')
  .description('draw which pages are in the page cache again and again')
  .argument('<file...>')
  .addOption(interval())
  .action(watch)

program
  .command('inspect')
  .description('show what of memory-map/sync lies in shared memory, and which processes use it')
  .argument('<name>', 'a file, or the name of shared memory')
  .option('-m, --mutex <offset>', 'a Mutex is there; may be repeated, as all of these', several, [])
  .option('-r, --rwlock <offset>', 'an RwLock is there', several, [])
  .option('-s, --semaphore <offset>', 'a Semaphore is there', several, [])
  .option('-e, --event <offset>', 'an Event is there', several, [])
  .option('-c, --condition <offset>', 'a Condition is there', several, [])
  .option(...json)
  .action(inspectShared)

program
  .command('ls')
  .description('list the named memory of this machine, and who has it mapped (Linux)')
  .option(...json)
  .action(list)

program
  .command('rm')
  .description('remove named memory; processes that have it mapped keep it')
  .argument('<name...>')
  .action(remove)

try {
  await program.parseAsync()
} catch (error) {
  // Those of the system and of memory-map say what is wrong. Others are mistakes of this program.
  if (typeof error?.code !== 'string') throw error
  console.error(`memory-map: ${error.message}`)
  process.exitCode = 1
}
