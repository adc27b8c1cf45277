// Node's permission model: a file that `fs` may not open cannot be mapped, and the error is that of `fs`.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { onPosix as test } from './helpers/platform.ts'

import { run } from './helpers/processes.ts'
import { runtimes } from './helpers/runtimes.ts'
import { scratchFolder } from './helpers/scratch.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** The folder that memory with a name counts as being in. */
const memory = process.platform === 'linux' ? '/dev/shm' : ''

const script = `
  import { openSync } from 'node:fs'
  import { pathToFileURL } from 'node:url'
  import { mapPrivate, mapShared, openSharedMemory, unlinkSharedMemory } from 'memory-map'

  const facts = ({ code, permission, resource, message }) => JSON.stringify({ code, permission, resource, message })
  const attempt = (run) => {
    try { run(); return 'done' } catch (error) { return facts(error) }
  }
  const [, , folder, none, allowed] = process.argv
  const hidden = folder + '/hidden/file', read = folder + '/read/file', write = folder + '/write/file'
  const fileOfNone = '${memory}/' + none
  const made = { create: true, length: 8 }
  const rows = [
    [() => mapShared(hidden), () => openSync(hidden, 'r')],
    [() => mapPrivate(hidden), () => openSync(hidden, 'r')],
    [() => mapShared(pathToFileURL(hidden)), () => openSync(hidden, 'r')],
    [() => mapShared(Buffer.from(hidden)), () => openSync(hidden, 'r')],
    [() => mapShared(folder + '/none', { create: true, length: 8, protection: 'read-write' }), () => openSync(folder + '/none', 'r+')],
    [() => mapShared(read), () => openSync(read, 'r')],
    [() => mapPrivate(read), () => openSync(read, 'r')],
    [() => mapShared(read, { protection: 'read-write' }), () => openSync(read, 'r+')],
    [() => mapShared(write, { protection: 'read-write' }), () => openSync(write, 'r+')],
    [() => mapShared(openSync(read, 'r')), () => openSync(read, 'r')],
    [() => openSharedMemory(none, made), () => openSync(fileOfNone, 'r+')],
    [() => openSharedMemory(none, { protection: 'read' }), () => openSync(fileOfNone, 'r')],
    [() => unlinkSharedMemory(none), () => openSync(fileOfNone, 'a')],
    [() => openSharedMemory(allowed, made).close(), () => {}],
    [() => unlinkSharedMemory(allowed), () => {}],
  ]
  console.log(rows.map(([ours, theirs]) => {
    const [mapped, opened] = [attempt(ours), attempt(theirs)]
    return mapped === opened ? mapped === 'done' ? 'done' : JSON.parse(mapped).permission : mapped + ' ' + opened
  }).join())`

for (const { name, version, command } of runtimes().filter(({ args }) => args[0] === '--expose-gc')) {
  test(`files can be mapped if fs may open them: on ${name} ${version}`, async (t) => {
    const folder = scratchFolder(t)
    for (const name of ['hidden', 'read', 'write', 'node_modules']) mkdirSync(join(folder, name))
    for (const name of ['hidden', 'read', 'write']) writeFileSync(join(folder, name, 'file'), Buffer.alloc(8))
    symlinkSync(root, join(folder, 'node_modules', 'memory-map'), 'junction')
    const file = join(folder, 'node_modules', 'script.mjs')
    writeFileSync(file, script)
    const [none, allowed] = ['none', 'allowed'].map((kind) => `mm-${kind}-${process.pid}-${version}`) as [
      string,
      string,
    ]
    const reads = [root, join(folder, 'node_modules'), join(folder, 'read'), join(folder, 'write')]
    const args = [
      version.startsWith('20.') ? '--experimental-permission' : '--permission',
      '--allow-addons',
      ...reads.map((path) => `--allow-fs-read=${join(path, '*')}`),
      `--allow-fs-write=${join(folder, 'write', '*')}`,
      ...['read', 'write'].map((access) => `--allow-fs-${access}=${memory}/${allowed}`),
    ]
    const { stdout, stderr } = await run(command, [...args, file, folder, none, allowed], { cwd: folder })
    const expected = [...Array(5).fill('FileSystemRead'), 'done', 'done', 'FileSystemWrite', 'done', 'done']
    expected.push('FileSystemRead', 'FileSystemRead', 'FileSystemWrite', 'done', 'done')
    t.is(stdout.trim(), expected.join(), stderr)
  })
}
