// If the system has no memory for a large result, the call throws, and the process goes on.

import { onLinux as test } from './helpers/platform.ts'
import { survives } from './helpers/faults.ts'
import { runtimes } from './helpers/runtimes.ts'

const prelude = `
  import { execFileSync } from 'node:child_process'
  const { Channel } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
  /** Bytes that the runtime does not get from the system again. Bun takes a GiB at a time. */
  const MUCH = globalThis.Bun ? 2 ** 31 : 2 ** 28
  const refused = { name: 'Error', code: 'ENOMEM', errno: -12, syscall: 'malloc' }
  const fill = () => mapShared(makeFile(3 * MUCH), { protection: 'read-write' })
  /** Grants this process 100 MiB from now on, or 200, beside what it has. */
  const limit = () => {
    const kilobytes = /^VmData:\\s+(\\d+) kB$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]
    const bytes = Number(kilobytes) * 1024 + (globalThis.Bun ? 200 : 100) * 2 ** 20
    execFileSync('prlimit', ['--pid', String(process.pid), '--data=' + bytes + ':' + bytes])
  }`

/** Bun asks the system for so much memory at a time that results large enough to fail would take long to make. */
const notOnBun = /send|receive|searches|text/

const calls: Record<string, [before: string, call: string]> = {
  read: ['', 'assert.throws(() => map.read(0, MUCH), refused)'],
  'read of the shared backing': [
    `const other = mapShared(makeFile(MUCH), { backing: 'shared-array-buffer' })`,
    'assert.throws(() => other.read(), refused)',
  ],
  'chunks of the shared backing': [
    `const other = mapShared(makeFile(MUCH), { backing: 'shared-array-buffer' })`,
    'await assert.rejects(other.createReadStream({ highWaterMark: MUCH }).toArray(), refused)',
  ],
  'chunks with an encoding': [
    '',
    `await assert.rejects(map.createReadStream({ highWaterMark: MUCH / 2, encoding: 'latin1' }).toArray(), refused)`,
  ],
  sort: ['const numbers = map.typedArray(Float64Array, 0, MUCH / 8)', 'assert.throws(() => numbers.sort(), refused)'],
  residency: [
    `const large = mapShared(makeFile(2 ** 43))`,
    `assert.throws(() => large.residency(), refused)
    assert.deepEqual({ ...large.residency({ bitmap: false }) }, { pages: 2 ** 43 / pageSize, resident: 0 })`,
  ],
  sendAsync: [
    'const channel = Channel.create(map), message = map.view(0, MUCH / 2); while (channel.trySend(message));',
    'await assert.rejects(channel.sendAsync(message, 1000), refused)',
  ],
  receive: [
    'const channel = Channel.create(map); channel.send(map.view(0, MUCH / 2))',
    `assert.throws(() => channel.receive(0), refused)
    await assert.rejects(channel.receiveAsync(0), refused)
    assert.strictEqual(channel.borrow().length, MUCH / 2)`,
  ],
  text: [
    '',
    `assert.throws(() => map.toString('latin1', 0, MUCH / 2), refused)
    assert.throws(() => map.view(0, MUCH / 2).toString('latin1'), refused)`,
  ],
  'text of which there is memory for a copy': [
    '',
    `for (const encoding of ['utf8', 'latin1', 'hex', 'utf16le']) {
      assert.throws(() => map.toString(encoding, 0, MUCH / 4), refused)
      assert.throws(() => map.view(0, MUCH / 4).toString(encoding), refused)
    }`,
  ],
  searches: [
    'const needle = Buffer.alloc(MUCH / 2, 1)',
    `for (const method of ['indexOf', 'lastIndexOf', 'includes', 'count'])
      assert.throws(() => map[method](needle), refused)
    for (const method of ['find', 'countAsync']) await assert.rejects(map[method](needle), refused)`,
  ],
  'searches for text': [
    `const needle = Buffer.alloc(MUCH / 4, 'é', 'latin1').toString('latin1') // of twice as many bytes as UTF-8`,
    `for (const method of ['indexOf', 'includes', 'count']) assert.throws(() => map[method](needle), refused)
    await assert.rejects(map.find(needle), refused)`,
  ],
}

// Deno panics where there is none for a thread that it starts.
for (const runtime of runtimes().filter(({ name }) => name !== 'deno')) {
  for (const [name, [before, call]] of Object.entries(calls)) {
    if (runtime.name === 'bun' && notOnBun.test(name)) continue
    test(`${runtime.name} ${runtime.version}: a call throws if there is no memory for its result: ${name}`, async (t) => {
      await survives(
        t,
        runtime,
        `${prelude}
        const map = fill()
        ${before}
        limit()
        ${call}
        map.write(Buffer.from('after'), 3 * MUCH - 5)
        assert.strictEqual(map.read(3 * MUCH - 5, 5).toString(), 'after')
        console.log('end')`,
      )
    })
  }
}
