// File systems for one test, which are unmounted when it ends, even if it fails.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'

import { scratchFolder } from './scratch.ts'
import { untilBlocking } from './until.ts'

export type FileSystem = {
  /** Where it is mounted. */
  folder: string
  /** The folder below an overlayfs, whose files it shows, and copies when they are stored to. */
  lower: string | undefined
  /** Mounts it again in the same place. */
  mountAgain(): void
  /** Fails while anything there is in use. */
  unmount(): void
  /** Forbids stores. */
  makeReadOnly(): void
}

export const fileSystems = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlay', 'fuse', 'hugetlbfs'] as const
/** And one without fallocate(2). */
export type Type = (typeof fileSystems)[number] | 'ramfs'

/** Bytes where a test does not say how many. The image of a disk takes only what is written; XFS needs this many. */
const SIZE = { tmpfs: 64 * 2 ** 20, disk: 320 * 2 ** 20 }
/** Has all of a small ext4 hold files. */
const ALL_FOR_FILES = ['-m', '0', '-O', '^has_journal']

const run = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: 'pipe' })

export type MountOptions = {
  /** How many bytes it has. */
  size?: number
  /** As for mount(8). */
  options?: string
}

/** Mounts a file system for one test. Where it cannot be mounted, the test passes and says why; this is undefined then. */
export function mountFileSystem(t: ExecutionContext, type: Type, options: MountOptions = {}): FileSystem | undefined {
  try {
    if (process.getuid?.() !== 0) throw new Error('only root may mount file systems')
    return mounted(t, type, options)
  } catch (error) {
    t.log(`skipped: no ${type} can be mounted here: ${(error as Error).message.split('\n')[0]}`)
    t.pass()
    return undefined
  }
}

function mounted(t: ExecutionContext, type: Type, { size, options = 'defaults' }: MountOptions): FileSystem {
  const scratch = scratchFolder(t)
  const folder = join(scratch, 'mounted')
  mkdirSync(folder)
  const layers = type === 'overlay' ? makeLayers(t) : undefined
  const image = join(scratch, 'image')
  if (isOnDisk(type)) makeDisk(image, type, size)
  const mount = () => {
    switch (type) {
      case 'tmpfs':
        return run('mount', '-t', type, '-o', `size=${size ?? SIZE.tmpfs},${options}`, type, folder)
      case 'hugetlbfs':
      case 'ramfs':
        return run('mount', '-t', type, '-o', options, type, folder)
      case 'overlay':
        return run('mount', '-t', type, '-o', `${layers!.options},${options}`, type, folder)
      case 'fuse':
        return run('fuse2fs', image, folder, '-o', 'fakeroot')
      default:
        return run('mount', '-t', type, '-o', `loop,${options}`, image, folder)
    }
  }
  mount()
  t.teardown(() => {
    // What still uses it keeps it until that ends.
    if (spawnSync('umount', [folder]).status !== 0) spawnSync('umount', ['--lazy', folder])
  })
  return {
    folder,
    lower: layers?.lower,
    mountAgain: mount,
    unmount: () => {
      run('umount', folder)
      // It is a program, which writes what it has left to the image before it ends.
      if (type === 'fuse') untilBlocking(() => spawnSync('pgrep', ['--full', `fuse2fs ${image}`]).status !== 0)
    },
    makeReadOnly: () => run('mount', '-o', 'remount,ro', folder),
  }
}

const isOnDisk = (type: Type) => !['tmpfs', 'ramfs', 'hugetlbfs', 'overlay'].includes(type)

function makeDisk(image: string, type: Type, size: number = SIZE.disk): void {
  writeFileSync(image, '')
  truncateSync(image, size)
  const small = type === 'ext4' && size < SIZE.disk ? ALL_FOR_FILES : []
  run(`mkfs.${type === 'fuse' ? 'ext4' : type}`, '-q', ...small, image)
}

/** The layers of an overlayfs: on one file system, as it asks for, and one that is itself no overlayfs. */
function makeLayers(t: ExecutionContext): { lower: string; options: string } {
  const { folder } = mounted(t, 'tmpfs', {})
  const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(folder, name)) as [string, string, string]
  for (const layer of [lower, upper, work]) mkdirSync(layer)
  return { lower, options: `lowerdir=${lower},upperdir=${upper},workdir=${work}` }
}
