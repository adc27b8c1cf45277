// Counts what the process holds, and makes files to map.

import fs from 'node:fs'
import { join } from 'node:path'

import { pageSize } from '../../index.js'
import { areas, check, collect, descriptors, memory, turn, until } from '../helpers/observe.mjs'

export const MiB = 2 ** 20
export const here = process.env.HERE
export const path = join(here, 'file')
fs.writeFileSync(path, Buffer.alloc(3 * pageSize + 100, 7))
export const large = join(here, 'large')
fs.writeFileSync(large, '')
fs.truncateSync(large, 16 * MiB)

const isOurs = (name) => /memory-map|memfd|shm|null|zero|tty/.test(name) && !/\.node$|script/.test(name)
/** What this process holds: descriptors and areas of what is mapped here, of all, and the size of all areas together. */
const holds = () => ({
  descriptors: links().filter(isOurs).length,
  areas: areas().filter(({ name }) => isOurs(name)).length,
  all: links().length,
  size: memory('VmSize'),
})

/** The files of the descriptors. */
const links = () =>
  descriptors().map((fd) => {
    try {
      return fs.readlinkSync('/proc/self/fd/' + fd)
    } catch {
      return '' // the one that listed the folder
    }
  })

/** Does what leaves nothing once, then many times; the second may hold no more than the first has left. */
export async function leavesNothing(what, once, times) {
  const open = holds().areas
  for (let i = 0; i < 3; i++) await once(i)
  await until(() => holds().areas <= open)
  await settle()
  const before = holds()
  for (let i = 0; i < times; i++) await once(i)
  // The collector has its own time for addresses that a view stood in.
  await until(() => holds().areas <= open && holds().size < before.size + 500 * MiB)
  await settle()
  const after = holds()
  const report = what + ': ' + JSON.stringify({ before, after })
  check(after.descriptors === before.descriptors, 'descriptors are left by ' + report)
  check(after.areas === before.areas, 'areas are left by ' + report)
  // What a runtime takes for itself meanwhile is less than hundreds of descriptors, or mappings of 16 MiB.
  check(after.all < before.all + 20, 'descriptors are left by ' + report)
  check(after.size < before.size + 1000 * MiB, 'memory is left by ' + report)
  console.log(report)
}

async function settle() {
  for (let i = 0; i < 10; i++) {
    collect()
    await turn(2)
  }
}
