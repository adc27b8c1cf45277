// What the command-line tool shows of shared memory: `npm run test:cli`.

import { fileURLToPath } from 'node:url'

import test from 'ava'

import { mapShared } from '../../index.js'
import { Event, Latest, Mutex, Semaphore } from '../../sync.js'
import { onLinux } from '../helpers/platform.ts'
import { scratchFile } from '../helpers/scratch.ts'
import { asJson, cli, started } from './tool.ts'

const scenario = fileURLToPath(new URL('../scenarios/cli-inspect.mjs', import.meta.url))

/** Where the scenario has those objects that cannot be found by their bytes. */
const PLACES = ['-m', '72', '-s', '128', '-e', '136', '-e', '160', '-c', '144', '-r', '57344', '-r', '57856']

onLinux('inspect shows an object of each class, and which owners are alive', async (t) => {
  const path = scratchFile(t, Buffer.alloc(65_536))
  const { child, ended, next } = started(t, scenario, path)
  t.is(await next(), 'ready')
  const map = mapShared(path, { protection: 'read-write' })
  t.teardown(() => map.close())
  const ours = new Mutex(map, 80)
  ours.lock()
  new Semaphore(map, 128, 5).tryAcquire()
  const found = await asJson(t, 'inspect', ...PLACES, path)
  const lives = { alive: true, pid: child.pid }

  const [channel] = found.channels
  t.is(found.channels.length, 1)
  t.deepEqual([channel.offset, channel.length, channel.capacity], [4096, 8192, 8192 - 512 - 64])
  t.is(channel.used, 16 + 16 + 16 + 104)
  t.like(channel.messages, { waiting: 1, 'being written': 1, skipped: 0, damaged: false })
  t.like(channel.messages.next, { state: 'waiting', length: 12 })
  t.like(channel.receiver, lives)

  const [queue] = found.queues
  t.is(found.queues.length, 1)
  t.like(queue, { offset: 16_384, length: 8192, used: 48 + 40 + 40 + 40 })
  t.like(queue.messages, { waiting: 2, delivered: 1, done: 1, 'being written': 0, skipped: 0, damaged: false })
  t.like(queue.messages.next, { state: 'waiting', length: 10, deliveries: 1 })
  t.is(queue.receivers.length, 1)
  t.like(queue.receivers[0], { ...lives, messages: 1, most: 1 })

  const [rpc] = found.rpcs
  t.is(found.rpcs.length, 1)
  t.like(rpc, { offset: 58_368, maxClients: 3, server: lives })
  t.is(rpc.clients.length, 1)
  t.like(rpc.clients[0], lives)

  const [lossless, lossy] = found.broadcasts
  t.is(found.broadcasts.length, 2)
  t.like(lossless, { offset: 32_768, length: 16_384, lossless: true, used: 24 + 32 })
  t.deepEqual(lossless.messages, { kept: 2, newest: { number: '2', length: 10 }, damaged: false })
  t.is(lossless.receivers.length, 1)
  t.like(lossless.receivers[0], { ...lives, behind: 32 })
  t.like(lossy, { offset: 49_152, length: 4096, lossless: false, receivers: undefined })

  t.is(found.latest.length, 1)
  t.like(found.latest[0], { offset: 2048, maxLength: 64, version: '1', bytes: 6 })
  t.is(found.barriers.length, 1)
  t.like(found.barriers[0], { offset: 1024, parties: 3, broken: false, generation: 0 })
  t.is(found.barriers[0].waiting.length, 1)
  t.like(found.barriers[0].waiting[0], lives)

  const [shared, exclusive] = found.rwlocks
  t.is(shared.shared.length, 1)
  t.like(shared.shared[0], lives)
  t.like(shared, { exclusive: undefined, waiting: undefined, unrepaired: false })
  t.like(exclusive, { exclusive: lives, shared: [], waiting: undefined, unrepaired: false })
  t.deepEqual(
    found.mutexes.map(({ offset, owner }: { offset: number; owner?: { pid: number } }) => [offset, owner?.pid]),
    [
      [64, child.pid],
      [72, undefined],
      [80, process.pid],
    ],
  )
  t.deepEqual(found.semaphores, [{ offset: 128, permits: 4, maySleep: false }])
  t.deepEqual(
    found.events.map(({ isSet, times }: { isSet: boolean; times: string }) => [isSet, times]),
    [
      [true, '1'],
      [false, '0'],
    ],
  )
  t.deepEqual(found.conditions, [{ offset: 144, waiting: 1, notifications: 0 }])

  child.kill('SIGKILL')
  await ended
  const printed = await cli(t, 'inspect', path, ...PLACES, '-m', '64')
  for (const line of [
    '  next: 12 bytes, waiting, from a dead process\n  receiver: a dead process',
    'rpc at 58368: 0 requests waiting, 1 of at most 3 clients\n  server: a dead process\n  client: a dead process',
    'queue at 16384: 168 B of 7.4 KiB used, 2 %',
    '  messages: 2 waiting, 1 delivered, 1 done, 0 being written, 0 skipped',
    '  next: 10 bytes, waiting, from a dead process, delivered before: 1\n  a dead process has 1',
    'broadcast at 32768: 56 B of 11.6 KiB used, 0 %, lossless',
    '  messages: 2 kept, the newest is number 2, 10 bytes\n  receiver: a dead process, 32 B behind',
    'latest at 2048: value 1, 6 bytes of at most 64',
    'barrier at 1024: 1 of 3 parties have come\n  waiting: a dead process',
    'rwlock at 57344: shared by a dead process',
    'rwlock at 57856: held exclusively by a dead process',
    "  a writer died while it held it: the next to lock gets 'recovered'",
    'mutex at 64: held by a dead process',
    'mutex at 72: free',
    'semaphore at 128: 4 permits',
    'event at 136: set',
    'event at 160: not set',
    'condition at 144: 1 wait, 0 of them notified',
  ]) {
    t.true(`\n${printed}`.includes(`\n${line}\n`), `${line}\n\n${printed}`)
  }
  t.regex(printed, /^mutex at 80: held by process \d+ \(.+\)$/m)
})

test('inspect shows random and damaged bytes without an error', async (t) => {
  const wild = Buffer.alloc(16_384)
  const words = (at: number, ...values: bigint[]) =>
    values.forEach((value, i) => wild.writeBigUInt64LE(value, at + 8 * i))
  wild.write('MMAPCHAN', 0)
  wild.write('MMAPCHAN', 8) // not aligned
  wild.write('MMAPCHAN', 64 + 1)
  wild.write('MMAPCHAN', 128)
  words(136, 1n, 2n ** 60n) // a ring that does not fit
  wild.write('MMAPQUEU', 1024)
  words(1032, 1n, 1024n)
  words(1024 + 128, 2n ** 63n) // a head that is far from the tail
  wild.write('MMAPCHAN', 4096)
  words(4104, 1n, 1024n)
  words(4096 + 128, 64n)
  wild.fill(255, 4096 + 512, 4096 + 512 + 1024)
  wild.write('MMAPQUEU', 6144)
  words(6152, 1n, 1024n)
  words(6144 + 128, 24n)
  words(6144 + 512, 2n, 8n + (8n << 32n)) // a message that has no room for who has it
  wild.write('MMAPCAST', 8192)
  words(8200, 1n, 1024n)
  words(8192 + 128, 64n)
  words(8192 + 320, 2n ** 63n) // a length that goes beyond the head
  wild.write('MMAPCAST', 10_240)
  words(10_248, 7n)
  wild.write('MMAP-RPC', 11_264)
  words(11_272, 1n, 640n, 2n ** 40n) // more channels than fit
  wild.write('MMAP-RPC', 11_328)
  words(11_336, 1n, 640n, 1n) // without its channels
  words(12_288, 0n, (0x2b41n << 49n) | (65n << 32n)) // more parties than there can be
  words(12_800, (64n << 16n) | 0x4c01n, 0n, 4n, 0n) // a value that no slot has
  words(12_864, 9n)
  words(16_376, (64n << 16n) | 0x4c01n) // up to the end
  const printed = await cli(t, 'inspect', scratchFile(t, wild))
  t.deepEqual(
    printed
      .split('\n')
      .slice(1, -1)
      .filter((line) => !line.startsWith('Who is alive')),
    [
      'rpc at 11328: damaged',
      `channel at 0: version ${Number(Buffer.from('MMAPCHAN').readBigUInt64LE())}, which is not known here`,
      'channel at 4096: 64 B of 960 B used, 7 %',
      '  messages: 0 waiting, 0 being written, 0 skipped, and then damage',
      '  receiver: nobody',
      'queue at 1024: damaged',
      'queue at 6144: 24 B of 960 B used, 3 %',
      '  messages: 0 waiting, 0 delivered, 0 done, 0 being written, 0 skipped, and then damage',
      'broadcast at 8192: 64 B of 960 B used, 7 %',
      '  messages: 0 kept, and then damage',
      'broadcast at 10240: version 7, which is not known here',
    ],
  )
})

onLinux('inspect says that others may wait', async (t) => {
  const path = scratchFile(t, Buffer.alloc(8192))
  const map = mapShared(path, { protection: 'read-write' })
  t.teardown(() => map.close())
  const latest = new Latest(map, { offset: 4096, length: Latest.byteLengthFor(8) })
  latest.write('')
  const event = new Event(map, 0)
  const waits = [latest.waitAsync(latest.version), event.waitAsync()]
  let printed
  do printed = await cli(t, 'inspect', '--event', '0', path)
  while (printed.match(/, others may wait$/gm)?.length !== 2)
  t.regex(
    printed,
    /^latest at 4096: value 1, 0 bytes of at most 8, others may wait\nevent at 0: not set, others may wait$/m,
  )
  latest.write('new')
  event.set()
  await Promise.all(waits)
})
