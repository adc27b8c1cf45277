// Temporary names of shared memory, which are removed with their last user, even one that is killed; and the list of names.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, fstatSync, statSync, writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'
import { listSharedMemory, mapShared, openSharedMemory, unlinkSharedMemory } from 'memory-map'

import { throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { isLinux, isWindows, onLinux, where } from './helpers/platform.ts'
import { ending, Peer, run } from './helpers/processes.ts'
import { runtimes, scenario } from './helpers/runtimes.ts'
import { until } from './helpers/until.ts'

const LENGTH = 4096
const temporary = { create: true, temporary: true, length: LENGTH } as const

let names = 0

/** A name of its own, which the test may leave. */
function freshName(t: ExecutionContext): string {
  const name = `mm-temporary-${process.pid}-${names++}`
  t.teardown(() => {
    if (isThere(name)) unlinkSharedMemory(name)
  })
  return name
}

const isThere = (name: string) => existsSync(`/dev/shm/${name}`)
const making = (name: string) => `map = lib.openSharedMemory('${name}', ${JSON.stringify(temporary)}); 1`
const listed = (name: string) => listSharedMemory().find((memory) => memory.name === name)

const gone = (name: string) => ({ code: 'ENOENT', syscall: 'shm_open', path: `/${name}` }) as const

for (const runtime of runtimes()) {
  onLinux(`the last user that closes the memory removes the name: on ${runtime.name} ${runtime.version}`, async (t) => {
    const name = freshName(t)
    const peer = await Peer.start(t, runtime)
    await peer.run(making(name))
    const map = openSharedMemory(name)
    await peer.run('map.buffer.write("from there"); map.close(); 1')
    t.true(isThere(name))
    {
      using again = openSharedMemory(name, { create: true, length: 10 })
      t.is(again.toString(), 'from there')
    }
    await peer.run(`map = lib.openSharedMemory('${name}', { protection: 'read' }); 1`)
    map.close()
    t.is(await peer.run('map.toString("latin1", 0, 10)'), 'from there')
    await peer.run('map.close(); 1')
    t.false(isThere(name))
  })

  onLinux(
    `the name of a user that was killed is removed when somebody looks: on ${runtime.name} ${runtime.version}`,
    async (t) => {
      const [opened, made, own, seen] = [freshName(t), freshName(t), freshName(t), freshName(t)]
      const peer = await Peer.start(t, runtime)
      for (const name of [opened, made, own, seen]) await peer.run(making(name))
      await peer.run('map.write(new Uint8Array([1])); 1')
      await peer.kill()
      // A look removes all such names, and other tests look too.
      throwsSystemError(t, () => openSharedMemory(opened), gone(opened))
      t.false(isThere(opened))
      using fresh = openSharedMemory(made, { create: true, length: 10 })
      t.deepEqual([fresh.length, fresh.buffer[0], listed(made)!.temporary], [10, 0, false])
      t.deepEqual([isThere(own), isThere(seen)], [false, false], 'by the list')
      using exclusive = openSharedMemory(own, { ...temporary, exclusive: true })
      t.is(exclusive.length, LENGTH)
    },
  )

  onLinux(
    `a program that ends without closing is no longer a user: on ${runtime.name} ${runtime.version}`,
    async (t) => {
      const name = freshName(t)
      const peer = await Peer.start(t, runtime)
      await peer.run(making(name))
      t.deepEqual(await peer.end().then(({ code, stderr }) => ({ code, stderr })), { code: 0, stderr: '' })
      throwsSystemError(t, () => openSharedMemory(name), gone(name))
    },
  )

  onLinux(`a name leads to the same memory while it has a user: on ${runtime.name} ${runtime.version}`, async (t) => {
    const name = freshName(t)
    const command = [...runtime.args, scenario('temporary-memory').pathname, name]
    const start = () => spawn(runtime.command, command, { stdio: ['ignore', 'pipe', 'pipe'] })
    const steady = [start(), start()].map((child) => ending(child))
    for (let kills = 0; kills < 3; kills++) {
      const victim = start()
      await new Promise((resolve) => victim.stdout.once('data', resolve))
      const exit = once(victim, 'exit')
      victim.kill('SIGKILL')
      await exit // it is a user until then
    }
    for (const end of await Promise.all(steady)) {
      t.deepEqual([end.code, end.stdout.split('\n').at(-2)], [0, 'done'], end.stderr)
    }
    t.is(listed(name), undefined)
  })
}

onLinux('a process that is killed leaves the name to the others', async (t) => {
  const name = freshName(t)
  const [runtime] = runtimes()
  const peer = await Peer.start(t, runtime!)
  await peer.run(making(name))
  const map = openSharedMemory(name, { ...temporary, exclusive: false })
  await peer.run('map.buffer.write("kept"); 1')
  await peer.kill()
  using other = openSharedMemory(name)
  t.is(other.toString('latin1', 0, 4), 'kept')
  throwsSystemError(t, () => openSharedMemory(name, { ...temporary, exclusive: true }), {
    ...gone(name),
    code: 'EEXIST',
  })
  map.close()
  t.like(listed(name), { temporary: true, inUse: true, users: [process.pid] })
  other.close()
  t.false(isThere(name))
})

onLinux('a child that has the descriptor is a user', async (t) => {
  const name = freshName(t)
  const map = openSharedMemory(name, temporary)
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', map.fd!] })
  t.teardown(() => child.kill('SIGKILL'))
  map.buffer[0] = 7
  map.close()
  t.like(listed(name), { inUse: true, users: [] })
  using again = openSharedMemory(name)
  t.is(again.buffer[0], 7)
  again.close()
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  t.is(listed(name), undefined)
  t.false(isThere(name))
})

onLinux('a worker that ended is no longer a user', async (t) => {
  const name = freshName(t)
  const worker = new Worker(
    `import { openSharedMemory } from 'memory-map'
    globalThis.map = openSharedMemory('${name}', ${JSON.stringify(temporary)})`,
    { eval: true, execArgv: ['--input-type=module'] },
  )
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  await until(() => listed(name) === undefined)
  t.false(isThere(name))
})

onLinux('a second mapping, and a resize, do not change who is a user', (t) => {
  const name = freshName(t)
  const map = openSharedMemory(name, temporary)
  map.resize(4 * LENGTH)
  using _ = mapShared(`/dev/shm/${name}`) // which is not a user
  t.is(statSync(`/dev/shm/${name}`).ino, fstatSync(map.fd!).ino)
  map.close()
  t.false(isThere(name))
})

onLinux('a name that was unlinked and made again is not removed', (t) => {
  const name = freshName(t)
  const map = openSharedMemory(name, temporary)
  unlinkSharedMemory(name)
  using other = openSharedMemory(name, { create: true, length: 10 })
  map.close()
  t.true(isThere(name))
  using same = openSharedMemory(name)
  t.is(same.length, other.length)
})

onLinux('a call that fails leaves no name behind', (t) => {
  const name = freshName(t)
  t.throws(() => openSharedMemory(name, { ...temporary, length: 2 ** 52 }))
  t.false(isThere(name))
})

onLinux('memory that is not temporary stays, whatever its permissions', (t) => {
  const name = freshName(t)
  openSharedMemory(name, { create: true, length: 10, mode: 0o1600 }).close()
  t.is(statSync(`/dev/shm/${name}`).mode & 0o7777, 0o600)
  openSharedMemory(name, temporary).close()
  t.like(listed(name), { length: LENGTH, mode: 0o600, uid: process.getuid!(), temporary: false, inUse: false })
})

onLinux('the owner of temporary memory may load and store, whatever mode says', (t) => {
  const name = freshName(t)
  using map = openSharedMemory(name, { ...temporary, mode: 0o044 })
  t.false(map.closed)
  t.is(listed(name)!.mode, (0o644 & ~process.umask()) | 0o600)
})

onLinux('the list has memory that others made, and who has it mapped', async (t) => {
  const name = freshName(t)
  const before = Date.now()
  writeFileSync(`/dev/shm/${name}`, Buffer.alloc(10_000, 1))
  const { modified, allocated, ...rest } = listed(name)!
  const uid = process.getuid!()
  const facts = { name, length: 10_000, uid, temporary: false }
  t.deepEqual(rest, { ...facts, mode: 0o666 & ~process.umask(), inUse: false, users: [] })
  t.true(allocated >= 10_000 && Math.abs(modified.getTime() - before) < 60_000)
  using _ = openSharedMemory(name)
  const peer = await Peer.startPython(t)
  await peer.run(`m = mmap.mmap(os.open('/dev/shm/${name}', os.O_RDWR), 0)`)
  t.deepEqual(
    listed(name)!.users.toSorted((one, other) => one - other),
    [process.pid, peer.pid].toSorted((one, other) => one - other),
  )
  t.true(listed(name)!.inUse)
})

onLinux('a name that another user left behind is not opened, and only that user can remove it', async (t) => {
  if (process.getuid!() !== 0) return t.pass('only root can be another user')
  const name = freshName(t)
  const [runtime] = runtimes()
  const peerOf = async (uid: number) => {
    const peer = await Peer.start(t, runtime!)
    await peer.run(`process.umask(0); process.setuid(${uid}); 1`)
    return peer
  }
  const [maker, reader] = [await peerOf(65533), await peerOf(65534)]
  await maker.run(`map = lib.openSharedMemory('${name}', ${JSON.stringify({ ...temporary, mode: 0o666 })}); 1`)
  await reader.run(`lib.openSharedMemory('${name}').close()`)
  t.true(isThere(name), 'the maker still has it')
  await maker.kill()
  const attempt = (options: string) =>
    reader.run(`try { lib.openSharedMemory('${name}', ${options}) } catch ({ code, message }) { code + message }`)
  t.regex((await attempt('{}')) as string, /^ENOENT.*another user/)
  t.regex((await attempt('{ create: true, length: 10 }')) as string, /^EACCES/)
  await reader.run('lib.listSharedMemory(); 1')
  t.like(listed(name), { uid: 65533, temporary: true, inUse: false, users: [] }, 'a list removes one’s own')
  throwsSystemError(t, () => openSharedMemory(name), gone(name))
  t.false(isThere(name))
})

onLinux('the list needs the permission of fs to read the folder', async (t) => {
  const program = `
    import { listSharedMemory } from 'memory-map'
    try { listSharedMemory() } catch ({ code, permission }) { console.log(code, permission) }`
  const permission = process.version.startsWith('v20.') ? '--experimental-permission' : '--permission'
  const root = new URL('../', import.meta.url).pathname
  const args = [permission, '--allow-addons', `--allow-fs-read=${root}*`, '--no-warnings', '--input-type=module']
  const { stdout, stderr } = await run(process.execPath, [...args, '-e', program], { cwd: root })
  t.is(stdout, 'ERR_ACCESS_DENIED FileSystemRead\n', stderr)
})

test('temporary needs create, and a boolean', (t) => {
  const value = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', says: ['create'] }
  throwsCodedError(t, () => openSharedMemory('mm-none', { temporary: true }), value)
  throwsCodedError(t, () => openSharedMemory('mm-none', { ...temporary, temporary: 1 as never }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_TYPE',
  })
})

const elsewhere = where(!isLinux, 'is about systems without a list')

elsewhere('systems without a list or temporary names say so', (t) => {
  throwsCodedError(t, () => listSharedMemory(), { instanceOf: Error, code: 'ERR_MMAP_UNSUPPORTED' })
  if (isWindows) {
    openSharedMemory(freshName(t), temporary).close()
  } else {
    throwsCodedError(t, () => openSharedMemory('mm-none', temporary), {
      instanceOf: Error,
      code: 'ERR_MMAP_UNSUPPORTED',
    })
  }
})
