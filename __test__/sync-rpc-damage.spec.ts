// An Rpc whose memory something else changes while it is in use: calls fail or have no answer, and nothing worse.

import test from 'ava'
import fc from 'fast-check'
import { mapShared } from 'memory-map'
import { Channel, Rpc } from 'memory-map/sync'

import { orLong } from './helpers/long.mjs'
import { sparseFile } from './helpers/scratch.ts'
import { turns } from './helpers/until.ts'

/** Where it is, with memory around it that is nobody's to change. */
const [START, LENGTH, END] = [4096, 8192, 16_384]
const CLIENTS = 2
/** How long each of its channels is, and where the first one begins. */
const SIZE = Math.floor((LENGTH - 128) / (CLIENTS + 1) / 64) * 64
const FIRST = START + 128
const TIMEOUT = 20

type Step =
  | { readonly store: bigint; readonly at: number }
  | { readonly fill: number; readonly at: number; readonly length: number }
  | { readonly message: Uint8Array; readonly to: number }
  | { readonly call: string; readonly by: number }
  | { readonly end: 'client' | 'server'; readonly who: number }

const channel = fc.nat(CLIENTS)
/** A word of the head of the Rpc, of that of a channel, or of a ring. */
const place = fc.oneof(
  fc.nat(15).map((word) => START + 8 * word),
  fc
    .tuple(channel, fc.constantFrom(0, 8, 16, 64, 128, 192, 256, 264, 320, 384, 448))
    .map(([which, word]) => FIRST + which * SIZE + word),
  fc.tuple(channel, fc.nat((SIZE - 512) / 8 - 1)).map(([which, word]) => FIRST + which * SIZE + 512 + 8 * word),
)
/** What it may be taken for: a state, a length, a position, the number of a process. */
const value = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 4n, -1n, BigInt(SIZE), 2n ** 32n, 2n ** 62n, -(2n ** 63n)),
  fc.bigInt({ min: 0n, max: 10_000n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
/** A message whose head may be right: who calls, the number of the call, the client or the status. */
const message = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc
    .tuple(fc.constantFrom(0n, -1n), fc.nat(5), fc.oneof(fc.nat(4), fc.constant(2 ** 32 - 1)), fc.nat(40))
    .map(([caller, number, last, length]) => {
      const bytes = Buffer.alloc(16 + length, 'forged')
      bytes.writeBigInt64LE(caller, 0)
      bytes.writeUInt32LE(number, 8)
      bytes.writeUInt32LE(last, 12)
      return bytes
    }),
)
const call = fc.record({ call: fc.string({ maxLength: 300 }), by: fc.nat(CLIENTS - 1) })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ store: value, at: place }) },
  { weight: 1, arbitrary: fc.record({ fill: fc.nat(255), at: place, length: fc.nat(300) }) },
  { weight: 3, arbitrary: fc.record({ message, to: channel }) },
  { weight: 5, arbitrary: call },
  { weight: 1, arbitrary: fc.record({ end: fc.constantFrom('client', 'server'), who: fc.nat(CLIENTS - 1) }) },
)

/** What may come of opening, of serving, and of what is sent; and of a call. */
const DAMAGED = /^ERR_MMAP_(INVALID|BUSY|NOT_OWNER)$/
const FAILED = /^ERR_MMAP_(INVALID|BUSY|NOT_OWNER|TIMED_OUT|SERVER_GONE|REMOTE|CLOSED)$|^ERR_OUT_OF_RANGE$/

/** Throws an error again that has another code. */
function allow(error: unknown, codes = DAMAGED): void {
  if (!codes.test(String((error as { code?: unknown }).code))) throw error
}

/** Runs `make`; undefined if it fails as it may. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    allow(error)
    return undefined
  }
}

test('whatever is stored to its memory or sent to its channels, calls are answered, or fail with a code in time', async (t) => {
  const file = sparseFile(t, END)
  const results = { answered: 0, failed: 0 }

  const run = async (steps: readonly Step[]): Promise<void> => {
    // What the last run has closed may end a little later, so each has mappings of its own.
    const open = () => mapShared(file, { protection: 'read-write' })
    const [map, ...others] = [open(), open(), open()] as const
    const fill = (value: number, start: number, end: number) => map.write(Buffer.alloc(end - start, value), start)
    fill(7, 0, END)
    fill(0, START, START + LENGTH)
    const around = () => Buffer.concat([map.read(0, START), map.read(START + LENGTH, END - START - LENGTH)])
    const before = around()
    let server: Rpc | undefined = Rpc.create(map, { offset: START, length: LENGTH, clients: CLIENTS })
    const clients: (Rpc | undefined)[] = others.map((other) => Rpc.open(other, { offset: START }))
    const under: Promise<unknown>[] = []
    const serve = (rpc: Rpc | undefined) => {
      const handler = (request: Buffer) => (request.length % 2 === 0 ? request : turns().then(() => request))
      if (rpc !== undefined) under.push(rpc.serve(handler).catch(allow))
    }
    serve(server)
    const ask = async (rpc: Rpc, request: string) => {
      try {
        const reply = await rpc.call(request, TIMEOUT)
        if (!(reply instanceof Buffer) || reply.length > rpc.maxLength) throw new TypeError('no reply')
        results.answered++
      } catch (error) {
        allow(error, FAILED)
        results.failed++
      }
    }
    t.is(String(await clients[0]!.call('before')), 'before')
    for (const step of steps) {
      if ('store' in step) map.typedArray(BigInt64Array, step.at, 1)[0] = step.store
      else if ('fill' in step) fill(step.fill, step.at, Math.min(step.at + step.length, START + LENGTH))
      else if ('message' in step) {
        const to = attempt(() => Channel.open(map, { offset: FIRST + step.to * SIZE }))
        attempt(() => to?.trySend(step.message))
        to?.close()
      } else if ('call' in step) {
        clients[step.by] ??= attempt(() => Rpc.open(others[step.by]!, { offset: START }))
        const client = clients[step.by]
        if (client !== undefined) under.push(ask(client, step.call))
        if (step.call.length % 3 === 0) await turns()
      } else if (step.end === 'client') {
        attempt(() => clients[step.who]?.close())
        clients[step.who] = undefined
      } else {
        attempt(() => server?.close())
        serve((server = attempt(() => Rpc.open(map, { offset: START }))))
      }
    }
    await new Promise((resolve) => setTimeout(resolve, TIMEOUT))
    for (const rpc of [server, ...clients]) attempt(() => rpc?.close())
    await Promise.all(under)
    if (!around().equals(before)) throw new Error('memory beside it was changed')
    if (map.faults > 0) throw new Error('something has faulted')
    for (const each of [map, ...others]) await each.closeAsync()
  }

  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25, size: 'max' }), run), {
    numRuns: orLong(200, 5000),
    seed: 18,
    includeErrorInReport: true,
  })
  t.log(JSON.stringify(results))
  // A busy machine has more that are not answered in time.
  t.true(results.answered > 0 && results.failed > 50, JSON.stringify(results))
})
