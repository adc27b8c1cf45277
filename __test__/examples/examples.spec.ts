// The examples, each run as its README says: `npm run test:examples`.

import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'

import { mapShared } from '../../index.js'
import { isLinux, where } from '../helpers/platform.ts'
import { run, scriptEnv, start } from '../helpers/processes.ts'
import { scratchFile, scratchFolder } from '../helpers/scratch.ts'

const examples = fileURLToPath(new URL('../../examples/', import.meta.url))
const names = readdirSync(examples).filter((name) => existsSync(join(examples, name, 'README.md')))
const onLinux = where(isLinux, 'rests on what Linux does')

const commandsOf = (name: string): string[] => {
  const [, block = ''] = /^```sh\n(.*?)^```$/ms.exec(readFileSync(join(examples, name, 'README.md'), 'utf8')) ?? []
  return block.split('\n').filter((line) => line !== '')
}

/** Runs the commands of an example's README in a folder of its own. Returns that, and what they print. */
async function follow(t: ExecutionContext, name: string, env = {}): Promise<{ folder: string; printed: string }> {
  const folder = scratchFolder(t)
  let printed = ''
  for (const command of commandsOf(name)) printed += await example(t, folder, command, env)
  return { folder, printed }
}

/** Runs a command of a README. */
async function example(t: ExecutionContext, folder: string, command: string, env = {}): Promise<string> {
  const [node, program, ...args] = command.split(' ')
  t.is(node, 'node')
  const file = join(examples, '..', program!)
  const end = await run(process.execPath, [file, ...args], { cwd: folder, env: { ...scriptEnv(), ...env } })
  t.deepEqual([end.code, end.signal], [0, null], end.stderr)
  return end.stdout
}

/** Starts an example that goes on until it is stopped. Returns its process, and what it prints, line by line. */
async function startExample(t: ExecutionContext, program: string, args: string[]) {
  const child = start(process.execPath, [join(examples, program), ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(async () => {
    if (child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill()
    await ended
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const first = (await lines.next()).value as string
  return { child, first, next: async () => (await lines.next()).value as string }
}

test('arrow: the column is in the file, and its mean is right', async (t) => {
  const { printed } = await follow(t, 'arrow')
  t.regex(printed, /^1000000 rows, mean fare 33\.94$/m)
  t.regex(printed, /^the column lies in the mapped file$/m)
})

test('maxmind: addresses are found, at the ends of their networks too', async (t) => {
  const { folder, printed } = await follow(t, 'maxmind')
  t.regex(printed, /^192\.0\.2\.1 Antarctica\n198\.51\.100\.200 Norway\n203\.0\.113\.1 unknown$/m)
  const ends = '203.0.113.63 203.0.113.64 203.0.113.127 203.0.113.128 198.51.100.127'
  const found = await example(t, folder, `node examples/maxmind/lookup.mjs countries.mmdb ${ends}`)
  t.deepEqual(
    found.split('\n').map((line) => line.split(' ')[1]),
    ['unknown', 'Tonga', 'Tonga', 'unknown', 'Iceland', undefined],
  )
})

test('parquet: some rows of one column take a small part of the file', async (t) => {
  const { printed } = await follow(t, 'parquet')
  t.regex(printed, /^10000 of 100000 rows, mean 24\.95 °C$/m)
  const [, read, all] = /^read (\d+) of (\d+) bytes$/m.exec(printed)!
  t.true(Number(read) < Number(all) / 20, printed)
})

test('safetensors: the file has the tensors, and a layer runs', async (t) => {
  const { printed } = await follow(t, 'safetensors')
  t.regex(printed, /^weight {2}F32 \[256,64\] 65536 bytes$/m)
  let sum = 128
  for (const value of Float32Array.from({ length: 256 * 64 }, (_, at) => Math.sin(at))) sum += value
  t.regex(printed, new RegExp(`^sum of the outputs: ${sum.toFixed(3)}$`, 'm'))
})

test('safetensors: a tensor that is not aligned is a copy', async (t) => {
  const header = JSON.stringify({ x: { dtype: 'F64', shape: [1], data_offsets: [0, 8] } }).padEnd(61)
  const bytes = Buffer.alloc(8 + 61 + 8)
  bytes.writeBigUInt64LE(61n)
  bytes.write(header, 8)
  bytes.writeDoubleLE(1.5, 69)
  const { tensorsOf } = await import(new URL('../../examples/safetensors/tensors.mjs', import.meta.url).href)
  const map = mapShared(scratchFile(t, bytes))
  t.deepEqual(tensorsOf(map).x.data, Float64Array.of(1.5))
  map.close()
})

test('nearest: the vectors that were made alike are the nearest', async (t) => {
  const { printed } = await follow(t, 'nearest')
  t.regex(printed, /^77 0\.062\n777 0\.621\n\d+ [\d.]+$/m)
})

test('patch: a dry run says what would change, and changes nothing', async (t) => {
  const { folder, printed } = await follow(t, 'patch')
  const [, would] = /^would be sha256 (\w{64})$/m.exec(printed)!
  t.regex(printed, new RegExp(`^is sha256 ${would}$`, 'm'))
  t.is(readFileSync(join(folder, 'program.bin')).toString('latin1', 4096, 4107), 'version 1.1')
  await example(t, folder, 'node examples/patch/make.mjs')
  const before = readFileSync(join(folder, 'program.bin'))
  await example(t, folder, 'node examples/patch/patch.mjs --dry-run program.bin fix.txt')
  t.deepEqual(readFileSync(join(folder, 'program.bin')), before)
})

test('patch: a file with other bytes in one place is not changed at all', async (t) => {
  const folder = scratchFolder(t)
  await example(t, folder, 'node examples/patch/make.mjs')
  const file = join(folder, 'program.bin')
  const other = readFileSync(file)
  other[4104] = 0
  writeFileSync(file, other)
  const args = ['patch/patch.mjs', 'program.bin', 'fix.txt']
  const end = await run(process.execPath, [join(examples, args[0]!), ...args.slice(1)], { cwd: folder })
  t.is(end.code, 1)
  t.deepEqual(readFileSync(file), other)
})

onLinux('python: Python squares the numbers that Node wrote', async (t) => {
  const { printed } = await follow(t, 'python')
  t.regex(printed, /^Node sees 9 and 999998000001$/m)
})

const python = '/usr/bin/python3'
const withNumPy = where(isLinux && hasNumPy(), 'needs the Debian package python3-numpy')

function hasNumPy(): boolean {
  try {
    execFileSync(python, ['-c', 'import numpy'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

withNumPy('python: NumPy uses the same memory', async (t) => {
  const { printed } = await follow(t, 'python', { PYTHON: python })
  t.regex(printed, /^Python squared 1000000 numbers with NumPy\nNode sees 9 and 999998000001$/m)
})

test('video: every frame arrives whole, and in order', async (t) => {
  const { folder } = await follow(t, 'video')
  const video = readFileSync(join(folder, 'video.y4m'))
  const start = video.indexOf('\n') + 1
  const [width, height] = [320, 240]
  const length = 'FRAME\n'.length + width * height
  t.is(video.length, start + 50 * length)
  for (let number = 0; number < 50; number++) {
    const frame = video.subarray(start + number * length).subarray(6, length)
    const middle = frame.subarray((height / 2) * width, (height / 2 + 1) * width)
    const x = (number * 8) % width
    const bright = Array.from(middle.keys()).filter((at) => middle[at] === 235)
    t.deepEqual([bright[0], bright.at(-1)], [Math.max(0, x - 20), Math.min(width - 1, x + 20)], `frame ${number}`)
  }
})

test('logs: the last matches of a log of 8 GiB are found', async (t) => {
  if (process.platform === 'win32') return t.pass('a file takes its whole length on Windows')
  const { printed } = await follow(t, 'logs')
  t.deepEqual(
    printed.split('\n').filter((line) => line.includes('ERROR')),
    [980, 987, 994].map((number) => `2024-05-01T12:00:00 ERROR request ${number}`),
  )
})

test('logs: matches at both ends of a file are found, and fewer than were asked for', async (t) => {
  const file = scratchFile(t, 'cat a\nno\ncat cat\nlast cat')
  const found = await example(t, '.', `node examples/logs/last.mjs ${file} cat`)
  t.is(found, 'cat a\ncat cat\nlast cat\n')
})

test('logs: appended lines are shown, and a log that was truncated is shown from its start', async (t) => {
  const file = scratchFile(t, 'old\n')
  const tail = await startExample(t, 'logs/tail.mjs', [file])
  t.regex(tail.first, /: 4 bytes$/)
  appendFileSync(file, 'one\ntwo\n')
  t.deepEqual([await tail.next(), await tail.next()], ['one', 'two'])
  truncateSync(file, 0)
  t.is(await tail.next(), 'truncated')
  appendFileSync(file, 'new\n')
  t.is(await tail.next(), 'new')
})

test('logs: lines are shown when they are whole, and go on in the file that a log is replaced by', async (t) => {
  const file = scratchFile(t, 'old\n')
  const tail = await startExample(t, 'logs/tail.mjs', [file])
  appendFileSync(file, 'one\ntw')
  t.is(await tail.next(), 'one')
  renameSync(file, `${file}.1`)
  await sleep(250) // nothing has the name meanwhile
  appendFileSync(`${file}.1`, 'o\nthree\n')
  writeFileSync(file, 'a first line that is longer than all before\n')
  const shown = [await tail.next(), await tail.next(), await tail.next(), await tail.next()]
  t.deepEqual(shown, ['two', 'three', 'replaced', 'a first line that is longer than all before'])
})

const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251))

test('file-server: a whole file and its ranges are served, and nothing outside of the folder', async (t) => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'a b.txt'), bytes)
  writeFileSync(join(folder, 'empty'), '')
  const { first: url } = await startExample(t, 'file-server/server.mjs', [folder, '0'])
  const get = async (range: string | undefined, path = 'a%20b.txt') => {
    const response = await fetch(url + path, range === undefined ? {} : { headers: { range } })
    return { response, body: Buffer.from(await response.arrayBuffer()) }
  }
  const { response, body } = await get(undefined)
  t.is(response.status, 200)
  t.is(response.headers.get('content-type'), 'text/plain')
  t.true(body.equals(bytes))
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 0],
    ['bytes=100-199', 100, 199],
    ['bytes=199990-', 199_990, 199_999],
    ['bytes=-100', 199_900, 199_999],
    ['bytes=199990-999999999', 199_990, 199_999],
    ['bytes=-999999999', 0, 199_999],
  ] as const) {
    const { response, body } = await get(range)
    t.is(response.status, 206, range)
    t.is(response.headers.get('content-range'), `bytes ${start}-${end}/200000`)
    t.true(body.equals(bytes.subarray(start, end + 1)), range)
  }
  for (const range of ['bytes=9-3', 'bytes=-', 'bytes=0-1,4-5', 'lines=1-2'])
    t.is((await get(range)).response.status, 200)
  for (const range of ['bytes=200000-', 'bytes=-0']) {
    const { response } = await get(range)
    t.deepEqual([response.status, response.headers.get('content-range')], [416, 'bytes */200000'])
  }
  t.is((await get(undefined, 'empty')).response.status, 200)
  t.is((await get('bytes=0-', 'empty')).response.status, 416)
  t.is((await get(undefined, 'missing')).response.status, 404)
  t.is((await get(undefined, '%zz')).response.status, 404)
  t.is((await fetch(url, { method: 'POST' })).status, 405)
  t.is((await (await fetch(`${url}a%20b.txt`, { method: 'HEAD' })).arrayBuffer()).byteLength, 0)
  for (const path of ['/../package.json', '/..%2f..%2f..%2f..%2fetc/passwd', 'http://x/../../../../../../etc/passwd']) {
    const status = new Promise((resolve, reject) => {
      request({ port: new URL(url).port, host: '127.0.0.1', path }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    t.is(await status, 404, path)
  }
})

test('counters: every request is counted in every worker, also if a worker is killed', async (t) => {
  const server = await startExample(t, 'counters/server.mjs', ['0', '3'])
  const get = async (path: string) =>
    await (await fetch(server.first + path, { headers: { connection: 'close' } })).text()
  const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => get(['', 'about', 'x', 'y'][at % 4]!)))
  const bodies = answers.reduce((sum, { length }) => sum + length, 0)
  const pid = Number(/\d+/.exec(answers[0]!)![0])
  process.kill(pid, 'SIGKILL')
  t.is(await server.next(), `worker ${pid} ended, 200 requests so far`)
  type Row = { requests: number; bytes: number }
  const stats = JSON.parse(await get('stats')) as Record<string, Row>
  t.deepEqual(
    Object.entries(stats).map(([route, { requests }]) => [route, requests]),
    [
      ['/', 50],
      ['/about', 50],
      ['others', 100],
    ],
  )
  t.is(
    Object.values(stats).reduce((sum, { bytes }) => sum + bytes, 0),
    bodies,
  )
})

const withChannels = where(process.platform !== 'freebsd', 'FreeBSD has no channels')

withChannels('jobs: all jobs are done, even if a worker is killed', async (t) => {
  const { first: url } = await startExample(t, 'jobs/front.mjs', ['0', '2'])
  const post = async (limit: string) => await fetch(url, { method: 'POST', body: limit })
  const answer = async (limit: number) => (await (await post(String(limit))).json()) as { primes: number; pid: number }
  t.is((await answer(1_000_000)).primes, 78_498)
  const jobs = Array.from({ length: 30 }, (_, at) => answer(2_000_000 + at))
  const { pid } = await Promise.race(jobs)
  process.kill(pid, 'SIGKILL')
  const done = await Promise.all(jobs)
  for (const { primes } of done) t.true(primes === 148_933 || primes === 148_934, String(primes))
  t.true(new Set(done.map((job) => job.pid)).size >= 2)
  t.is((await post('no number')).status, 400)
})

test('the index has every example, and each has a README with a command', (t) => {
  const index = readFileSync(join(examples, 'README.md'), 'utf8')
  for (const name of names) {
    t.true(index.includes(`](${name}/README.md)`), name)
    t.true(commandsOf(name).length > 0, name)
  }
  t.true(names.length >= 12)
})
