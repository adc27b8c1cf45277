// Everything that users can do, as calls whose system calls are made to fail: `make` prepares, `run` makes the call, `done`
// checks what it did, and `same` checks that a call that failed did nothing.

import assert from 'node:assert/strict'
import fs from 'node:fs'

import {
  all,
  bytes,
  files,
  KINDS,
  LENGTH,
  main,
  name,
  nothing,
  readWrite,
  resizable,
  SHARED,
  shared,
  sync,
  using,
  viewed,
  works,
  writable,
} from './scene.mjs'
import { synchronisers } from './sharing.mjs'

const { mapAnonymous, mapPrivate, mapShared, openSharedMemory, pageSize, unlinkSharedMemory } = main

// ---- Calls that make mappings

function making(map, { length = LENGTH, contents = bytes, prepare = () => {}, writable = true } = {}) {
  return {
    make(scene) {
      prepare(scene)
      return files()
    },
    run: (scene) => scene.keep(map(scene)),
    done(scene, before, made) {
      assert.equal(made.length, length)
      if (made.protection === 'none') return
      assert.ok(made.read(0, contents.length).equals(contents))
      assert.ok(made.read(contents.length).every((byte) => byte === 0))
      if (writable && made.protection.startsWith('read-write')) {
        made.write(Buffer.from([99]), length - 1)
        assert.equal(made.view(length - 1)[0], 99)
      }
    },
    same: (_, before, mayHave) => mayHave('files') || assert.deepEqual(files(), before),
  }
}

const none = Buffer.alloc(0)
const zeros = (length) => ({ length, contents: none })
const memory = (scene) => scene.keep(openSharedMemory(name, { create: true, length: LENGTH })).write(bytes)

const makers = {
  mapShared: making(({ path }) => mapShared(path)),
  'mapShared, to store': making(({ path }) => mapShared(path, readWrite)),
  'mapShared, inaccessible': making(({ path }) => mapShared(path, { protection: 'none' })),
  'mapShared, to run': making(({ path }) => mapShared(path, { protection: 'read-execute' })),
  'mapShared, from an offset': making(({ path }) => mapShared(path, { offset: pageSize + 1 }), {
    length: LENGTH - pageSize - 1,
    contents: bytes.subarray(pageSize + 1),
  }),
  'mapShared, populated': making(({ path }) => mapShared(path, { ...readWrite, populate: true })),
  'mapShared, advised': making(({ path }) => mapShared(path, { advice: 'random' })),
  'mapShared, without a guard': making(({ path }) => mapShared(path, { guard: false })),
  'mapShared, at an address': making(({ path }) => mapShared(path, { address: 0x2000_0000_0000n })),
  'mapShared, closing the file': making(({ path }) => mapShared(path, { keepOpen: false })),
  'mapShared, of a descriptor': making(({ path }) => {
    const fd = fs.openSync(path, 'r+')
    try {
      return mapShared(fd, readWrite)
    } finally {
      fs.closeSync(fd)
    }
  }),
  'mapShared, a shared backing': making(({ path }) => mapShared(path, { ...readWrite, ...SHARED })),
  'mapShared, a new file': making((s) => mapShared(s.new(), { ...readWrite, create: true, length: 9000 }), zeros(9000)),
  'mapShared, a new file with blocks': making(
    (s) => mapShared(s.new(), { ...readWrite, create: true, length: 9000, allocate: true }),
    zeros(9000),
  ),
  'mapShared, a new file, populated': making(
    (s) => mapShared(s.new(), { ...readWrite, create: true, length: 9000, populate: true }),
    zeros(9000),
  ),
  'mapShared, a longer file': making((s) => mapShared(s.path, { ...readWrite, create: true, length: 5 * pageSize }), {
    length: 5 * pageSize,
  }),
  'mapShared, a longer file with blocks': making(
    (s) => mapShared(s.path, { ...readWrite, create: true, allocate: true, length: 5 * pageSize }),
    { length: 5 * pageSize },
  ),
  mapPrivate: making(({ path }) => mapPrivate(path)),
  'mapPrivate, to read': making(({ path }) => mapPrivate(path, { protection: 'read' })),
  'mapPrivate, a shared backing': making(({ path }) => mapPrivate(path, SHARED)),
  'mapPrivate, populated': making(({ path }) => mapPrivate(path, { populate: true })),
  mapAnonymous: making(() => mapAnonymous(LENGTH), zeros(LENGTH)),
  'mapAnonymous, large pages': making(() => mapAnonymous(LENGTH, { hugePages: 'transparent' }), zeros(LENGTH)),
  'mapAnonymous, populated': making(() => mapAnonymous(LENGTH, { populate: true }), zeros(LENGTH)),
  'mapAnonymous, a shared backing': making(() => mapAnonymous(LENGTH, SHARED), zeros(LENGTH)),
  'mapAnonymous, shared': making(() => mapAnonymous(LENGTH, { shared: true }), zeros(LENGTH)),
  'mapAnonymous, shared with memory': making(
    () => mapAnonymous(LENGTH, { shared: true, allocate: true }),
    zeros(LENGTH),
  ),
  'mapAnonymous, shared, a shared backing': making(
    () => mapAnonymous(LENGTH, { shared: true, ...SHARED }),
    zeros(LENGTH),
  ),
  'mapAnonymous, sealed': making(() => mapAnonymous(LENGTH, { shared: true, seal: ['shrink', 'grow'] }), zeros(LENGTH)),
  'mapShared, of sealed memory': making((scene) => {
    const sealed = scene.keep(mapAnonymous(LENGTH, { shared: true, seal: 'shrink' }))
    return mapShared(sealed.fd, { ...readWrite, seal: 'shrink' })
  }, zeros(LENGTH)),
  'openSharedMemory, new': making(() => openSharedMemory(name, { create: true, length: LENGTH }), zeros(LENGTH)),
  'openSharedMemory, new for itself': making(
    () => openSharedMemory(name, { create: true, exclusive: true, length: LENGTH, allocate: true, mode: 0o640 }),
    zeros(LENGTH),
  ),
  'openSharedMemory, new and temporary': making(
    () => openSharedMemory(name, { create: true, temporary: true, length: LENGTH }),
    zeros(LENGTH),
  ),
  openSharedMemory: making(() => openSharedMemory(name), { prepare: memory }),
  'openSharedMemory, to read': making(() => openSharedMemory(name, { protection: 'read' }), { prepare: memory }),
  'openSharedMemory, longer': making(() => openSharedMemory(name, { create: true, length: 2 * LENGTH }), {
    prepare: memory,
    length: 2 * LENGTH,
  }),
  unlinkSharedMemory: {
    make: memory,
    run: () => unlinkSharedMemory(name),
    done: () => assert.ok(!fs.existsSync(`/dev/shm/${name}`)),
    same: () => assert.ok(fs.existsSync(`/dev/shm/${name}`)),
  },
}

// ---- Calls of a mapping

const storedTo = (map) => {
  const view = map.view()
  for (let at = 0; at < LENGTH; at += pageSize) view[at] ^= 255
  return { view, contents: Buffer.from(map.read()) }
}

const resizes = (kinds, ready, length) =>
  using(
    kinds,
    ready,
    (map) => map.resize(length),
    (map, _, more) => {
      assert.equal(map.length, length)
      const kept = more?.contents ?? bytes
      assert.ok(map.read(0, Math.min(length, LENGTH)).equals(kept.subarray(0, length)))
      if (length > LENGTH) assert.ok(map.read(LENGTH).every((byte) => byte === 0))
      if (length > 0) works(map)
    },
    true,
  )

const closes = (ready, run) => using(all, ready, run, (map) => assert.ok(map.closed), true)

const faults = {
  'a load behind the end': {
    of: using(
      (kind) => kind.startsWith('a shared file'),
      (map) => map.view(),
      (map, view, { path }) => {
        fs.truncateSync(path, pageSize)
        return view[2 * pageSize]
      },
      async (map, value) => {
        assert.equal(value, 0)
        assert.equal(map.faults, 1)
        assert.throws(() => map.check(), { code: 'ERR_MMAP_FAULT' })
      },
      true,
    ),
    faults: true,
  },
}

const users = {
  view: using(
    all,
    nothing,
    (map) => map.view(10, 5000),
    (_, view) => assert.ok(view.equals(bytes.subarray(10, 5010))),
  ),
  arrayBuffer: using(
    all,
    nothing,
    (map) => map.arrayBuffer,
    (_, made) => assert.equal(made.byteLength, LENGTH),
  ),
  typedArray: using(
    all,
    nothing,
    (map) => map.typedArray(Uint16Array, 2, 10),
    (_, made) => assert.equal(made[0], bytes.readUInt16LE(2)),
  ),
  read: using(
    all,
    nothing,
    (map) => map.read(10, 5000),
    (_, made) => assert.ok(made.equals(bytes.subarray(10, 5010))),
  ),
  toString: using(
    all,
    nothing,
    (map) => map.toString('latin1', 5, 600),
    (_, text) => assert.equal(text, bytes.toString('latin1', 5, 600)),
  ),
  write: using(
    writable,
    nothing,
    (map) => map.write(Buffer.alloc(6000, 3), 50),
    (map) => assert.ok(map.read(50, 6000).every((byte) => byte === 3)),
    true,
  ),
  indexOf: using(
    all,
    nothing,
    (map) => map.indexOf(bytes.subarray(5000, 5030)),
    (_, at) => assert.equal(at, 5000),
  ),
  lastIndexOf: using(
    all,
    nothing,
    (map) => map.lastIndexOf(bytes.subarray(5000, 5030)),
    (_, at) => assert.equal(at, 5000),
  ),
  count: using(
    all,
    nothing,
    (map) => map.count(bytes.subarray(5000, 5030)),
    (_, count) => assert.equal(count, 1),
  ),
  find: using(
    all,
    nothing,
    (map) => map.find(bytes.subarray(5000, 5030)),
    (_, at) => assert.equal(at, 5000),
  ),
  countAsync: using(
    all,
    nothing,
    (map) => map.countAsync(bytes.subarray(5000, 5030)),
    (_, n) => assert.equal(n, 1),
  ),
  lines: using(
    all,
    nothing,
    (map) => [...map.lines({ encoding: 'latin1' })],
    (_, lines) => assert.ok(lines.join('\n').length > LENGTH - 10),
  ),
  createReadStream: using(
    all,
    nothing,
    async (map) => {
      const parts = []
      for await (const part of map.createReadStream({ highWaterMark: 3000 })) parts.push(Buffer.from(part))
      return Buffer.concat(parts)
    },
    (_, made) => assert.ok(made.equals(bytes)),
  ),
  sync: using(shared, storedTo, (map) => map.sync()),
  syncSync: using(shared, storedTo, (map) => map.syncSync({ offset: pageSize, length: 10, invalidate: true })),
  protect: using(
    all,
    viewed,
    (map) => map.protect('read', { offset: pageSize, length: pageSize }),
    (map, _, { view }) => {
      assert.equal(view[pageSize], bytes[pageSize])
      assert.equal(map.read(pageSize, 1)[0], bytes[pageSize])
    },
    true,
  ),
  'protect all': using(
    all,
    viewed,
    (map) => map.protect('none'),
    (map) => assert.equal(map.protection, 'none'),
    true,
  ),
  advise: using(all, nothing, (map) => map.advise('willneed', { offset: pageSize })),
  'advise, dropping': using(
    (kind) => !/memory$|private|^memory/.test(kind),
    nothing,
    (map) => map.advise('dontneed'),
  ),
  'advise, populating': using(writable, nothing, (map) => map.advise('populate-write')),
  'advise, paging out': using(all, nothing, (map) => map.advise('pageout')),
  prefetch: using(all, nothing, (map) => map.prefetch({ offset: 10, length: 5000 })),
  lock: using(all, nothing, (map) => map.lock({ length: pageSize })),
  'lock on fault': using(all, nothing, (map) => map.lock({ onFault: true })),
  unlock: using(
    all,
    (map) => map.lock(),
    (map) => map.unlock(),
  ),
  residency: using(
    all,
    (map) => map.read(),
    (map) => map.residency(),
    (_, { pages, bitmap }) => assert.deepEqual([pages, bitmap.length], [4, 1]),
  ),
  'resize to more': resizes((kind) => resizable(kind) && shared(kind), nothing, 10 * pageSize + 7),
  'resize to more, with views': resizes((kind) => resizable(kind) && shared(kind), viewed, 10 * pageSize + 7),
  'resize to more, with stores': resizes((kind) => resizable(kind) && shared(kind), storedTo, 10 * pageSize + 7),
  'resize to more memory': resizes((kind) => kind.startsWith('memory'), nothing, 10 * pageSize + 7),
  'resize to more memory, with stores': resizes((kind) => kind.startsWith('memory'), storedTo, 10 * pageSize + 7),
  'resize to less': resizes((kind) => resizable(kind) && writable(kind), nothing, pageSize + 5),
  'resize to less, with stores': resizes((kind) => resizable(kind) && writable(kind), storedTo, pageSize + 5),
  'resize to nothing': resizes((kind) => resizable(kind) && writable(kind), viewed, 0),
  check: using(all, nothing, (map) => map.check()),
  close: closes(nothing, (map) => map.close()),
  'close, with views': closes(viewed, (map) => map.close()),
  'closeAsync, with views': closes(viewed, (map) => map.closeAsync()),
}

// ---- Calls that allocate as much as the user has asked for

const large = (make, run, done) => ({
  make: (scene) => scene.keep(make(scene)),
  run: (_, map) => run(map),
  done: (_, map, result) => done(result, map),
  same: (_, map) => assert.ok(map.length >= LENGTH),
})
const needle = Buffer.alloc(2 ** 20, 1)
const isNowhere = (at) => assert.equal(at, -1)

const allocators = {
  'residency of much': large(
    () => mapAnonymous(2 ** 33, { reserve: false }),
    (map) => map.residency(),
    ({ pages }) => assert.equal(pages, 2 ** 33 / pageSize),
  ),
  'indexOf of much': large(
    () => mapAnonymous(2 ** 21),
    (map) => map.indexOf(needle),
    isNowhere,
  ),
  'find of much': large(
    () => mapAnonymous(2 ** 21),
    (map) => map.find(needle),
    isNowhere,
  ),
  'count of much': large(
    () => mapAnonymous(2 ** 21),
    (map) => map.count(needle),
    (count) => assert.equal(count, 0),
  ),
  'resize of private pages, by copies': large(
    (scene) => {
      const map = mapPrivate(scene.path, SHARED)
      map.buffer.fill(5)
      return map
    },
    (map) => map.resize(2 * pageSize),
    (_, map) => assert.ok(map.read().every((byte) => byte === 5)),
  ),
  'sendAsync of much': large(
    () => mapAnonymous(2 ** 22, { shared: true }),
    async (map) => {
      const channel = sync.Channel.create(map)
      while (channel.trySend(needle));
      return await channel.sendAsync(needle, 1)
    },
    (sent) => assert.equal(sent, false),
  ),
}
/** Every call by its name. */
export const operations = new Map([
  ...Object.entries({ ...makers, ...allocators }),
  ...Object.entries({ ...users, ...faults, ...synchronisers }).flatMap(([name, user]) =>
    Object.keys(KINDS).flatMap((kind) => {
      const operation = (user.of ?? user)(kind)
      return operation ? [[`${name}: ${kind}`, { ...operation, faults: user.faults === true }]] : []
    }),
  ),
])
