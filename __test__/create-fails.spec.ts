// A call with `create` that fails removes what it made, and nothing else.

import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import { mapShared } from 'memory-map'

import { where } from './helpers/platform.ts'
import { scratchFolder } from './helpers/scratch.ts'

const onPosix = where(process.platform !== 'win32', 'Windows has none of these')

/** Longer than any file can be. */
const length = 2n ** 62n

const kinds: Record<string, (path: string, other: string) => void> = {
  'a directory': (path) => mkdirSync(path),
  'a link to a directory': (path, other) => {
    mkdirSync(other)
    symlinkSync(other, path)
  },
  'an empty file': (path) => writeFileSync(path, ''),
  'a link to a file': (path, other) => {
    writeFileSync(other, 'text')
    symlinkSync(other, path)
  },
  'a file with two names': (path, other) => {
    writeFileSync(other, 'text')
    linkSync(other, path)
  },
  'a link to nothing': (path, other) => symlinkSync(other, path),
  'a link to itself': (path) => symlinkSync(path, path),
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a device': (path) => execFileSync('mknod', [path, 'c', '1', '3'], { stdio: 'pipe' }),
}

for (const [kind, make] of Object.entries(kinds)) {
  const isRoot = process.getuid?.() === 0
  const on = kind === 'a device' ? where(isRoot && process.platform === 'linux', 'only root makes devices') : onPosix
  on(`${kind} stays if a call with create fails`, (t) => {
    const folder = scratchFolder(t)
    const [path, other] = [join(folder, 'path'), join(folder, 'other')]
    make(path, other)
    const before = lstatSync(path)
    const hadOther = existsSync(other)
    for (const options of [{ length }, { length, allocate: true }, { length: 1, offset: length }]) {
      t.throws(() => mapShared(path, { protection: 'read-write', create: true, ...options }))
      const after = lstatSync(path)
      t.deepEqual([after.ino, after.mode, after.size, after.rdev], [before.ino, before.mode, before.size, before.rdev])
      if (hadOther) t.true(existsSync(other))
    }
  })
}

test('a file that create made is removed if the call fails', (t) => {
  const path = join(scratchFolder(t), 'path')
  t.throws(() => mapShared(path, { protection: 'read-write', create: true, length }))
  t.false(existsSync(path))
})
