// Memory that processes share by its name, or by a descriptor that a child gets.

import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'
import { mapAnonymous, openSharedMemory, pageSize, unlinkSharedMemory } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { isLinux, onLinux, onPosix, where } from './helpers/platform.ts'
import { start } from './helpers/processes.ts'
import { runScript, runtimes } from './helpers/runtimes.ts'

let names = 0

/** A unique name, which is unlinked at the end. */
function freshName(t: ExecutionContext): string {
  const name = `mm-test-${process.pid}-${names++}`
  t.teardown(() => {
    try {
      unlinkSharedMemory(name)
    } catch {
      // The test has done it.
    }
  })
  return name
}

onPosix('all who open a name map the same memory, with or without the slash', (t) => {
  const name = freshName(t)
  using one = openSharedMemory(name, { create: true, length: 100 })
  using two = openSharedMemory(`/${name}`)
  t.deepEqual([one.kind, one.length, two.length, one.path, typeof one.fd], ['shared', 100, 100, undefined, 'number'])
  t.true(one.buffer.every((byte) => byte === 0))
  one.buffer.write('hello')
  t.is(two.buffer.toString('latin1', 0, 5), 'hello')
  two.typedArray(Int32Array, 8, 1)[0] = 7
  t.is(one.typedArray(Int32Array, 8, 1)[0], 7)
})

onPosix('unlinkSharedMemory removes the name, and mappings stay', (t) => {
  const name = freshName(t)
  using map = openSharedMemory(name, { create: true, length: pageSize })
  map.buffer[0] = 5
  t.is(unlinkSharedMemory(name), undefined)
  const gone = { code: 'ENOENT', path: `/${name}` } as const
  throwsSystemError(t, () => openSharedMemory(name), { ...gone, syscall: 'shm_open' })
  throwsSystemError(t, () => unlinkSharedMemory(`/${name}`), { ...gone, syscall: 'shm_unlink' })
  t.is(map.buffer[0], 5)
  using other = openSharedMemory(name, { create: true, length: pageSize })
  t.is(other.buffer[0], 0)
})

onPosix('exclusive refuses memory that is already there', (t) => {
  const name = freshName(t)
  using map = openSharedMemory(name, { create: true, exclusive: true, length: 10 })
  t.is(map.length, 10)
  throwsSystemError(t, () => openSharedMemory(name, { create: true, exclusive: true, length: 10 }), {
    code: 'EEXIST',
    syscall: 'shm_open',
    path: `/${name}`,
  })
  using again = openSharedMemory(name, { create: true, length: 10 })
  t.is(again.length, 10)
})

onPosix('create extends memory and never shrinks it', (t) => {
  const name = freshName(t)
  using small = openSharedMemory(name, { create: true, length: 10 })
  small.buffer.fill(1)
  using large = openSharedMemory(name, { create: true, length: 3 * pageSize })
  t.deepEqual([large.length, large.buffer[9], large.buffer[10]], [3 * pageSize, 1, 0])
  using middle = openSharedMemory(name, { create: true, length: 5 })
  t.is(middle.length, 5)
  t.is(openSharedMemory(name).length, 3 * pageSize)
  throwsCodedError(t, () => openSharedMemory(name, { length: 4 * pageSize }), {
    instanceOf: RangeError,
    code: 'ERR_MMAP_BEYOND_END',
    says: [String(4 * pageSize), String(3 * pageSize), name],
  })
  small.resize(4 * pageSize)
  t.is(openSharedMemory(name).length, 4 * pageSize)
})

onPosix('memory is writable by default, or read-only if asked for', (t) => {
  const name = freshName(t)
  using map = openSharedMemory(name, { create: true, length: 10 })
  t.is(map.protection, 'read-write')
  using reader = openSharedMemory(name, { protection: 'read', onFault() {} })
  map.buffer[0] = 9
  reader.buffer[0] = 1
  t.deepEqual([reader.faults, map.buffer[0]], [1, 9])
  t.throws(() => reader.write(Buffer.of(1)), { code: 'ERR_MMAP_NOT_WRITABLE' })
  t.throws(() => reader.protect('read-write'), { code: 'EACCES' })
})

onLinux('by default only the owner may open the memory', async (t) => {
  const [mine, everybodys] = [freshName(t), freshName(t)]
  openSharedMemory(mine, { create: true, length: 1 }).close()
  openSharedMemory(everybodys, { create: true, length: 1, mode: 0o644 }).close()
  t.is(statSync(`/dev/shm/${mine}`).mode & 0o777, 0o600)
  t.is(statSync(`/dev/shm/${everybodys}`).mode & 0o777, 0o644 & ~process.umask())
  if (process.getuid?.() !== 0) return
  const script = `
    process.setuid(65534)
    const { openSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    for (const [name, protection] of [['${mine}', 'read'], ['${everybodys}', 'read'], ['${everybodys}', 'read-write']]) {
      try {
        console.log(openSharedMemory(name, { protection }).length)
      } catch (error) {
        console.log(error.code, error.syscall, error.path)
      }
    }`
  const { stdout, stderr } = await runScript(runtimes()[0]!, script)
  t.is(stdout, `EACCES shm_open /${mine}\n1\nEACCES shm_open /${everybodys}\n`, stderr)
})

test('a name may have no slash except one in front, no backslash and no NUL, and is not . or ..', (t) => {
  const value = {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    says: ['a slash', 'a backslash', 'a NUL', "'..'"],
  }
  for (const wrong of ['', '/', 'a/b', '//a', '..', '.', '/..', 'a\0b', 'a\\b']) {
    throwsCodedError(t, () => openSharedMemory(wrong, { create: true, length: 1 }), value)
    throwsCodedError(t, () => unlinkSharedMemory(wrong), value)
  }
  for (const wrong of [1, undefined, null, Buffer.from('a')]) {
    const type = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
    throwsCodedError(t, () => openSharedMemory(wrong as never), type)
    throwsCodedError(t, () => unlinkSharedMemory(wrong as never), type)
  }
})

test('options that do not go together are refused', (t) => {
  const value = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
  throwsCodedError(t, () => openSharedMemory('mm-none', { create: true }), { ...value, says: ['length'] })
  throwsCodedError(t, () => openSharedMemory('mm-none', { exclusive: true }), { ...value, says: ['create'] })
  throwsCodedError(t, () => openSharedMemory('mm-none', { create: true, length: 1, protection: 'read' }), {
    ...value,
    says: ["'read-write'"],
  })
  throwsCodedError(t, () => openSharedMemory('mm-none', { allocate: true, protection: 'read' }), {
    ...value,
    says: ["'read-write'"],
  })
  throwsCodedError(t, () => mapAnonymous(1, { allocate: true }), { ...value, says: ['shared', 'populate'] })
  throwsCodedError(t, () => openSharedMemory('mm-none', { exclusiv: true } as never), {
    ...value,
    says: ["'exclusive'"],
  })
})

const LONGEST = { linux: 255, darwin: 30, freebsd: 1022 }[process.platform as string]

onPosix('a name may be as long as the system allows', (t) => {
  if (LONGEST === undefined) return t.pass('the limit is not known')
  for (const name of [`${freshName(t)}-`.padEnd(LONGEST, 'x'), `${freshName(t)}-`.padEnd(30, 'ü').slice(0, 25)]) {
    t.teardown(() => unlinkSharedMemory(name))
    openSharedMemory(name, { create: true, length: 1 }).close()
    t.is(openSharedMemory(`/${name}`).length, 1)
  }
})

onPosix('a name that is too long is refused', (t) => {
  if (LONGEST === undefined) return t.pass('the limit is not known')
  for (const tooLong of ['x'.repeat(LONGEST + 1), 'x'.repeat(LONGEST + 2), 'x'.repeat(5000)]) {
    throwsSystemError(t, () => openSharedMemory(tooLong, { create: true, length: 1 }), {
      code: 'ENAMETOOLONG',
      syscall: 'shm_open',
      path: `/${tooLong}`,
    })
    // glibc says that there is none of that name.
    const error = t.throws(() => unlinkSharedMemory(tooLong)) as NodeJS.ErrnoException
    t.regex(error.code!, /^(ENAMETOOLONG|ENOENT)$/)
  }
})

for (const runtime of runtimes()) {
  onPosix(
    `${runtime.name} ${runtime.version}: memory that another process is making is opened whole or not at all`,
    async (t) => {
      const name = freshName(t)
      const { code, stdout, stderr } = await runScript(
        runtime,
        `
      const { openSharedMemory, unlinkSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const { spawn } = await import('node:child_process')
      const { writeFileSync } = await import('node:fs')
      writeFileSync('maker.mjs', \`
        const { openSharedMemory, unlinkSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
        for (let i = 0; i < 5000; i++) {
          openSharedMemory('${name}', { create: true, length: 65536 }).close()
          unlinkSharedMemory('${name}')
        }\`)
      const maker = spawn(process.execPath, [...${JSON.stringify(runtime.args)}, 'maker.mjs'], { stdio: 'inherit' })
      let code
      maker.on('exit', (status) => (code = status))
      const seen = {}
      while (code === undefined) {
        for (let i = 0; i < 300; i++) {
          try {
            const map = openSharedMemory('${name}')
            seen[map.length] = (seen[map.length] ?? 0) + 1
            map.close()
          } catch (error) {
            seen[error.code] = (seen[error.code] ?? 0) + 1
          }
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
      console.log(JSON.stringify([code, Object.keys(seen).filter((key) => !['65536', 'ENOENT', 'EAGAIN'].includes(key))]))`,
      )
      t.deepEqual({ code, stdout }, { code: 0, stdout: '[0,[]]\n' }, stderr)
    },
  )
}

onLinux('memory whose maker ended before giving it a length is refused, and create makes it', (t) => {
  const name = freshName(t)
  writeFileSync(`/dev/shm/${name}`, '')
  for (const options of [{}, { protection: 'read' }, { length: 0 }] as const) {
    const error = throwsSystemError(t, () => openSharedMemory(name, options), {
      code: 'EAGAIN',
      syscall: 'shm_open',
      path: `/${name}`,
    })
    t.regex(error.message, /`create`/)
  }
  t.throws(() => openSharedMemory(name, { length: 1 }), { code: 'ERR_MMAP_BEYOND_END' })
  using map = openSharedMemory(name, { create: true, length: 10 })
  t.is(map.length, 10)
})

onLinux(
  'a FIFO by the name, which another user may have put there, is refused without waiting for its other end',
  async (t) => {
    const name = freshName(t)
    execFileSync('mkfifo', [`/dev/shm/${name}`])
    t.teardown(() => rmSync(`/dev/shm/${name}`, { force: true }))
    const { code, signal, stdout, stderr } = await runScript(
      runtimes()[0]!,
      `
    const { openSharedMemory, unlinkSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
    const codes = [
      { protection: 'read' },
      {},
      { create: true, length: 100 },
      { create: true, length: 100, exclusive: true },
      { create: true, length: 100, temporary: true },
    ].map((options) => {
      try {
        openSharedMemory('${name}', options)
      } catch ({ code }) {
        return code
      }
    })
    unlinkSharedMemory('${name}')
    console.log(codes.join())`,
    )
    t.deepEqual(
      { code, signal, stdout },
      { code: 0, signal: null, stdout: 'ENODEV,ENODEV,ENODEV,EEXIST,ENODEV\n' },
      stderr,
    )
  },
)

onLinux('allocate takes all the memory at once', (t) => {
  const blocks = (path: string) => statSync(path).blocks * 512
  const name = freshName(t)
  const length = 16 * pageSize
  using map = openSharedMemory(name, { create: true, length, allocate: true })
  t.is(blocks(`/dev/shm/${name}`), length)
  map.resize(2 * length)
  t.is(blocks(`/dev/shm/${name}`), 2 * length, 'as long as the mapping lives')
  using same = openSharedMemory(name, { allocate: true })
  t.is(same.length, 2 * length)
  using anonymous = mapAnonymous(length, { shared: true, allocate: true })
  t.is(blocks(`/proc/self/fd/${anonymous.fd}`), length)
  using later = mapAnonymous(length, { shared: true })
  t.is(blocks(`/proc/self/fd/${later.fd}`), 0)
})

onLinux('1 TiB of it can be made, for only the pages that are stored to take memory', (t) => {
  using map = openSharedMemory(freshName(t), { create: true, length: 2 ** 40 })
  map.view(2 ** 39, 5).write('hello')
  t.is(map.view(2 ** 39, 5).toString(), 'hello')
})

for (const runtime of runtimes()) {
  onPosix(`${runtime.name} ${runtime.version}: two processes share memory by its name`, async (t) => {
    const name = freshName(t)
    using map = openSharedMemory(name, { create: true, length: 4096 })
    map.buffer.write('from here')
    const { code, stdout, stderr } = await runScript(
      runtime,
      `
      const { openSharedMemory } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
      const map = openSharedMemory('${name}')
      console.log(map.buffer.toString('latin1', 0, 9))
      map.buffer.write('and there', 9)
      Atomics.store(map.typedArray(Int32Array, 64, 1), 0, 42)`,
    )
    t.deepEqual({ code, stdout }, { code: 0, stdout: 'from here\n' }, stderr)
    t.is(map.buffer.toString('latin1', 0, 18), 'from hereand there')
    t.is(map.typedArray(Int32Array, 64, 1)[0], 42)
  })
}

const CHILD = `
import { readFileSync } from 'node:fs'
const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const map = mapShared(3, { protection: 'read-write' })
process.stdout.write(map.buffer.toString('latin1', 0, 6))
map.buffer.write('child ', 6)
process.stdin.once('data', () => {
  process.stdout.write(map.buffer.toString('latin1', 12, 17))
  process.exit(0)
})
`

onLinux("a child gets anonymous memory through stdio, and both see each other's stores", async (t) => {
  using map = mapAnonymous(pageSize, { shared: true })
  map.buffer.write('parent')
  const child = start(process.execPath, ['--input-type=module', '-e', CHILD], {
    stdio: ['pipe', 'pipe', 'inherit', map.fd!],
  })
  const exit = once(child, 'exit') // which may come before the last data
  const [first] = await once(child.stdout!, 'data')
  t.is(String(first), 'parent')
  while (map.buffer[6] === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.is(map.buffer.toString('latin1', 6, 11), 'child')
  map.buffer.write('again', 12)
  child.stdin!.write('go')
  const [second] = await once(child.stdout!, 'data')
  t.is(String(second), 'again')
  t.deepEqual(await exit, [0, null])
})

const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find((path) => existsSync(path)) ?? 'none'
const withPython = where(isLinux && python !== 'none', 'needs Python')

withPython('Python maps anonymous memory that it gets through stdio, both ways', (t) => {
  using map = mapAnonymous(2 * pageSize, { shared: true })
  map.buffer.write('from JavaScript')
  const toChild = spawnSync(
    python,
    ['-c', `import mmap; m = mmap.mmap(3, ${2 * pageSize}); print(m[:15].decode()); m[100:111] = b'from Python'`],
    { stdio: ['ignore', 'pipe', 'inherit', map.fd!], encoding: 'utf8' },
  )
  t.is(toChild.stdout, 'from JavaScript\n')
  t.is(map.buffer.toString('latin1', 100, 111), 'from Python')
})

withPython('memory that Python has made is opened by its name', (t) => {
  const name = freshName(t)
  const script = `
from multiprocessing import shared_memory, resource_tracker
memory = shared_memory.SharedMemory(name='${name}', create=True, size=64)
memory.buf[:5] = b'hello'
resource_tracker.unregister(memory._name, 'shared_memory')
memory.close()`
  execFileSync(python, ['-c', script])
  using named = openSharedMemory(name)
  t.is(named.buffer.toString('latin1', 0, 5), 'hello')
  t.is(readFileSync(`/dev/shm/${name}`).length, named.length)
})

/** The function of docs/sharing-between-processes.md. */
const workaround = /def open_shared_memory[^]*?(?=\n```)/.exec(
  readFileSync(new URL('../docs/sharing-between-processes.md', import.meta.url), 'utf8'),
)![0]

withPython('Python removes a name that it has opened when it ends, unless it is told not to track it', (t) => {
  const name = freshName(t)
  using map = openSharedMemory(name, { create: true, length: pageSize })
  map.buffer[0] = 7
  const run = (lines: string) => {
    const program = `from multiprocessing import resource_tracker, shared_memory\nimport sys\n${lines}`
    return spawnSync(python, ['-c', program], { encoding: 'utf8' })
  }
  const kept = run(`${workaround}\nmemory = open_shared_memory('${name}')\nprint(memory.buf[0])\nmemory.close()`)
  t.deepEqual([kept.stdout, kept.stderr, kept.status], ['7\n', '', 0])
  t.is(openSharedMemory(name).buffer[0], 7)
  const tracking = 'dict(track=False) if sys.version_info >= (3, 13) else {}'
  const taken = run(
    `memory = shared_memory.SharedMemory('${name}', **(${tracking}))\nprint(sys.version_info >= (3, 13))\nmemory.close()`,
  )
  t.is(existsSync(`/dev/shm/${name}`), taken.stdout === 'True\n', 'from 3.13 on track=False does the same')
})
