// Takes the power away from a disk at random moments while it is written to, and looks at what the file system has afterwards.
//
// The disk is a loop device over a file, and that file is on a file system of its own, the host. What reaches the device is in
// the page cache of the host until the device is flushed (the kernel turns a flush into an fsync of the file): a cache that
// loses its contents, as that of a drive. The power fails by FS_IOC_SHUTDOWN on the host, which from then on writes nothing
// more, not even its journal; at random moments before it some of the cache has been written, in any order, as a drive may do.
// After that everything is mounted again: the host first, and then the file system on the disk, both of which replay their
// journals. What was not flushed is gone, whatever the processes and the kernel had seen of it.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { random } from '../helpers/random.mjs'
import { runtimes } from '../helpers/runtimes.ts'
import { untilBlocking } from '../helpers/until.ts'
import { Victim } from './children.ts'
import { Promised } from './durable.ts'
import { NUMBERS, type Outcome } from './kills.ts'

/** File systems to lose power under, and the least MiB that they can be made of. */
export const FILE_SYSTEMS = { ext4: 64, xfs: 320, btrfs: 128 }
export type FileSystem = keyof typeof FILE_SYSTEMS

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' }).trim()

/** What uses a disk may let go of it late: others that list or mount devices open each for a moment. */
const runWhenFree = (command: string, ...args: string[]) =>
  untilBlocking(() => spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0)

/** Why no disk can lose power here, if it cannot. */
export function noPower(type: FileSystem): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root, to mount file systems'
  for (const command of ['losetup', 'mkfs.ext4', `mkfs.${type}`, 'python3']) {
    if (spawnSync(command, ['--version']).error !== undefined) return `needs ${command}`
  }
  // Containers have no loop devices that they may use.
  return spawnSync('losetup', ['-f']).status === 0 ? undefined : 'needs loop devices'
}

/** FS_IOC_SHUTDOWN with FSOP_GOING_FLAGS_NOLOGFLUSH. */
const SHUTDOWN = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))`

class Disk {
  readonly folder: string
  readonly #host: string
  readonly #hostImage: string
  #undo: (() => void)[] = []

  constructor(folder: string, type: FileSystem) {
    this.#hostImage = join(folder, 'host.img')
    this.#host = join(folder, 'host')
    this.folder = join(folder, 'disk')
    mkdirSync(this.#host)
    mkdirSync(this.folder)
    const size = FILE_SYSTEMS[type]
    run('truncate', '-s', `${size + 64}M`, this.#hostImage)
    run('mkfs.ext4', '-q', '-F', '-m', '0', this.#hostImage)
    try {
      this.#mountHost()
      // With all blocks, so that a write needs no change of the host's own.
      run('dd', 'if=/dev/zero', `of=${this.image}`, 'bs=1M', `count=${size}`, 'conv=fsync')
      run(`mkfs.${type}`, type === 'ext4' ? '-qF' : '-qf', this.image)
      run('sync', '-f', this.#host)
      this.#mountDisk()
    } catch (error) {
      this.remove()
      throw error
    }
  }

  get image(): string {
    return join(this.#host, 'disk.img')
  }

  #mountHost(): void {
    run('mount', '-o', 'loop', this.#hostImage, this.#host)
    this.#undo.push(() => runWhenFree('umount', this.#host))
  }

  #mountDisk(): void {
    const device = run('losetup', '--find', '--show', this.image)
    this.#undo.push(() => runWhenFree('losetup', '-d', device))
    run('mount', device, this.folder)
    this.#undo.push(() => runWhenFree('umount', this.folder))
  }

  /** Has some of the cache written, as a drive may at any moment. */
  writeCache(): void {
    spawnSync('sync', ['--data', this.image])
  }

  losePower(): void {
    run('python3', '-c', SHUTDOWN, this.#host)
  }

  powerUp(): void {
    this.remove()
    this.#mountHost()
    this.#mountDisk()
  }

  remove(): void {
    for (const undo of this.#undo.splice(0).toReversed()) undo()
  }
}

/** Loses power so many times under a writer: what it had made durable before is in its files. */
export async function losePower(folder: string, type: FileSystem, options: PowerOptions): Promise<Outcome> {
  const { seed, times, env = {} } = options
  const [chance, promised, wrong] = [random(seed), new Promised(), [] as string[]]
  const all = runtimes()
  const disk = new Disk(folder, type)
  let files = 0
  try {
    for (let i = 1; i <= times && wrong.length === 0; i++) {
      if (chance(3) === 0) files++
      const path = join(disk.folder, `file-${files}`)
      const victim = new Victim(all[i % all.length]!, 'writer.mjs', [path, i * NUMBERS, chance(2 ** 31)], env)
      await victim.until(() => victim.stdout !== '')
      await sleep(chance(300))
      if (chance(2) === 0) {
        disk.writeCache()
        await sleep(chance(50))
      }
      disk.losePower()
      // It may or may not see the disk fail. Only what it reports as durable counts.
      await victim.kill()
      promised.add(path, victim.stdout)
      disk.powerUp()
      wrong.push(...promised.missing((i + 1) * NUMBERS).map((what) => `after power loss ${i} of ${type}: ${what}`))
    }
  } finally {
    disk.remove()
  }
  return { kills: times, done: { records: promised.records, files: files + 1 }, wrong }
}

export type PowerOptions = { seed: number; times: number; env?: Record<string, string> }
