// A process that ends while it has mappings open, in every way that it can.

import { readFileSync } from 'node:fs'

import test from 'ava'

import { fixturePath } from './helpers/addon.ts'
import { lastLines } from './helpers/lifetimes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'
import { scratchFile } from './helpers/scratch.ts'

const begin = `
import { createRequire } from 'node:module'
const { mapAnonymous, mapPrivate, mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const file = process.env.FILE
const options = { protection: 'read-write', onFault() {} }
const map = mapShared(file, options)
const memory = mapAnonymous(2 ** 20, options)
const own = mapPrivate(file, options)
globalThis.kept = [map.buffer, memory.buffer, own.buffer, mapShared(file, { ...options, backing: 'shared-array-buffer' }).buffer]
memory.buffer.fill(1)
own.buffer.fill(2)
memory.protect('read')
memory.buffer[0] = 3
const { startReader } = createRequire(import.meta.url)(process.env.FIXTURE)
const reading = startReader(map.buffer, 300)
const syncing = map.sync()
map.buffer.write('stored')
`

const ends: [how: string, script: string, end: { code: number | null; signal: string | null }][] = [
  ['SIGTERM', `process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 60_000)`, { code: null, signal: 'SIGTERM' }],
  ['SIGKILL', `process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 60_000)`, { code: null, signal: 'SIGKILL' }],
  ['process.exit()', 'process.exit(3)', { code: 3, signal: null }],
  ['an uncaught exception', `setTimeout(() => { throw new Error('the end') })`, { code: 1, signal: null }],
  ['an unhandled rejection', `Promise.reject(new Error('the end'))`, { code: 1, signal: null }],
  ['having nothing left to do', 'await Promise.all([reading, syncing])', { code: 0, signal: null }],
  ['having nothing left to do, with the mapping closed', 'map.close(); await syncing', { code: 0, signal: null }],
]

for (const runtime of runtimes()) {
  for (const [how, script, end] of ends) {
    test(`${runtime.name} ${runtime.version}: a process that ends by ${how} leaves what it stored in the file`, async (t) => {
      const FILE = scratchFile(t, Buffer.alloc(2 ** 18, '.'))
      const result = await runScript(runtime, begin + script, { env: { FILE, FIXTURE: fixturePath() } })
      const { code, signal, timedOut, stdout, stderr } = result
      t.deepEqual({ code, signal, timedOut }, { ...end, timedOut: false }, lastLines(stdout + stderr))
      const bytes = readFileSync(FILE, 'latin1')
      t.is(bytes.slice(0, 8), 'stored..')
      t.is(bytes.length, 2 ** 18)
    })
  }
}
