// A thread that got the handle of a mapping can do everything with it, on the same pages.

import assert from 'node:assert'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import { allocationGranularity, mapAnonymous, mapPrivate, mapShared, MemoryMap, pageSize } from '../../index.js'
import { makeFile } from '../helpers/scenario.mjs'
import { Thread } from '../helpers/thread.mjs'

const isWindows = process.platform === 'win32'
const path = makeFile(Buffer.alloc(3 * allocationGranularity + 100, 'abc\n'))
const rw = /** @type {const} */ ({ protection: 'read-write' })

/** @type {[what: string, map: (options: any) => MemoryMap<any>][]} */
const kinds = [
  ['a shared file', (options) => mapShared(path, { ...rw, ...options })],
  ['a part of a shared file', (options) => mapShared(path, { ...rw, offset: pageSize + 3, length: 9000, ...options })],
  ['a read-only file', (options) => mapShared(path, options)],
  ['a private file', (options) => mapPrivate(path, { offset: 5, ...options })],
  ['memory', (options) => mapAnonymous(2 * allocationGranularity + 5, options)],
  ['memory of a file without a name', (options) => mapAnonymous(3 * pageSize, { shared: !isWindows, ...options })],
  ['nothing', (options) => mapAnonymous(0, options)],
]

const describe = (map) => {
  const { kind, length, offset, protection, path, fd, address, closed, faults } = map
  const json = JSON.stringify(map)
  const shared = map.arrayBuffer instanceof SharedArrayBuffer
  return { kind, length, offset, protection, path, fd, address, closed, faults, json, shared }
}

for (const backing of ['array-buffer', 'shared-array-buffer']) {
  for (const [what, make] of kinds) {
    const map = make({ backing })
    if (map.protection === 'read-write') {
      for (let i = 0; i < map.length; i++) map.buffer[i] = i % 4 === 3 ? 10 : 97 + (i % 3)
    }
    const { handle } = map
    assert.deepStrictEqual(Object.keys(handle).slice(0, 2), ['mapping', 'backing'])
    assert.ok(Object.isFrozen(handle) && Object.getPrototypeOf(handle) === Object.prototype)
    const thread = new Thread(structuredClone(handle))
    // BigInts, undefined and all.
    const there = await thread.run(
      ({ map }, describe) => new Function(`return (${describe})`)()(map),
      describe.toString(),
    )
    assert.deepStrictEqual(there, describe(map), what)

    // What is read there is what is here.
    const read = await thread.run(({ map }) => ({
      read: Buffer.from(map.read()).toString('latin1'),
      buffer: map.buffer.toString('latin1'),
      text: map.toString('latin1'),
      first: map.view(0, Math.min(5, map.length)).toString('latin1'),
      bytes: [...map.typedArray(Uint8Array, 0, Math.min(5, map.length))],
      data: map.length > 0 ? map.dataView(0, 1).getUint8(0) : -1,
      found: [map.indexOf('\n'), map.lastIndexOf('\n'), map.includes('\n'), map.count('\n')],
      lines: [...map.lines({ encoding: 'latin1' })].length,
      pages: map.residency().pages,
    }))
    const bytes = map.read()
    const text = bytes.toString('latin1')
    assert.ok([read.read, read.buffer, read.text].every((one) => one === text))
    assert.deepStrictEqual([read.first, read.bytes], [text.slice(0, 5), [...bytes.subarray(0, 5)]])
    assert.deepStrictEqual([read.data, read.pages], [bytes[0] ?? -1, map.residency().pages])
    const newlines = text.split('\n').length - 1
    assert.deepStrictEqual(read.found, [text.indexOf('\n'), text.lastIndexOf('\n'), newlines > 0, newlines])
    assert.strictEqual(read.lines, [...map.lines()].length)
    const later = await thread.run(async ({ map }) => {
      const chunks = []
      for await (const chunk of map.createReadStream()) chunks.push(chunk.toString('latin1'))
      await map.prefetch()
      map.advise('willneed')
      map.check()
      return { found: await map.find('\n'), counted: await map.countAsync('\n'), streamed: chunks.join('') }
    })
    assert.deepStrictEqual(later, { found: text.indexOf('\n'), counted: newlines, streamed: text })

    // What is stored there is here, and the other way round.
    if (map.protection === 'read-write' && map.length > 0) {
      await thread.run(({ map }) => {
        map.buffer[1] = 1
        map.write(Buffer.of(2), 2)
        map.view(3, 1)[0] = 3
      })
      assert.deepStrictEqual([...map.read(1, 3)], [1, 2, 3])
      map.buffer.fill(9, 0, 9)
      assert.strictEqual(await thread.run(({ map }) => map.read(0, 10).lastIndexOf(9)), 8)
      if (map.kind === 'shared') {
        await thread.run(({ map }) => map.sync())
        await thread.run(({ map }) => map.syncSync())
        assert.strictEqual(fs.readFileSync(path)[map.offset + 8], 9)
      } else if (map.kind === 'private') {
        assert.notStrictEqual(fs.readFileSync(path)[map.offset + 8], 9)
        await assert.rejects(
          thread.run(({ map }) => map.sync()),
          { code: 'ERR_MMAP_NOT_SHARED' },
        )
      }
      // What one protects, both have.
      await thread.run(({ map }) => map.protect('read'))
      assert.strictEqual(map.protection, 'read')
      assert.throws(() => map.write(Buffer.of(1)), { code: 'ERR_MMAP_NOT_WRITABLE' })
      map.protect('read-write')
      assert.strictEqual(await thread.run(({ map }) => map.protection), 'read-write')
      assert.strictEqual(await thread.run(({ map }) => map.write(Buffer.of(1))), 1)
    }
    if (map.length > 0 && process.platform === 'linux') {
      await thread.run(({ map, pageSize }) => {
        map.lock({ offset: 0, length: Math.min(pageSize, map.length) })
        map.unlock()
      })
    }

    // Neither changes its length while the other has it open, for the other's views would be lost.
    const { length, address } = map
    for (const change of [length + 1, 2 * length + pageSize, 0].filter((one) => one !== length)) {
      assert.throws(() => map.resize(change), { code: 'ERR_MMAP_BUSY' })
      await assert.rejects(
        thread.run(({ map }, change) => map.resize(change), change),
        // In a worker of Deno's such a mapping could have no memory of the new length.
        { code: globalThis.Deno && backing.startsWith('shared') ? 'ERR_MMAP_UNSUPPORTED' : 'ERR_MMAP_BUSY' },
      )
    }
    map.resize(length)
    assert.deepStrictEqual([map.length, map.address], [length, address])
    await thread.run(({ map }) => map.closeAsync())
    const again = map.protection === 'read-write' && map.kind !== 'private'
    if (again) {
      const before = map.length > 0 ? map.buffer[0] : 0
      map.resize(length + 10 * pageSize)
      map.buffer[length + 5] = 5
      assert.deepStrictEqual([map.length, map.buffer[0]], [length + 10 * pageSize, before])
    }

    // The same in the same thread, and by way of a thread that has it from another one.
    const second = MemoryMap.from(again ? map.handle : handle)
    assert.notStrictEqual(second, map)
    assert.deepStrictEqual([second.address, second.length, second.kind], [map.address, map.length, map.kind])
    if (map.length > 0) assert.strictEqual(second.buffer[0], map.buffer[0])
    const handed = await thread.run(({ MemoryMap, kept }, handle) => {
      kept.map = MemoryMap.from(handle)
      return kept.map.handle
    }, second.handle)
    const third = MemoryMap.from(handed)
    assert.deepStrictEqual([third.address, third.path], [map.address, map.path])
    for (const one of [second, third]) one.close()
    assert.strictEqual(map.closed, false)
    assert.strictEqual(map.read().length, map.length)
    await thread.end('return')
    map.close()
    assert.throws(() => map.handle, { code: 'ERR_MMAP_CLOSED' })
    assert.throws(() => MemoryMap.from(handle), { code: 'ERR_MMAP_CLOSED' })
    assert.throws(() => MemoryMap.from(handed), { code: 'ERR_MMAP_CLOSED' })
  }
}

// A thread on its own memory, too: CommonJS and ES modules are one library.
const required = createRequire(import.meta.url)(fileURLToPath(new URL('../../index.js', import.meta.url)))
const map = mapAnonymous(10)
assert.strictEqual(required.MemoryMap.from(map.handle).length, 10)
console.log('end')
