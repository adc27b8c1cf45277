// What is there before a call of ./operations.mjs or ./sharing.mjs, and what must be there afterwards.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'

import { random } from '../helpers/observe.mjs'

const root = process.env.MEMORY_MAP_ROOT
export const main = await import(`${root}index.js`)
export const sync = await import(`${root}sync.js`)
const { mapAnonymous, mapPrivate, mapShared, openSharedMemory, pageSize, unlinkSharedMemory } = main

export const LENGTH = 3 * pageSize + 100
const chance = random(1)
export const bytes = Buffer.from(Uint8Array.from({ length: LENGTH }, () => chance(256)))
export const readWrite = { protection: 'read-write' }
export const name = `injection-${process.pid}`
export const SHARED = { backing: 'shared-array-buffer' }

/** What a call gets, and everything that it may leave behind. */
export class Scene {
  #maps = []
  #folder = process.cwd()
  path = join(this.#folder, 'file')

  constructor() {
    fs.writeFileSync(this.path, bytes)
  }

  keep(map) {
    this.#maps.push(map)
    return map
  }

  new = () => join(this.#folder, 'new')

  end() {
    for (const map of this.#maps.splice(0)) map.close()
    for (const file of fs.readdirSync(this.#folder)) fs.rmSync(join(this.#folder, file))
    if (fs.existsSync(`/dev/shm/${name}`)) unlinkSharedMemory(name)
  }
}
/** What files there are and how long they are: the same before a call and after one that has failed. */
export const files = () =>
  [...fs.readdirSync('.'), ...fs.readdirSync('/dev/shm').filter((file) => file === name)].map((file) => [
    file,
    fs.statSync(file === name ? `/dev/shm/${file}` : file).size,
  ])

export const KINDS = {
  'a shared file': (scene) => mapShared(scene.path, readWrite),
  'a file to read': (scene) => mapShared(scene.path),
  'a closed file': (scene) => mapShared(scene.path, { ...readWrite, keepOpen: false }),
  'a private file': (scene) => mapPrivate(scene.path),
  memory: () => filled(mapAnonymous(LENGTH)),
  'shared memory': () => filled(mapAnonymous(LENGTH, { shared: true })),
  'named memory': () => filled(openSharedMemory(name, { create: true, length: LENGTH })),
  'a shared file, shared backing': (scene) => mapShared(scene.path, { ...readWrite, ...SHARED }),
  'a private file, shared backing': (scene) => mapPrivate(scene.path, SHARED),
  'memory, shared backing': () => filled(mapAnonymous(LENGTH, SHARED)),
}

function filled(map) {
  map.write(bytes)
  return map
}

/** All that can be seen of a mapping, and how long the files are. */
function seen(map) {
  const { kind, length, protection, closed, faults, offset } = map
  return { kind, length, protection, closed, faults, offset, files: files(), contents: map.read() }
}

export function works(map) {
  if (map.protection !== 'read-write') return
  const [at, value] = [map.length - 1, map.read(map.length - 1)[0]]
  map.view(at)[0] = value ^ 1
  assert.equal(map.read(at)[0], value ^ 1)
  map.write(Buffer.from([value]), at)
}

function usual(map, before, mayHave = () => false) {
  const now = seen(map)
  if (mayHave('files')) now.files = before.files
  assert.deepEqual(now, before)
  works(map)
}

/**
 * A call of a mapping of each of some kinds. `ready` is done with the mapping before, `check` looks at what has come of
 * the call; without, nothing has changed.
 */
export function using(kinds, ready, run, check = () => {}, changes = false) {
  return (kind) =>
    kinds(kind) && {
      make(scene) {
        const map = scene.keep(KINDS[kind](scene))
        const more = ready(map, scene)
        return { map, more, before: seen(map) }
      },
      run: (scene, { map, more }) => run(map, more, scene),
      async done(scene, { map, before, more }, result) {
        await check(map, result, more, scene)
        if (!changes) usual(map, before)
      },
      same: (_, { map, before }, mayHave) => usual(map, before, mayHave),
    }
}

export const all = () => true
export const writable = (kind) => kind !== 'a file to read'
export const shared = (kind) => writable(kind) && !/private|^memory/.test(kind)
export const resizable = (kind) => kind !== 'a closed file'
export const nothing = () => {}
export const viewed = (map) => ({ view: map.view(0, 2 * pageSize) })
