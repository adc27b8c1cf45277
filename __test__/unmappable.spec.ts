// Pipes, FIFOs, sockets, terminals and directories have no pages and cannot be mapped. The error says what the file is and
// what to use instead, and the other end of a pipe notices nothing.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  promises,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

import test, { type ExecutionContext } from 'ava'
import { type FileSource, mapPrivate, mapShared, type MemoryMap } from 'memory-map'

import { openDescriptors } from './helpers/memory.ts'
import { isLinux, isWindows, isWine, onLinux, onPosix } from './helpers/platform.ts'
import { ending, isAsleep, run, shellLine, start, untilAsleep } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

// Tests that count this process's descriptors are serial, because other tests open files on other threads.

type Refusal = { code: string; errno: number; syscall: string; path?: string; message: string }

const ways: Record<string, (file: FileSource) => MemoryMap> = {
  shared: (file) => mapShared(file),
  'shared, to store': (file) => mapShared(file, { protection: 'read-write' }),
  'shared, to create': (file) => mapShared(file, { protection: 'read-write', create: true, length: 8192 }),
  private: (file) => mapPrivate(file),
  'private, to look at': (file) => mapPrivate(file, { protection: 'read' }),
  'a part': (file) => mapPrivate(file, { offset: 1, length: 1 }),
}

const expected = {
  pipe: { code: 'ENODEV', errno: -19, what: /pipe|FIFO/, instead: /stream/ },
  socket: { code: 'ENODEV', errno: -19, what: /socket/, instead: /stream/ },
  terminal: { code: 'ENODEV', errno: -19, what: /terminal/, instead: /stream/ },
  directory: { code: 'EISDIR', errno: isWindows ? -4068 : -21, what: /directory/, instead: /file in it/ },
}

/** Checks that every way to map `file` is refused for what it is, and leaves no descriptor open. */
function refusesAllWays(t: ExecutionContext, file: FileSource, kind: keyof typeof expected): void {
  const before = isLinux ? openDescriptors() : 0
  for (const [way, map] of Object.entries(ways)) {
    const error = t.throws(() => map(file), { instanceOf: Error }, way) as unknown as Refusal | undefined
    if (error) isRefusal(t, error, kind, typeof file === 'string' ? file : undefined)
  }
  if (isLinux) t.is(openDescriptors(), before, 'descriptors were left open')
}

function isRefusal(t: ExecutionContext, error: Refusal, kind: keyof typeof expected, path?: string): void {
  const { code, errno, what, instead } = expected[kind]
  t.like(error, { code, errno })
  t.regex(error.syscall, /^(open|mmap)$/)
  t.true(error.message.startsWith(`${code}: `), error.message)
  t.regex(error.message, what)
  t.regex(error.message, instead)
  if (path === undefined) return
  t.is(error.path, path)
  t.true(error.message.includes(`'${path}'`), error.message)
}

/** A script that tries every way to map what its arguments name, and prints the refusals as a line of JSON. */
const ATTEMPT = `
const { mapPrivate, mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const { fstatSync, writeSync } = await import('node:fs')
const ways = {
${Object.entries(ways)
  .map(([way, map]) => `  '${way}': ${map},`)
  .join('\n')}
}
const kind = (fd) => ['isFIFO', 'isSocket', 'isCharacterDevice'].find((is) => fstatSync(fd)[is]())
const attempt = (map, file) => {
  try {
    return 'mapped ' + map(file).length + ' bytes'
  } catch (error) {
    const { code, errno, syscall, path, message } = error
    return { code, errno, syscall, path, message }
  }
}
for (const argument of process.argv.slice(2)) {
  const file = /^[0-9]+$/.test(argument) ? Number(argument) : argument
  const found = typeof file === 'number' ? kind(file) : undefined
  const refusals = Object.fromEntries(Object.entries(ways).map(([way, map]) => [way, attempt(map, file)]))
  writeSync(1, JSON.stringify({ file, found, refusals }) + '\\n')
}
`

/** What a run of `ATTEMPT` printed: one refusal for each file and way. */
function refusalsIn(t: ExecutionContext, output: string, files: number) {
  const lines = output.split(/\r?\n/).filter((line) => line.startsWith('{'))
  t.is(lines.length, files, output)
  return lines.map((line) => JSON.parse(line) as { file: unknown; found?: string; refusals: Record<string, Refusal> })
}

for (const runtime of runtimes()) {
  const name = `${runtime.name} ${runtime.version}`

  const command = (t: ExecutionContext, ...files: (string | number)[]): [string, ...string[]] => {
    const script = join(scratchFolder(t), 'attempt.mjs')
    writeFileSync(script, ATTEMPT)
    return [runtime.command, ...runtime.args, script, ...files.map(String)]
  }

  onPosix(`${name}: the pipes of a shell's pipeline are refused`, async (t) => {
    const line = `echo in the pipe | { ${shellLine(command(t, 0, 1, '/dev/stdin'))}; echo "exit $?"; cat; } | cat`
    const { code, signal, stdout, stderr } = await run('sh', ['-c', line])

    t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
    const [stdin, own, path] = refusalsIn(t, stdout, 3)
    t.is(stdin!.found, 'isFIFO')
    t.is(own!.found, 'isFIFO')
    for (const error of Object.values(stdin!.refusals)) isRefusal(t, error, 'pipe')
    for (const error of Object.values(own!.refusals)) isRefusal(t, error, 'pipe')
    for (const error of Object.values(path!.refusals)) isRefusal(t, error, 'pipe', '/dev/stdin')
    t.true(stdout.endsWith('exit 0\nin the pipe\n'), 'what was in the pipe is there for the next reader')
  })

  onPosix(`${name}: the socket that a child has for its stdin is refused`, async (t) => {
    const [file, ...args] = command(t, 0)
    const child = start(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const { code, signal, stdout, stderr } = await ending(child)

    t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
    const [stdin] = refusalsIn(t, stdout, 1)
    t.is(stdin!.found, 'isSocket')
    for (const error of Object.values(stdin!.refusals)) isRefusal(t, error, 'socket')
  })

  onLinux(`${name}: a terminal is refused, by descriptor and by path`, async (t) => {
    const line = `${shellLine(command(t, 0, '/dev/tty'))} "$(tty)"; status=$?; test -t 0 && echo still a terminal; exit $status`
    const { code, signal, stdout } = await run('script', ['-qec', line, '/dev/null'])

    t.deepEqual({ code, signal }, { code: 0, signal: null }, stdout)
    const [stdin, controlling, own] = refusalsIn(t, stdout, 3)
    t.is(stdin!.found, 'isCharacterDevice')
    t.regex(String(own!.file), /^\/dev\/pts\/\d+$/)
    for (const error of Object.values(stdin!.refusals)) isRefusal(t, error, 'terminal')
    for (const error of Object.values(controlling!.refusals)) isRefusal(t, error, 'terminal', '/dev/tty')
    for (const error of Object.values(own!.refusals)) isRefusal(t, error, 'terminal', String(own!.file))
    t.regex(stdout, /still a terminal/)
  })

  onLinux(
    `${name}: a FIFO is refused by path at once, and a writer that is blocked in open stays blocked`,
    async (t) => {
      const fifo = join(scratchFolder(t), 'fifo')
      execFileSync('mkfifo', [fifo])
      const writer = start('sh', ['-c', 'echo to whom it concerns > "$0"; echo "written, $?"', fifo])
      const written = ending(writer)
      await untilAsleep(writer.pid!)

      const [file, ...args] = command(t, fifo)
      const { code, signal, stdout, stderr, timedOut } = await run(file, args)
      t.deepEqual({ code, signal, timedOut }, { code: 0, signal: null, timedOut: false }, stderr)
      for (const error of Object.values(refusalsIn(t, stdout, 1)[0]!.refusals)) isRefusal(t, error, 'pipe', fifo)

      await sleep(50)
      t.is(writer.exitCode, null)
      t.true(isAsleep(writer.pid!), 'the writer was woken')
      t.is(await promises.readFile(fifo, 'utf8'), 'to whom it concerns\n')
      t.like(await written, { code: 0, signal: null, stdout: 'written, 0\n' })
    },
  )
}

onLinux('opening a FIFO does let a blocked writer go on: the test above means something', async (t) => {
  const fifo = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  const writer = start('sh', ['-c', 'echo to whom it concerns > "$0"', fifo])
  const written = ending(writer)
  await untilAsleep(writer.pid!)

  closeSync(openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK))

  const { timedOut } = await written
  t.false(timedOut)
})

onLinux.serial('a reader that is blocked in open stays blocked when a writable mapping is refused', async (t) => {
  const fifo = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = start('cat', [fifo])
  const read = ending(reader)
  await untilAsleep(reader.pid!)

  refusesAllWays(t, fifo, 'pipe')

  await sleep(50)
  t.is(reader.exitCode, null)
  await promises.writeFile(fifo, 'here it is')
  t.like(await read, { code: 0, signal: null, stdout: 'here it is' })
})

onPosix.serial('a FIFO is refused through a symbolic link, a URL and a Buffer too', (t) => {
  const folder = scratchFolder(t)
  const fifo = join(folder, 'fifo')
  const link = join(folder, 'link')
  execFileSync('mkfifo', [fifo])
  symlinkSync(fifo, link)

  refusesAllWays(t, link, 'pipe')
  refusesAllWays(t, pathToFileURL(fifo), 'pipe')
  refusesAllWays(t, Buffer.from(fifo), 'pipe')
})

onPosix.serial('a FIFO is refused by descriptor, which keeps its bytes and stays the caller’s', (t) => {
  const fifo = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  try {
    writeSync(fd, 'unread')
    refusesAllWays(t, fd, 'pipe')
    t.true(fstatSync(fd).isFIFO())
    const bytes = Buffer.alloc(16)
    t.is(readSync(fd, bytes), 6)
    t.is(bytes.toString('latin1', 0, 6), 'unread')
  } finally {
    closeSync(fd)
  }
})

onPosix.serial('a FIFO is refused as a FileHandle', async (t) => {
  const fifo = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  const handle = await promises.open(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  try {
    refusesAllWays(t, handle, 'pipe')
    t.true((await handle.stat()).isFIFO())
  } finally {
    await handle.close()
  }
})

onPosix.serial('a Unix socket is refused by path, and its server gets no connection', async (t) => {
  const path = join(scratchFolder(t), 'socket')
  const visitors: Socket[] = []
  const server = createServer((socket) => visitors.push(socket.end()))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    refusesAllWays(t, path, 'socket')
    await sleep(20)
    t.is(visitors.length, 0)

    const visitor = connect(path)
    await new Promise((resolve) => visitor.once('close', resolve).resume())
    t.is(visitors.length, 1)
  } finally {
    server.close()
  }
})

onPosix('a TCP connection that a child inherited is refused by descriptor, and still works', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const script = join(scratchFolder(t), 'attempt.mjs')
  writeFileSync(script, `${ATTEMPT}\nwriteSync(3, 'still connected')\n`)
  try {
    const { port } = server.address() as { port: number }
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
    const near = connect(port, '127.0.0.1')
    await new Promise((resolve) => near.once('connect', resolve))
    const far = await accepted
    let received = ''
    far.setEncoding('utf8').on('data', (text: string) => (received += text))
    const gone = new Promise((resolve) => far.once('end', resolve))

    const child = start(process.execPath, [script, '3'], { stdio: ['ignore', 'pipe', 'pipe', near] })
    const { code, signal, stdout, stderr } = await ending(child)
    near.destroy()
    await gone

    t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
    const [socket] = refusalsIn(t, stdout, 1)
    t.is(socket!.found, 'isSocket')
    for (const error of Object.values(socket!.refusals)) isRefusal(t, error, 'socket')
    t.is(received, 'still connected')
  } finally {
    server.close()
  }
})

onLinux('mapping a terminal does not make it the controlling terminal of the process', async (t) => {
  if ((await run('python3', ['--version']).catch(() => undefined))?.code !== 0) {
    t.log('skipped: a terminal without a session takes python3')
    t.pass()
    return
  }
  const script = join(scratchFolder(t), 'attempt.mjs')
  const openTerminal = `try { openSync('/dev/tty'); console.log('has one') } catch (e) { console.log('none:', e.code) }`
  writeFileSync(script, `import { openSync } from 'node:fs'\n${ATTEMPT}\n${openTerminal}\n`)
  const python = [
    'import os, pty, subprocess, sys',
    'terminal, far = pty.openpty()',
    'sys.exit(subprocess.run([*sys.argv[1:], os.ttyname(far)], start_new_session=True).returncode)',
  ]
  const { code, signal, stdout, stderr } = await run('python3', ['-c', python.join('\n'), process.execPath, script])

  t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  const [terminal] = refusalsIn(t, stdout, 1)
  for (const error of Object.values(terminal!.refusals)) isRefusal(t, error, 'terminal', String(terminal!.file))
  t.regex(stdout, /^none: ENXIO$/m)
})

onLinux.serial('a file of /proc or /sys that cannot be mapped is ENODEV, whatever length it shows', (t) => {
  const before = openDescriptors()
  const files = [
    '/proc/cpuinfo', // EIO, by the system
    '/proc/self/status',
    '/proc/self/maps',
    '/proc/sys/kernel/hostname', // ENODEV
    '/sys/devices/system/cpu/online', // of 4096 bytes
    '/sys/kernel/mm/transparent_hugepage/enabled',
    ...controlGroup(t),
  ].filter((path) => existsSync(path))
  const contents = files.map((path) => readFileSync(path, 'latin1').length)
  for (const path of files) {
    const fd = openSync(path, 'r')
    for (const file of [path, fd]) {
      for (const [way, map] of Object.entries(ways)) {
        if (/to store|to create/.test(way)) continue
        const error = t.throws(() => map(file), { instanceOf: Error }, `${path}, ${way}`) as unknown as Refusal
        t.like(error, { code: 'ENODEV', errno: -19, syscall: 'mmap', path: file === path ? path : undefined })
        t.regex(error.message, /fs\.readFileSync/)
      }
    }
    closeSync(fd)
  }
  t.true(contents.every((length) => length > 0))
  t.is(openDescriptors(), before)
})

onLinux.serial('create does not write to a file of /proc or /sys', (t) => {
  const before = hostname()
  for (const length of [undefined, 1, 8192]) {
    const options = { create: true, protection: 'read-write', length } as const
    for (const more of [{}, { allocate: true }, { populate: true }]) {
      const error = t.throws(() =>
        mapShared('/proc/sys/kernel/hostname', { ...options, ...more }),
      ) as unknown as Refusal
      t.regex(error.code, /^(ENODEV|EACCES|EROFS)$/)
    }
  }
  t.is(hostname(), before)
})

/** Files of a control group, where this user may mount a hierarchy of them. */
function controlGroup(t: ExecutionContext): string[] {
  const folder = scratchFolder(t)
  if (spawnSync('mount', ['-t', 'cgroup2', 'none', folder]).status !== 0) return []
  t.teardown(() => spawnSync('umount', ['-l', folder]))
  return [join(folder, 'cgroup.procs'), join(folder, 'cgroup.controllers')]
}

test('an empty file is mapped, in every way', (t) => {
  const file = join(scratchFolder(t), 'empty')
  writeFileSync(file, '')
  for (const map of [mapShared, mapPrivate]) {
    using mapping = map(file)
    t.is(mapping.length, 0)
  }
})

test.serial('a directory is refused by path, descriptor and FileHandle', async (t) => {
  const folder = join(scratchFolder(t), 'folder')
  const link = `${folder}-link`
  mkdirSync(folder)
  if (!isWine) symlinkSync(folder, link, 'junction')

  refusesAllWays(t, folder, 'directory')
  refusesAllWays(t, `${folder}/`, 'directory')
  if (!isWine) refusesAllWays(t, link, 'directory')
  refusesAllWays(t, Buffer.from(folder), 'directory')
  refusesAllWays(t, pathToFileURL(folder), 'directory')

  const fd = openSync(folder, 'r')
  try {
    refusesAllWays(t, fd, 'directory')
    t.true(fstatSync(fd).isDirectory())
  } finally {
    closeSync(fd)
  }
  const handle = await promises.open(folder)
  try {
    refusesAllWays(t, handle, 'directory')
  } finally {
    await handle.close()
  }
})

test('a regular file is mapped in all the ways that are refused here: the other tests mean something', (t) => {
  const file = join(scratchFolder(t), 'file')
  writeFileSync(file, 'pages')
  for (const [way, map] of Object.entries(ways)) {
    const mapping = map(file)
    t.is(mapping.buffer.toString('latin1', 0, 5).replace(/\0.*/, ''), way === 'a part' ? 'a' : 'pages', way)
    mapping.close()
  }
  t.is(readFileSync(file).length, 8192, 'only `create` extends it')
})
