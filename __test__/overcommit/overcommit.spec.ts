// The system promises no more memory than it has (vm.overcommit_memory = 2, as databases ask for it): what would need a
// promise is refused at once, and nothing that the library does for itself needs one. The setting is the whole machine's, so
// this is no part of `npm test`: `npm run test:overcommit`.

import { readFileSync, writeFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'

import { survives } from '../helpers/faults.ts'
import { runtimes } from '../helpers/runtimes.ts'

/** What may be promised beside what is, in bytes: enough for what else runs. */
const SPARE = 2 ** 36

const settings = ['overcommit_memory', 'overcommit_ratio', 'overcommit_kbytes'].map((name) => `/proc/sys/vm/${name}`)
const read = (path: string) => readFileSync(path, 'latin1').trim()
const promised = () => Number(/^Committed_AS: +(\d+) kB$/m.exec(read('/proc/meminfo'))![1])

/** Makes the system strict for one test; why it cannot be made so, if so. */
function beStrict(t: ExecutionContext): string | undefined {
  const [memory, ratio, kbytes] = settings.map(read) as [string, string, string]
  const restore = () => {
    writeFileSync(settings[0]!, memory)
    // Of these the one that was set last counts.
    if (kbytes === '0') writeFileSync(settings[1]!, ratio)
    else writeFileSync(settings[2]!, kbytes)
  }
  try {
    writeFileSync(settings[2]!, String(promised() + SPARE / 1024))
    t.teardown(restore)
    process.once('exit', restore)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
    writeFileSync(settings[0]!, '2')
    return undefined
  } catch (error) {
    return `this system's promises cannot be changed: ${(error as Error).message}`
  }
}

for (const runtime of runtimes()) {
  test.serial(`${runtime.name} ${runtime.version}: no memory is promised that is not there`, async (t) => {
    const reason = beStrict(t)
    if (reason) {
      t.log(`skipped: ${reason}`)
      return t.pass()
    }
    await survives(
      t,
      runtime,
      `
      const MUCH = 2 ** 40
      const refused = { code: 'ENOMEM', syscall: 'mmap' }
      const path = makeFile(MUCH)
      for (const reserve of [true, false]) {
        assert.throws(() => mapAnonymous(MUCH, { reserve }), refused)
        assert.throws(() => mapPrivate(path, { reserve }), refused)
      }
      // A file is there for the pages of these.
      const faults = []
      const map = mapShared(path, { protection: 'read-write', onFault: ({ kind }) => faults.push(kind) })
      const own = mapPrivate(path, { protection: 'read' })
      assert.equal(own.view(0, 1)[0], 0)
      assert.throws(() => own.protect('read-write'), { code: 'ENOMEM', syscall: 'mprotect' })
      assert.equal(own.protection, 'read')
      assert.equal(own.read(5, 1)[0], 0)
      own.close()

      // Overlays of a TiB are promised nothing.
      const view = map.view(0, 2 ** 30)
      const last = map.view(MUCH - 100, 100)
      fs.truncateSync(path, 4096)
      assert.equal(last[0], 0)
      last[0] = 1
      for (let at = 8192; at < view.length; at += 2 ** 24) view[at] = 1
      view[0] = 9
      assert.ok(map.faults > 0)
      await until(() => faults.length > 0)
      assert.equal(faults[0], 'beyond-end')
      assert.equal(fs.readFileSync(path)[0], 9)
      map.close()

      // What a mapping can grow into is promised when it does.
      const grows = mapAnonymous(2 ** 20)
      grows.buffer.fill(1)
      grows.resize(2 ** 24)
      assert.throws(() => grows.resize(MUCH), refused)
      assert.equal(grows.length, 2 ** 24)
      assert.equal(grows.read(2 ** 20 - 1, 2).toString('hex'), '0100')
      grows.close()
      console.log('end')`,
    )
  })
}
