// File systems for one test, which are unmounted when it ends, even if it fails.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'

import { scratchFolder } from './scratch.ts'

export type FileSystem = {
  /** Where it is mounted. */
  folder: string
  /** Mounts it again in the same place. */
  mountAgain(): void
  /** Fails while anything there is in use. */
  unmount(): void
  /** Forbids stores. */
  makeReadOnly(): void
}

export const fileSystems = ['tmpfs', 'ext4', 'xfs', 'btrfs', 'overlay', 'fuse', 'hugetlbfs'] as const
export type Type = (typeof fileSystems)[number]

/** Bytes of the image of a disk: it takes only the blocks that the file system fills, and XFS needs this many. */
const DISK = 320 * 2 ** 20

const run = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: 'pipe' })

/** Returns a function that mounts a file system of a type on a folder. What it needs is made in `scratch`. */
function preparation(t: ExecutionContext, type: Type, folder: string, scratch: string): () => void {
  const disk = (format: string, mount: (image: string) => void) => {
    const image = join(scratch, 'image')
    writeFileSync(image, '')
    truncateSync(image, DISK)
    run(`mkfs.${format}`, '-q', image)
    return () => mount(image)
  }
  switch (type) {
    case 'tmpfs':
      return () => run('mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder)
    case 'hugetlbfs':
      return () => run('mount', '-t', 'hugetlbfs', 'hugetlbfs', folder)
    case 'overlay': {
      // Both are of one file system, and overlayfs takes no layer of its own kind.
      const layers = mountFileSystem(t, 'tmpfs')
      if (typeof layers === 'string') throw new Error(layers)
      const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(layers.folder, name))
      for (const layer of [lower, upper, work]) mkdirSync(layer!)
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
      return () => run('mount', '-t', 'overlay', '-o', options, 'overlay', folder)
    }
    case 'fuse':
      return disk('ext4', (image) => run('fuse2fs', image, folder, '-o', 'fakeroot'))
    default:
      return disk(type, (image) => run('mount', '-t', type, '-o', 'loop', image, folder))
  }
}

/** Mounts a file system for one test, or says why it cannot be mounted. */
export function mountFileSystem(t: ExecutionContext, type: Type): FileSystem | string {
  if (process.getuid?.() !== 0) return 'only root may mount file systems'
  const scratch = scratchFolder(t)
  const folder = join(scratch, 'mounted')
  mkdirSync(folder)
  try {
    const mount = preparation(t, type, folder, scratch)
    mount()
    t.teardown(() => {
      // What still uses it keeps it until that ends.
      if (spawnSync('umount', [folder]).status !== 0) spawnSync('umount', ['--lazy', folder])
    })
    return {
      folder,
      mountAgain: mount,
      unmount: () => run('umount', folder),
      makeReadOnly: () => run('mount', '-o', 'remount,ro', folder),
    }
  } catch (error) {
    return `no ${type} can be mounted here: ${(error as Error).message.split('\n')[0]}`
  }
}
