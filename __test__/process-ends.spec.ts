// A process that ends while mappings are open and in use ends as it would without them, with the same signal or code. What
// it had stored to a shared mapping is in the file.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { fixturePath } from './helpers/addon.ts'
import { isWindows } from './helpers/platform.ts'
import { ending, scriptEnv, start } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

/** Opens and uses mappings of every kind, in every state, and stores its last words into one. */
const BEGINNING = `
import fs from 'node:fs'
import { createRequire } from 'node:module'
const { mapAnonymous, mapPrivate, mapShared, pageSize } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const isWindows = process.platform === 'win32'
// There is no addon for Windows, so no other threads use the mappings there.
const idle = { startReader() {}, startWriter() {} }
const { startReader, startWriter } = isWindows ? idle : createRequire(import.meta.url)(process.env.FIXTURE)
const onFault = () => {}
const rw = { protection: 'read-write', onFault }
const shared = mapShared('file', rw)
const { buffer } = shared
const memory = mapAnonymous(2 ** 20, { onFault })
const passed = mapAnonymous(2 ** 20, { shared: !isWindows, backing: 'shared-array-buffer' })
const copy = mapPrivate('file', { offset: 100, onFault })
copy.buffer.fill(1)
passed.buffer.fill(2)

// Faults that are not reported yet: in a file that shrank, in a read-only page, and in mappings that are closed.
fs.writeFileSync('cut', Buffer.alloc(16 * pageSize, 7))
const cut = mapShared('cut', rw)
cut.view(0, 1)
if (!isWindows) fs.truncateSync('cut', 0)
cut.buffer.fill(1)
memory.protect('read', { length: pageSize })
memory.buffer[0] = 1
const closed = mapShared('file')
closed.buffer.at(0)
closed.close()
for (const map of [mapShared('file'), mapAnonymous(100)]) map.buffer.at(0)

/** Starts threads that use mappings for some time. */
const work = (milliseconds) => [
  startReader(buffer.subarray(5000), milliseconds),
  startReader(cut.buffer, milliseconds),
  startWriter(memory.buffer, milliseconds),
  startWriter(copy.buffer, milliseconds),
]
const kept = isWindows ? [shared] : [shared, passed]
const pending = () => [shared.sync({ offset: 10, length: 5000 }), ...kept.map((map) => map.sync())]

buffer.write('the last words')
buffer[2 ** 22 - 1] = 0x21
`

const FOREVER = 600_000

const ways: Record<string, { script: string; code: number | null; signal: NodeJS.Signals | null }> = {
  'SIGTERM in a loop over a mapping': {
    script: `
      work(${FOREVER})
      pending()
      console.log('ready')
      for (let i = 0; ; i++) {
        memory.buffer[(i * 7) % memory.length] = buffer[i % 1000]
        cut.buffer[(i * 4096) % cut.length] = 1
        if (i % 10_000 === 0) try { cut.check(); memory.check() } catch {}
      }`,
    code: null,
    signal: 'SIGTERM',
  },
  'SIGTERM while it waits': {
    script: `work(${FOREVER}); pending(); console.log('ready'); setInterval(() => {}, 1000)`,
    code: null,
    signal: 'SIGTERM',
  },
  'SIGKILL in a loop over a mapping': {
    script: `
      work(${FOREVER})
      console.log('ready')
      for (let i = 0; ; i++) memory.buffer[(i * 7) % memory.length] = buffer[i % 1000]`,
    code: null,
    signal: 'SIGKILL',
  },
  'an exception that nobody catches': {
    script: `work(${FOREVER}); pending(); throw new Error('the end')`,
    code: 1,
    signal: null,
  },
  'a rejection that nobody catches': {
    script: `work(${FOREVER}); pending(); Promise.reject(new Error('the end')); setInterval(() => {}, 1000)`,
    code: 1,
    signal: null,
  },
  'process.exit()': {
    script: `work(${FOREVER}); pending(); process.exit(7)`,
    code: 7,
    signal: null,
  },
  'process.exit() in a listener of its own end': {
    script: `pending(); process.on('exit', () => { buffer.at(0); cut.buffer.fill(3); process.exit(9) })`,
    code: 9,
    signal: null,
  },
  'process.exit() in onFault': {
    script: `
      const map = mapShared('file', { onFault: () => process.exit(8) })
      work(${FOREVER})
      map.buffer[0] = 1
      setInterval(() => {}, 1000)`,
    code: 8,
    signal: null,
  },
  'having nothing more to do, with syncs under way': {
    script: `
      work(100)
      const jobs = pending()
      Promise.all(jobs).then(() => console.log('synced'))`,
    code: 0,
    signal: null,
  },
  'having nothing more to do, with syncs under way and the mapping closed': {
    script: `
      work(100)
      const jobs = pending()
      shared.close()
      copy.close()
      Promise.all(jobs).then(() => console.log('synced'))`,
    code: 0,
    signal: null,
  },
}

for (const runtime of runtimes()) {
  for (const [what, { script, code, signal }] of Object.entries(ways)) {
    // Serial, for each keeps all its threads busy.
    test.serial(`${runtime.name} ${runtime.version}: a process ends as without its mappings, by ${what}`, async (t) => {
      const folder = scratchFolder(t)
      writeFileSync(join(folder, 'file'), Buffer.alloc(2 ** 22, 0x2e))
      writeFileSync(join(folder, 'script.mjs'), BEGINNING + script)
      const child = start(runtime.command, [...runtime.args, 'script.mjs'], {
        cwd: folder,
        env: isWindows ? scriptEnv() : { ...scriptEnv(), FIXTURE: fixturePath() },
      })
      const end = ending(child)
      if (signal !== null) {
        await Promise.race([once(child.stdout!, 'data'), end])
        child.kill(signal)
      }
      const result = await end
      t.deepEqual(
        { code: result.code, signal: result.signal, timedOut: result.timedOut },
        { code, signal, timedOut: false },
        result.stderr,
      )
      if (code === 0) t.is(result.stdout, 'synced\n', result.stderr)
      if (code === 1) t.true(result.stderr.includes('the end'), result.stderr)

      const file = readFileSync(join(folder, 'file'))
      t.is(file.toString('latin1', 0, 16), 'the last words..')
      t.is(file.at(-1), 0x21)
      t.true(file.subarray(14, -1).every((byte) => byte === 0x2e))
    })
  }
}
