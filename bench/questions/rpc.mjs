// How long does a request to another process take until its reply is there?

import { fork } from 'node:child_process'
import http from 'node:http'
import { fileURLToPath } from 'node:url'

import { inMemory, MIB } from '../harness/files.mjs'
import { sample } from '../harness/sample.mjs'

const partner = fileURLToPath(new URL('../harness/partner.mjs', import.meta.url))
/** Requests that wait at a time, where there are many. */
const MANY = 64

/** Starts the process that replies, and resolves when it says that it does. */
async function start(job, args) {
  const child = fork(partner, [job, ...args], { serialization: 'advanced' })
  process.on('exit', () => child.kill())
  await new Promise((resolve) => child.once('message', resolve))
  return child
}

const rpc = async () => {
  const { mapShared } = await import('../../index.js')
  const { Rpc } = await import('../../sync.js')
  const file = inMemory('calls')
  const map = mapShared(file, { protection: 'read-write', create: true, length: 8 * MIB })
  map.buffer.fill(0) // its pages are there from now on
  const calls = Rpc.create(map)
  await start('rpc serve', [file])
  return (data) => calls.call(data)
}

/** With a number, by which each reply finds its call. */
const processSend = async () => {
  const child = await start('process reply', [])
  const waiting = new Map()
  let number = 0
  child.on('message', ({ id, data }) => {
    waiting.get(id)(data)
    waiting.delete(id)
  })
  return (data) =>
    new Promise((resolve) => {
      waiting.set(++number, resolve)
      child.send({ id: number, data })
    })
}

const overHttp = async () => {
  const socketPath = inMemory('socket')
  await start('http reply', [socketPath])
  const agent = new http.Agent({ keepAlive: true })
  return (data) =>
    new Promise((resolve, reject) => {
      const request = http.request({ socketPath, agent, method: 'POST' }, (response) => {
        const chunks = []
        response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
      })
      request.on('error', reject).end(data)
    })
}

const way = (connect) => ({
  async run({ what, size, quick }) {
    const call = await connect()
    const data = Buffer.alloc(size, 1)
    const one = async () => void (await call(data))
    const run = what === 'one' ? one : () => Promise.all(Array.from({ length: MANY }, one))
    for (let i = 0; i < (quick ? 10 : 200); i++) await run()
    return { [what]: await sample(run, { time: quick ? 20 : 500, batch: what === 'one' ? 1 : MANY }) }
  },
})

const OURS = 'memory-map, Rpc'

export const question = {
  title: 'A request to another process, and its reply',
  about:
    'Against a message of `process.send` there and one back, matched by a number, and against HTTP over a Unix socket.',
  rounds: 2,
  tables: {
    one: { title: 'One at a time', unit: 'µs' },
    many: { title: `${MANY} at a time: for each`, unit: 'µs' },
  },
  cases: () => [
    { name: '64 B', what: 'one', size: 64 },
    { name: `64 B, ${MANY} at a time`, what: 'many', size: 64 },
  ],
  ways: {
    [OURS]: way(rpc),
    'process.send, there and back': way(processSend),
    'HTTP over a Unix socket': way(overHttp),
  },
  targets: (value) => [
    {
      what: 'one at a time: against process.send, there and back',
      value: value(OURS, '64 B', 'one') / value('process.send, there and back', '64 B', 'one'),
      atMost: 0.5,
    },
    {
      what: `${MANY} at a time: against process.send, there and back`,
      value:
        value(OURS, `64 B, ${MANY} at a time`, 'many') /
        value('process.send, there and back', `64 B, ${MANY} at a time`, 'many'),
      atMost: 0.5,
    },
    {
      what: 'one at a time: against HTTP over a Unix socket',
      value: value(OURS, '64 B', 'one') / value('HTTP over a Unix socket', '64 B', 'one'),
      atMost: 0.2,
    },
  ],
}
