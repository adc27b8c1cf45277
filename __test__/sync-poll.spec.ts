// `Poll`: when an asynchronous receive looks for its message on turns of the event loop, and when a thread waits for it.

import test from 'ava'

/** The time that a Poll sees. It goes on when it is read, and not while other programs have the processor. */
let time = 0
const { now } = performance
performance.now = () => (time += 0.001)
const { Poll } = await import('../lib/sync/poll.ts')
performance.now = now

type Poll = InstanceType<typeof Poll>
const newPoll = (): Poll => new Poll(() => {})

/** How often a wait looks that finds nothing, and ends after `lasted` milliseconds. */
async function inVain(poll: Poll, lasted: number): Promise<number> {
  let looks = 0
  const look = () => void looks++
  await poll.until(look, Infinity, () => false)
  poll.learn(lasted)
  return looks
}

const found = (poll: Poll): Promise<string | undefined> =>
  poll.until(
    () => 'it',
    Infinity,
    () => true,
  )

/** How many short waits do not look, until one looks and finds something. */
async function pause(poll: Poll): Promise<number> {
  for (let count = 0; ; count++) {
    if ((await found(poll)) !== undefined) return count
    poll.learn(0.07)
  }
}

test('a wait finds what is there', async (t) => {
  const poll = newPoll()
  for (let i = 0; i < 100; i++) t.is(await found(poll), 'it')
})

test.serial('a look that takes long is not repeated on the same turn', async (t) => {
  let looks = 0
  const look = () => {
    looks++
    time += 100
    return undefined
  }
  await newPoll().until(look, Infinity, () => true)
  t.is(looks, 2)
})

/** How often a wait looks for what is sent while the first turn of the event loop passes. */
async function looksUntilSent(poll: Poll): Promise<number> {
  let looks = 0
  let sent = false
  const look = () => (looks++, sent ? 'it' : undefined)
  await poll.until(look, Infinity, () => (sent = true))
  return looks
}

test('a wait for what its own thread sends looks once before the first turn', async (t) => {
  const poll = newPoll()
  const looks: number[] = []
  for (let i = 0; i < 32; i++) looks.push(await looksUntilSent(poll))
  const often = looks.flatMap((count, i) => (count > 2 ? [i] : []))
  t.deepEqual(often, [0, 1, 2, 3, 16], 'until that is known, and now and then')
})

test('a wait looks more often before the first turn again once something came meanwhile', async (t) => {
  const poll = newPoll()
  for (let i = 0; i < 16; i++) await looksUntilSent(poll)
  let looks = 0
  const look = () => (++looks === 10 ? 'it' : undefined)
  t.is(await poll.until(look, Infinity, () => false), 'it')
  t.true((await looksUntilSent(poll)) > 2)
})

test('waits stop looking where it does not pay, for longer each time', async (t) => {
  const poll = newPoll()
  for (const expected of [4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024]) {
    while ((await inVain(poll, 0.6)) > 0) continue
    t.is(await pause(poll), expected)
  }
})

test('an idle process does not look, and its long waits do not make the pause longer', async (t) => {
  const poll = newPoll()
  let waits = 0
  while ((await inVain(poll, 1000)) > 0) t.true(++waits < 10)
  for (let i = 0; i < 2000; i++) t.is(await inVain(poll, 1000), 0)
  t.is(await pause(poll), 4, 'until waits are short')
})

test('one long wait does not stop the looking where messages usually come at once', async (t) => {
  const poll = newPoll()
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 3; i++) t.is(await found(poll), 'it')
    t.true((await inVain(poll, 100)) > 0)
  }
})

test('the pause is short again once looking has paid', async (t) => {
  const poll = newPoll()
  for (let round = 0; round < 8; round++) {
    while ((await inVain(poll, 0.6)) > 0) continue
    await pause(poll)
  }
  for (let i = 0; i < 40; i++) t.is(await found(poll), 'it')
  let waits = 0
  while ((await inVain(poll, 0.6)) > 0) waits++
  t.true(waits >= 2)
  t.true((await pause(poll)) <= 4)
})

/** A wait for what a thread does as soon as it has the processor, which it gives back after so many milliseconds. */
async function waitForThread(milliseconds: number): Promise<[found: string | undefined, poll: Poll]> {
  let sent: string | undefined
  const poll = new Poll(() => {
    time += milliseconds
    sent = 'it'
  })
  return [
    await poll.until(
      () => sent,
      Infinity,
      () => true,
    ),
    poll,
  ]
}

test('a wait lets the sender have the processor', async (t) => {
  const [it] = await waitForThread(0)
  t.is(it, 'it')
})

test('a wait stops looking where others keep the processor for long', async (t) => {
  const [it, poll] = await waitForThread(2)
  t.is(it, 'it')
  t.is(await inVain(poll, 0.6), 0)
})
