// `Rpc`: requests and replies between processes. (Long: the death, slowness and end of each side, as the other sees it.)

import { writeFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, mapPrivate, mapShared, type MemoryMap } from 'memory-map'
import { Channel, Rpc } from 'memory-map/sync'

import { orLong } from './helpers/long.mjs'
import { onLinux, truncating } from './helpers/platform.ts'
import { Peer } from './helpers/processes.ts'
import { random } from './helpers/random.mjs'
import { type Runtime, runtimes, runScript } from './helpers/runtimes.ts'
import { sparseFile } from './helpers/scratch.ts'
import { peerWith, sharedMap as open } from './helpers/sharing.ts'
import { HANG_MS, turns, until } from './helpers/until.ts'

const LENGTH = 64 * 1024

/** How many processes are killed. */
const KILLS = orLong(12, 1000)

/** An Rpc, and a second one on another mapping of the same file. */
function make(t: ExecutionContext, options = {}, length = LENGTH) {
  const file = sparseFile(t, length)
  const map = open(t, file)
  const rpc = Rpc.create(map, options)
  const other = open(t, file)
  return { file, map, rpc, other: Rpc.open(other) }
}

/** A second process with the same Rpc. */
function peerOf(t: ExecutionContext, file: string, runtime: Runtime): Promise<Peer> {
  return peerWith(t, file, 'rpc = sync.Rpc.open(map)', runtime)
}

const host = runtimes()[0]!

/** Calls; gives the reply as text, or the code of the error. */
async function ask(rpc: Rpc, request: string, options?: { timeout?: number; signal?: AbortSignal }): Promise<string> {
  try {
    return String(await rpc.call(request, options))
  } catch (error) {
    return String((error as { code: unknown }).code)
  }
}

/** A handler that replies when the test says so: `answers` has a function for each request. */
function heldReplies() {
  const answers = new Map<string, (reply: string) => void>()
  return {
    answers,
    handler: (request: Buffer) => new Promise<string>((resolve) => answers.set(String(request), resolve)),
  }
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  test(`${name}: two processes call each other, and each of many calls at once gets its own reply`, async (t) => {
    const { file, rpc } = make(t)
    const { file: back, rpc: ours } = make(t)
    const peer = await peerOf(t, file, runtime)
    await peer.run(`stop = new AbortController(), served = rpc.serve(async (request) => {
      if (request.length % 3 === 0) await new Promise((resolve) => setTimeout(resolve, request.length % 7))
      if (String(request) === 'five?') throw new TypeError('no, not five')
      return Buffer.concat([request, request])
    }, { signal: stop.signal }), 0`)
    const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % (rpc.maxLength / 2))
    const calls = sizes.map((size) => rpc.call(Buffer.alloc(size, size)))
    for (const [i, reply] of (await Promise.all(calls)).entries()) {
      t.deepEqual(reply, Buffer.alloc(2 * sizes[i]!, sizes[i]))
    }
    await t.throwsAsync(rpc.call('five?'), { message: 'no, not five', code: 'ERR_MMAP_REMOTE' })
    t.is(String(await rpc.call('äö')), 'äöäö')

    const stop = new AbortController()
    const serving = ours.serve((request) => `${request}!`, { signal: stop.signal })
    const replies = peer.run(`(async () => {
      const { Rpc } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
      const theirs = Rpc.open(lib.mapShared(${JSON.stringify(back)}, { protection: 'read-write' }))
      const calls = Array.from({ length: 200 }, (_, i) => theirs.call(String(i)))
      return (await Promise.all(calls)).map(String)
    })()`)
    t.deepEqual(
      await replies,
      Array.from({ length: 200 }, (_, i) => `${i}!`),
    )
    stop.abort()
    await serving
    await peer.run('stop.abort(), served.then(() => 0)')
    t.is((await peer.end()).code, 0)
  })

  test(`${name}: when the server is killed, calls that it received are rejected, and others wait for the next server`, async (t) => {
    const { file, rpc } = make(t)
    const early = ask(rpc, 'early') // waits for a server
    const peer = await peerOf(t, file, runtime)
    const serve = `received = [], void rpc.serve((request) => {
      received.push(String(request))
      return String(request) === 'never' ? new Promise(() => {}) : request
    }, { concurrency: 1 }), 0`
    await peer.run(serve)
    t.is(await early, 'early')
    const never = ask(rpc, 'never')
    const later = ask(rpc, 'later') // is not received, for the handler is busy with the one before
    while (!((await peer.run('received')) as string[]).includes('never')) await turns()
    await peer.kill()
    t.is(await never, 'ERR_MMAP_SERVER_GONE')
    const next = await peerOf(t, file, runtime)
    await next.run(serve)
    t.is(await later, 'later')
    t.deepEqual(await next.run('received'), ['later'])
    const last = ask(rpc, 'never')
    while (!((await next.run('received')) as string[]).includes('never')) await turns()
    // It is the same if a third server has taken over before anybody looks.
    await next.kill()
    const third = rpc.serve((request) => request)
    t.is(await last, 'ERR_MMAP_SERVER_GONE')
    rpc.close()
    await third
  })

  test(`${name}: a server that waits takes over when the one before it has ended, or is killed`, async (t) => {
    const { file, rpc, other } = make(t)
    const serve = (who: string, wait: boolean) => `stop = new AbortController(), served = rpc.serve(async (request) => {
      if (String(request) === 'slow') await new Promise((resolve) => (answer = resolve))
      return '${who} ' + request
    }, { wait: ${wait}, signal: stop.signal }), 0`
    const [first, second] = [await peerOf(t, file, runtime), await peerOf(t, file, runtime)]
    await first.run(serve('first', false))
    const slow = ask(other, 'slow')
    t.is(await ask(other, 'x'), 'first x')
    await second.run(serve('second', true))
    await turns()
    t.is(await ask(other, 'x'), 'first x')
    await first.run('stop.abort()')
    const meanwhile = ask(other, 'meanwhile')
    await turns()
    await first.run('answer(), served.then(() => 0)')
    t.is(await slow, 'first slow')
    t.is(await meanwhile, 'second meanwhile')
    const third = rpc.serve((request) => `third ${request}`, { wait: true })
    await turns()
    t.is(await ask(other, 'x'), 'second x')
    await second.kill()
    t.is(await ask(other, 'x'), 'third x')
    rpc.close()
    await third
  })

  test(`${name}: when a client is killed, another one gets its place, and none of its replies`, async (t) => {
    const { file, rpc, other } = make(t, { clients: 1 })
    const { answers, handler } = heldReplies()
    const serving = rpc.serve(handler)
    const peer = await peerOf(t, file, runtime)
    await peer.run(`void rpc.call('of the dead').catch(() => {}), void rpc.call('and another').catch(() => {}), 0`)
    await until(() => answers.size === 2)
    t.is(await ask(other, 'too many'), 'ERR_MMAP_BUSY')
    answers.get('and another')!('in its channel')
    await peer.kill()
    const call = ask(other, 'of the living')
    await until(() => answers.size === 3)
    answers.get('of the dead')!('for the dead')
    await turns()
    answers.get('of the living')!('for the living')
    t.is(await call, 'for the living')
    rpc.close()
    await serving
  })
}

test('a client that is stopped holds up no other client, and gets all its replies when it goes on', async (t) => {
  if (process.platform === 'win32') return void t.pass() // nothing stops a process there
  const { file, rpc, other } = make(t, { clients: 2 })
  const { answers, handler } = heldReplies()
  const serving = rpc.serve((request) => (request.length > 0 ? handler(request) : ''))
  const peer = await peerOf(t, file, host)
  const count = 50
  await peer.run(`calls = Array.from({ length: ${count} }, (_, i) => rpc.call(String(i))), 0`)
  await until(() => answers.size === count)
  process.kill(peer.pid, 'SIGSTOP')
  // These are more replies than there is room for.
  for (const [request, answer] of answers) answer(request.padEnd(rpc.maxLength / 2, '.'))
  for (let i = 0; i < 100; i++) t.is(await ask(other, ''), '')
  process.kill(peer.pid, 'SIGCONT')
  const replies = await peer.run(`Promise.all(calls).then((all) => all.map((reply) => parseInt(reply)))`)
  t.deepEqual(
    replies,
    Array.from({ length: count }, (_, i) => i),
  )
  rpc.close()
  await serving
})

test('a server that ends waits for a stopped client to take its replies, until the client is killed', async (t) => {
  if (process.platform === 'win32') return void t.pass() // nothing stops a process there
  const { file, rpc } = make(t, { clients: 1 })
  const { answers, handler } = heldReplies()
  const stop = new AbortController()
  let served = false
  const serving = rpc.serve(handler, { signal: stop.signal }).then(() => (served = true))
  const peer = await peerOf(t, file, host)
  await peer.run(`for (let i = 0; i < 10; i++) void rpc.call(String(i)).catch(() => {})`)
  await until(() => answers.size === 10)
  process.kill(peer.pid, 'SIGSTOP')
  for (const answer of answers.values()) answer('x'.repeat(rpc.maxLength))
  stop.abort()
  await turns()
  t.false(served)
  await peer.kill()
  t.true(await serving)
})

test('a call is rejected by its timeout or its signal, and a reply that comes later is dropped', async (t) => {
  const { rpc, other } = make(t)
  const { answers, handler } = heldReplies()
  const serving = rpc.serve(handler)
  const controller = new AbortController()
  const late = ask(other, 'late', { timeout: 20 })
  const aborted = ask(other, 'aborted', { signal: controller.signal })
  const patient = ask(other, 'patient', { timeout: 2 ** 40 })
  await until(() => answers.size === 3)
  controller.abort()
  t.is(await late, 'ERR_MMAP_TIMED_OUT')
  t.is(await aborted, 'ABORT_ERR')
  answers.get('late')!('one')
  answers.get('aborted')!('two')
  answers.get('patient')!('three')
  t.is(await patient, 'three')
  t.is(await ask(other, 'x', { signal: controller.signal }), 'ABORT_ERR')
  t.is(await ask(other, 'x', { timeout: 0 }), 'ERR_MMAP_TIMED_OUT')
  rpc.close()
  await serving
})

test('requests for which there is no room wait in their order, up to their timeout or signal', async (t) => {
  const { rpc, other } = make(t, { clients: 1 }, 128 + 2 * 640)
  const full = Array.from({ length: 6 }, (_, i) => ask(other, String(i)))
  const none = ask(other, 'no room', { timeout: 30 })
  const controller = new AbortController()
  const aborted = ask(other, 'no more', { signal: controller.signal })
  t.is(await none, 'ERR_MMAP_TIMED_OUT')
  controller.abort()
  t.is(await aborted, 'ABORT_ERR')
  const received: string[] = []
  const serving = rpc.serve((request) => {
    received.push(String(request))
    return request
  })
  t.deepEqual(await Promise.all(full), ['0', '1', '2', '3', '4', '5'])
  t.deepEqual(received, ['0', '1', '2', '3', '4', '5'])
  rpc.close()
  await serving
})

test('the caller gets an error if the reply is too long or no reply, or the handler throws', async (t) => {
  const { rpc, other } = make(t)
  const detached = new Uint8Array(8)
  const revoked = Proxy.revocable({}, {})
  revoked.revoke() // to look at it throws
  const results: unknown[] = [
    'x'.repeat(rpc.maxLength),
    'x'.repeat(rpc.maxLength + 1),
    undefined,
    7,
    new DataView(new ArrayBuffer(3)),
    structuredClone(detached, { transfer: [detached.buffer] }) && detached,
    revoked.proxy,
  ]
  const thrown: unknown[] = [null, 'text', new Error('ä'.repeat(rpc.maxLength)), { toString: () => ({}) }]
  const serving = rpc.serve((request) => {
    const [kind, index] = [request.toString('latin1', 0, 1), Number(request.toString('latin1', 1))]
    if (kind === 't') throw thrown[index]
    return (kind === 'p' ? Promise.resolve(results[index]) : results[index]) as string
  })
  for (const how of ['v', 'p']) {
    t.is((await other.call(`${how}0`)).length, rpc.maxLength)
    await t.throwsAsync(other.call(`${how}1`), {
      instanceOf: RangeError,
      code: 'ERR_OUT_OF_RANGE',
      message: /reply has \d+ bytes, and \d+ is the most/,
    })
    await t.throwsAsync(other.call(`${how}2`), { code: 'ERR_MMAP_REMOTE', message: /must be a string.*undefined/ })
    await t.throwsAsync(other.call(`${how}3`), { code: 'ERR_MMAP_REMOTE' })
    t.deepEqual(await other.call(`${how}4`), Buffer.alloc(3))
    t.is((await other.call(`${how}5`)).length, 0)
    await t.throwsAsync(other.call(`${how}6`), { code: 'ERR_MMAP_REMOTE' })
  }
  t.is((await other.call(detached)).length, rpc.maxLength) // of an empty request
  await t.throwsAsync(other.call('t0'), { code: 'ERR_MMAP_REMOTE', message: 'null' })
  await t.throwsAsync(other.call('t1'), { code: 'ERR_MMAP_REMOTE', message: 'text' })
  await t.throwsAsync(other.call('t2'), { code: 'ERR_MMAP_REMOTE', message: /^ä+/ })
  await t.throwsAsync(other.call('t3'), { code: 'ERR_MMAP_REMOTE', message: /no text/ })
  await t.throwsAsync(other.call('x'.repeat(rpc.maxLength + 1)), { code: 'ERR_OUT_OF_RANGE' })
  rpc.close()
  await serving
})

test('the handler works on as many requests at a time as `concurrency` says', async (t) => {
  const { rpc, other } = make(t)
  const { answers, handler } = heldReplies()
  const serving = rpc.serve(handler, { concurrency: 2 })
  const calls = ['a', 'b', 'c'].map((request) => ask(other, request))
  await until(() => answers.size === 2)
  await turns()
  t.deepEqual([...answers.keys()], ['a', 'b'])
  answers.get('b')!('B')
  await until(() => answers.size === 3)
  answers.get('a')!('A')
  answers.get('c')!('C')
  t.deepEqual(await Promise.all(calls), ['A', 'B', 'C'])
  rpc.close()
  await serving
})

test('there is one server at a time; one that its signal stops replies to what it has received, and the next one to the rest', async (t) => {
  const { rpc, other } = make(t)
  const { answers, handler } = heldReplies()
  const stop = new AbortController()
  const serving = rpc.serve(handler, { signal: stop.signal })
  const error = await t.throwsAsync(other.serve(handler), { code: 'ERR_MMAP_BUSY' })
  t.regex(error.message, /Another server/)
  await t.throwsAsync(rpc.serve(handler), { code: 'ERR_MMAP_BUSY' })
  const first = ask(other, 'first')
  await until(() => answers.size === 1)
  stop.abort()
  await turns()
  const second = ask(other, 'second')
  await t.throwsAsync(other.serve(handler), { code: 'ERR_MMAP_BUSY' }) // the first one has not been answered yet
  answers.get('first')!('answered')
  await serving
  t.is(await first, 'answered')
  const next = other.serve((request) => `${request} by the next`)
  t.is(await second, 'second by the next')
  await rpc.serve(handler, { signal: AbortSignal.abort() }).then(
    () => t.fail('it served'),
    (busy: { code: string }) => t.is(busy.code, 'ERR_MMAP_BUSY'),
  )
  other.close()
  await next
  await rpc.serve(handler, { signal: AbortSignal.abort() })
})

test('a server that is to end before it begins receives nothing', async (t) => {
  const { rpc, other } = make(t)
  const call = ask(other, 'request')
  await turns()
  for (const wait of [false, true]) {
    await rpc.serve(() => t.fail('it was received'), { signal: AbortSignal.abort(), wait })
  }
  const serving = rpc.serve((request) => request)
  t.is(await call, 'request')
  rpc.close()
  await serving
})

test('servers that take turns under load answer every call once', async (t) => {
  const { file, rpc, other } = make(t)
  const servers = [rpc, Rpc.open(open(t, file)), Rpc.open(open(t, file))]
  const received = new Map<string, number>()
  const over = new AbortController()
  let id = 0
  async function callAll() {
    for (; !over.signal.aborted; await turns()) {
      const requests = Array.from({ length: 20 }, () => `${id++}`)
      t.deepEqual(await Promise.all(requests.map((request) => ask(other, request))), requests)
    }
  }
  const serve = (turn: number, signal: AbortSignal) =>
    servers[turn % servers.length]!.serve(
      async (request) => {
        received.set(String(request), (received.get(String(request)) ?? 0) + 1)
        if (request.length % 2 === 0) await turns()
        return request
      },
      { wait: true, signal },
    )
  let stop = new AbortController()
  let serving = serve(0, stop.signal)
  const calling = [callAll(), callAll()]
  for (let turn = 1; turn < 60; turn++) {
    const next = new AbortController()
    const waiting = serve(turn, next.signal)
    await until(() => received.size >= turn * 10)
    stop.abort()
    await serving
    ;[stop, serving] = [next, waiting]
  }
  over.abort()
  await Promise.all(calling)
  stop.abort()
  await serving
  t.is(received.size, id)
  t.deepEqual(new Set(received.values()), new Set([1]))
})

test('a wait to serve ends by its signal and by close(), and has taken nothing', async (t) => {
  const { file, rpc, other } = make(t)
  const serving = rpc.serve((request) => request)
  const wrong = () => 'wrong'
  const controller = new AbortController()
  const [closing, map] = [Rpc.open(open(t, file)), open(t, file)]
  const waits = [
    other.serve(wrong, { wait: true, signal: controller.signal }),
    closing.serve(wrong, { wait: true }),
    Rpc.open(map).serve(wrong, { wait: true }),
  ]
  await turns()
  controller.abort()
  closing.close()
  map.close()
  await Promise.all(waits)
  await other.serve(wrong, { wait: true, signal: AbortSignal.abort() })
  await t.throwsAsync(other.serve(wrong, { wait: 1 as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /options.wait/,
  })
  t.is(await ask(other, 'x'), 'x')
  rpc.close()
  await serving
  const last = other.serve((request) => `${request}!`, { wait: true })
  t.is(await ask(other, 'x'), 'x!')
  other.close()
  await last
})

for (const [end, how] of Object.entries<(rpc: Rpc, map: MemoryMap) => void>({
  'close() of the Rpc': (rpc: Rpc) => rpc.close(),
  'close() of its mapping': (_rpc: Rpc, map: MemoryMap) => map.close(),
})) {
  test(`${end} ends calls, and another client gets their place`, async (t) => {
    const { file, map, rpc, other } = make(t, { clients: 1, length: 2048 })
    const { answers, handler } = heldReplies()
    const serving = other.serve(handler, { concurrency: 1 })
    const calls = [ask(rpc, 'received')]
    await until(() => answers.has('received'))
    calls.push(...Array.from({ length: 20 }, () => ask(rpc, 'sent, or waiting for room'.padEnd(rpc.maxLength))))
    how(rpc, map)
    for (const one of calls) t.is(await one, 'ERR_MMAP_CLOSED')
    other.close()
    await serving
    rpc.close()
    const [client, server] = [Rpc.open(open(t, file)), Rpc.open(open(t, file))]
    const last = server.serve((request) => request)
    let reply = 'ERR_MMAP_BUSY'
    while (reply === 'ERR_MMAP_BUSY') {
      await turns() // until the last wait of the closed client has ended
      reply = await ask(client, 'another')
    }
    t.is(reply, 'another')
    server.close()
    await last
  })

  test(`${end} ends a server, and rejects its clients' calls`, async (t) => {
    const { map, rpc, other } = make(t)
    const { answers, handler } = heldReplies()
    const serving = rpc.serve(handler)
    const call = ask(other, 'received')
    await until(() => answers.has('received'))
    how(rpc, map)
    await serving
    t.is(await call, 'ERR_MMAP_SERVER_GONE')
    answers.get('received')!('too late')
    const last = other.serve((request) => request)
    t.is(await ask(other, 'next'), 'next')
    other.close()
    await last
  })
}

test('calls and servers end if resize() moves the mapping, and go on if not; new ones work in both cases', async (t) => {
  const { map, rpc, other } = make(t)
  const { answers, handler } = heldReplies()
  const ended: unknown[] = []
  const serve = (handler: (request: Buffer) => string | Promise<string>) =>
    rpc.serve(handler).catch((error: { code: unknown }) => ended.push(error.code))
  const serving = serve(handler)
  const call = ask(other, 'theirs')
  const own = ask(rpc, 'ours')
  await until(() => answers.size === 2)
  map.resize(2 ** 24)
  // A server that ends does so on another thread, in its own time; one that goes on gets what comes.
  const probe = ask(other, 'probe')
  await until(() => ended.length > 0 || answers.has('probe'))
  for (const answer of answers.values()) answer('reply')
  t.regex(await call, ended.length > 0 ? /^ERR_MMAP_SERVER_GONE$/ : /^reply$/)
  t.regex(await own, /^(reply|ERR_MMAP_CLOSED|ERR_MMAP_SERVER_GONE)$/)
  const again = ended.length > 0 ? serve((request) => `${request}`) : undefined
  const calls = [ask(other, 'new'), ask(rpc, 'own')]
  if (again === undefined) {
    await until(() => answers.size === 5)
    answers.get('new')!('new')
    answers.get('own')!('own')
  }
  t.deepEqual(await Promise.all(calls), ['new', 'own'])
  t.regex(await probe, ended.length > 0 ? /^(probe|ERR_MMAP_SERVER_GONE)$/ : /^reply$/)
  rpc.close()
  await Promise.all([serving, again])
  for (const code of ended) t.is(code, 'ERR_MMAP_CLOSED')
})

test('after close() every call is ERR_MMAP_CLOSED, and a second close() does nothing', async (t) => {
  const { rpc, map } = make(t)
  t.false(rpc.closed)
  rpc.close()
  rpc.close()
  rpc[Symbol.dispose]()
  t.true(rpc.closed)
  await t.throwsAsync(rpc.call('x'), { code: 'ERR_MMAP_CLOSED', message: 'The Rpc is closed' })
  await t.throwsAsync(
    rpc.serve(() => ''),
    { code: 'ERR_MMAP_CLOSED' },
  )
  const again = Rpc.open(map)
  map.close()
  t.true(again.closed)
  await t.throwsAsync(again.call('x'), { code: 'ERR_MMAP_CLOSED' })
  await t.throwsAsync(
    again.serve(() => ''),
    { code: 'ERR_MMAP_CLOSED' },
  )
  for (const how of ['create', 'open', 'openOrCreate'] as const)
    t.throws(() => Rpc[how](map), { code: 'ERR_MMAP_CLOSED' })
  await t.throwsAsync(Rpc.openAsync(map), { code: 'ERR_MMAP_CLOSED' })
})

test('memory with something else, or only a part of an Rpc, is refused', (t) => {
  const { file, map, rpc } = make(t)
  t.is(Rpc.open(open(t, file)).maxLength, rpc.maxLength)
  const invalid = { code: 'ERR_MMAP_INVALID' }
  const words = map.typedArray(BigInt64Array, 0, 8)
  const right = words.slice()
  for (const [index, values] of [
    [0, [0n, 1n]],
    [1, [0n, 2n]],
    [2, [0n, 639n, 640n + 8n, 2n ** 40n, -64n]],
    [3, [0n, 17n, -1n, 2n ** 62n]],
  ] as const) {
    for (const value of values) {
      words[index] = value
      t.throws(() => Rpc.open(map), invalid, `${index}: ${value}`)
      words.set(right)
    }
  }
  t.throws(() => Rpc.open(map, { offset: 64 }), invalid)
  t.throws(() => Rpc.open(map, { offset: LENGTH - 64 }), invalid)
  t.throws(() => Rpc.openOrCreate(map, { offset: 128 }), invalid)
  Rpc.open(map).close()
})

test('wrong arguments are refused', async (t) => {
  const { file, map, rpc } = make(t)
  for (const offset of [8, 1, -1, 0.5, 2 ** 60]) {
    t.throws(() => Rpc.open(map, { offset }), { code: 'ERR_OUT_OF_RANGE' }, String(offset))
    t.throws(() => Rpc.create(map, { offset }), { code: 'ERR_OUT_OF_RANGE' }, String(offset))
  }
  t.throws(() => Rpc.create(map, { length: 1000 }), {
    code: 'ERR_OUT_OF_RANGE',
    message: /at least 11008 bytes for 16/,
  })
  t.throws(() => Rpc.create(map, { length: LENGTH + 64 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Rpc.create(map, { clients: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Rpc.create(map, { clients: 2 ** 30 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => Rpc.create(map, { client: 3 } as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'clients'/,
  })
  using copy = mapPrivate(file)
  t.throws(() => Rpc.create(copy), { code: 'ERR_MMAP_NOT_SHARED' })
  t.throws(() => Rpc.open(copy), { code: 'ERR_MMAP_NOT_SHARED' })
  using readOnly = mapShared(file)
  t.throws(() => Rpc.open(readOnly), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => Rpc.open({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new (Rpc as unknown as new () => Rpc)(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
  await t.throwsAsync(rpc.serve('no' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(
    rpc.serve(() => '', { concurrency: 0 }),
    { code: 'ERR_OUT_OF_RANGE' },
  )
  await t.throwsAsync(rpc.call(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.throwsAsync(rpc.call('x', { timeuot: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('an Rpc prints what it is', (t) => {
  const { rpc } = make(t)
  t.deepEqual(JSON.parse(JSON.stringify(rpc)), { clients: 16, maxLength: rpc.maxLength, closed: false })
})

test('openOrCreate makes an Rpc or opens the one that is there, and openAsync waits for it', async (t) => {
  const file = sparseFile(t, LENGTH)
  const [map, other] = [open(t, file), open(t, file)]
  const where = { offset: 1024 }
  t.throws(() => Rpc.open(map, where), { code: 'ERR_MMAP_INVALID' })
  t.is(await Rpc.openAsync(map, { ...where, timeout: 5 }), undefined)
  t.is(await Rpc.openAsync(map, { ...where, timeout: 0 }), undefined)
  await t.throwsAsync(Rpc.openAsync(map, { ...where, signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  const controller = new AbortController()
  const aborted = Rpc.openAsync(map, { ...where, signal: controller.signal })
  const opening = Rpc.openAsync(map, where)
  controller.abort()
  await t.throwsAsync(aborted, { code: 'ABORT_ERR' })
  const first = Rpc.openOrCreate(other, { ...where, clients: 3, length: 8192 })
  t.is((await opening).clients, 3)
  t.is(Rpc.openOrCreate(map, { ...where, clients: 5 }).maxLength, first.maxLength)
  t.is(Rpc.create(map, { ...where, clients: 5 }).clients, 5)
  t.is((await Rpc.openAsync(map, { ...where, timeout: 0 }))!.clients, 5)
})

test('processes that call openOrCreate at the same moment get the same Rpc', async (t) => {
  const file = sparseFile(t, 20 * LENGTH)
  const peers = await Promise.all([0, 1, 2].map(() => Peer.start(t, host)))
  const found = await Promise.all(
    peers.map((peer, i) =>
      peer.run(`(async () => {
        const { Rpc } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
        const map = lib.mapShared(${JSON.stringify(file)}, { protection: 'read-write' })
        const found = []
        for (let i = 0; i < 20; i++) {
          found.push(Rpc.openOrCreate(map, { offset: i * ${LENGTH}, length: ${LENGTH}, clients: ${i + 1} }).clients)
        }
        return found
      })()`),
    ),
  )
  t.deepEqual(found[0], found[1])
  t.deepEqual(found[0], found[2])
})

test('an Rpc whose maker died half-way is not opened, and openOrCreate makes it anew', (t) => {
  const { file, map, rpc } = make(t)
  const words = map.typedArray(BigInt64Array, 0, 16)
  words[0] = 0n // all is there but the magic number
  words[8] = (12345n << 2n) | 2n // and the dead process has the lock
  t.throws(() => Rpc.open(map), { code: 'ERR_MMAP_INVALID' })
  const again = Rpc.openOrCreate(open(t, file), { clients: 4 })
  t.is(again.clients, 4)
  t.not(again.maxLength, rpc.maxLength)
})

test('random bytes in its memory lead to errors with a code or calls without a reply, and nothing worse', async (t) => {
  const { file, map } = make(t, { clients: 2 }, 8192)
  const good = map.read()
  const next = random(1)
  const codes = new Set<unknown>()
  for (let i = 0; i < 60; i++) {
    map.write(good)
    const [server, client] = [Rpc.open(open(t, file)), Rpc.open(open(t, file))]
    const serving = server.serve((request) => request).catch((error: { code: unknown }) => codes.add(error.code))
    t.is(await ask(client, 'before'), 'before')
    for (let j = 0; j < 40; j++) map.write(Buffer.from([next(256)]), next(8192))
    for (let j = 0; j < 3; j++) codes.add(await ask(client, 'after', { timeout: 20 }))
    server.close()
    client.close()
    await serving
  }
  t.true(codes.has('after'))
  for (const code of codes)
    t.regex(String(code), /^after$|^ERR_MMAP_(TIMED_OUT|INVALID|BUSY|SERVER_GONE|REMOTE)$|^ERR_OUT_OF_RANGE$/)
})

test('messages that are no requests or replies are dropped', async (t) => {
  const { file, map, rpc, other } = make(t, { clients: 1 })
  const size = Number(map.read(16, 8).readBigUInt64LE())
  const requests = Channel.open(open(t, file), { offset: 128 })
  const replies = Channel.open(open(t, file), { offset: 128 + size })
  const received: string[] = []
  const serving = rpc.serve((request) => {
    received.push(String(request))
    for (const length of [0, 15, 16, 40]) replies.send(Buffer.alloc(length, 255))
    for (let number = 0; number < 9; number++) {
      // A reply to a call of another client.
      const reply = Buffer.alloc(16, 255)
      reply.writeUInt32LE(number, 8)
      reply.writeUInt32LE(0, 12)
      replies.send(reply)
    }
    return request
  })
  for (const length of [0, 15, 16, 40]) requests.send(Buffer.alloc(length, 255))
  t.is(await ask(other, 'one'), 'one')
  t.is(await ask(other, 'two'), 'two')
  t.deepEqual(received, ['one', 'two'])
  rpc.close()
  await serving
})

truncating('truncating the file makes calls and the server fail with a fault', async (t) => {
  const { file, rpc, other } = make(t)
  const serving = rpc.serve((request) => request)
  t.is(await ask(other, 'x'), 'x')
  writeFileSync(file, '')
  t.is(await ask(other, 'x', { timeout: HANG_MS }), 'ERR_MMAP_FAULT')
  await t.throwsAsync(serving, { code: 'ERR_MMAP_FAULT' })
})

onLinux('an Rpc works in memory without a file', async (t) => {
  const map = mapAnonymous(LENGTH, { shared: true })
  const rpc = Rpc.openOrCreate(map)
  const serving = rpc.serve((request) => request)
  t.is(String(await rpc.call('x')), 'x')
  map.close()
  await serving
})

test('a process ends by itself after its calls, and after its server has ended', async (t) => {
  const source = `
    const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    const { Rpc } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')
    const map = mapShared('file', { protection: 'read-write', create: true, length: ${LENGTH} })
    const rpc = Rpc.openOrCreate(map)
    const stop = new AbortController()
    const serving = rpc.serve((request) => request, { signal: stop.signal })
    console.log(String(await rpc.call('x')))
    stop.abort()
    await serving
    await rpc.call('x', 1).catch((error) => console.log(error.code))`
  for (const runtime of runtimes()) {
    const { stdout, code, timedOut } = await runScript(runtime, source)
    t.deepEqual(
      { stdout, code, timedOut },
      { stdout: 'x\nERR_MMAP_TIMED_OUT\n', code: 0, timedOut: false },
      runtime.name,
    )
  }
})

test('calls to a server in a worker end with the worker, and the place of a client in a worker is free', async (t) => {
  const source = `
    const { Worker } = await import('node:worker_threads')
    const root = process.env.MEMORY_MAP_ROOT
    const { mapShared } = await import(root + 'index.js')
    const { Rpc } = await import(root + 'sync.js')
    const map = mapShared('file', { protection: 'read-write', create: true, length: ${LENGTH} })
    const rpc = Rpc.openOrCreate(map, { clients: 2 })
    const start = async (line) => {
      const worker = new Worker(\`(async () => {
        const { mapShared } = await import('\${root}index.js')
        const { Rpc } = await import('\${root}sync.js')
        const rpc = globalThis.rpc = Rpc.open(mapShared('file', { protection: 'read-write' }))
        const told = (what) => require('node:worker_threads').parentPort.postMessage(what)
        \${line}
      })()\`, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      return worker
    }
    const server = await start("rpc.serve((request) => { told('received'); return new Promise(() => {}) }); told('up')")
    const received = new Promise((resolve) => server.once('message', resolve))
    const call = rpc.call('x').catch((error) => console.log(error.code))
    await received
    await server.terminate()
    await call
    const client = await start("rpc.call('x').catch(() => {}); told('up')")
    await client.terminate()
    const other = Rpc.open(mapShared('file', { protection: 'read-write' }))
    void rpc.serve((request) => request)
    for (;;) {
      try {
        console.log(String(await other.call('its place')))
        break
      } catch (error) {
        if (error.code !== 'ERR_MMAP_BUSY') throw error
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    process.exit()`
  for (const runtime of runtimes()) {
    const { stdout, stderr } = await runScript(runtime, source)
    t.is(stdout, 'ERR_MMAP_SERVER_GONE\nits place\n', `${runtime.name} ${stderr}`)
  }
})

test(`${KILLS} servers, some of which wait, and clients are killed at some moment: no call hangs, gets a wrong reply, or is done twice`, async (t) => {
  t.timeout(KILLS * 60_000)
  const [RPC, TIMES] = [LENGTH, 2 ** 22]
  const file = sparseFile(t, RPC + TIMES)
  const map = open(t, file)
  const rpc = Rpc.create(map, { length: RPC, clients: 3 })
  /** How often each request has reached a handler. */
  const times = map.typedArray(Uint8Array, RPC, TIMES)
  const next = random(2)
  const counts: Record<string, number> = {}
  const over = new AbortController()
  let id = 0
  async function callAll() {
    while (!over.signal.aborted) {
      const number = ++id % TIMES
      times[number] = 0
      const request = Buffer.alloc(4 + next(2000), number)
      request.writeUInt32LE(number)
      let result = 'replied'
      try {
        const reply = await rpc.call(request)
        if (!reply.equals(request) || times[number] !== 1) result = `wrong: ${reply.length}, ${times[number]}`
      } catch (error) {
        result = String((error as { code: unknown }).code)
        if (times[number]! > 1) result = `done ${times[number]} times`
      }
      counts[result] = (counts[result] ?? 0) + 1
    }
  }
  const calling = Array.from({ length: 8 }, callAll)
  let before = 0
  /** One serves; others wait, and one of them takes over. */
  const servers: Peer[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const server = await peerOf(t, file, host)
    servers.push(server)
    await server.run(`times = map.typedArray(Uint8Array, ${RPC}, ${TIMES}), void rpc.serve((request) => {
      const number = request.readUInt32LE()
      Atomics.add(times, number, 1)
      return number % 3 === 0 ? new Promise((resolve) => setTimeout(resolve, number % 8, request)) : request
    }, { wait: true }), 0`)
    if (kill % 2 === 0) {
      const client = await peerOf(t, file, host)
      await client.run(
        `void (async () => { for (;;) await Promise.all([1, 2, 3].map((i) => rpc.call(Buffer.alloc(4 + 999 * i)))) })().catch(() => {}), 0`,
      )
      await new Promise((resolve) => setTimeout(resolve, next(20)))
      await client.kill()
    }
    const some = before + next(300)
    await until(() => (counts.replied ?? 0) > some)
    if (servers.length === 3) await servers.splice(next(3), 1)[0]!.kill()
    before = counts.replied!
  }
  const last = rpc.serve(
    (request) => {
      Atomics.add(times, request.readUInt32LE(), 1)
      return request
    },
    { wait: true },
  )
  for (const server of servers) await server.kill()
  over.abort()
  await Promise.all(calling)
  rpc.close()
  await last
  t.log(JSON.stringify(counts))
  t.deepEqual(
    Object.keys(counts).sort(),
    counts.ERR_MMAP_SERVER_GONE ? ['ERR_MMAP_SERVER_GONE', 'replied'] : ['replied'],
  )
})
