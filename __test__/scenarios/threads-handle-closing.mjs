// A mapping that two threads have is there until both have closed it, in whatever order and way.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, mapPrivate, mapShared, MemoryMap, pageSize } from '../../index.js'
import { orLong } from '../helpers/long.mjs'
import { makeFile, until } from '../helpers/scenario.mjs'
import { Thread } from '../helpers/thread.mjs'

const path = fs.realpathSync(makeFile(Buffer.alloc(4 * pageSize, 7)))
const isMapped = () => fs.readFileSync('/proc/self/maps', 'utf8').includes(path)
const isOpen = () =>
  fs.readdirSync('/proc/self/fd').some((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false // it was the folder's own
    }
  })

const kinds = {
  file: (options) => mapShared(path, { protection: 'read-write', ...options }),
  copy: (options) => mapPrivate(path, options),
  memory: (options) => mapAnonymous(4 * pageSize, options),
}

/** Uses the mapping in every way that needs it open. */
const isUsable = (map) => {
  map.buffer[3] = 5
  return map.read(3, 1)[0] === 5 && map.indexOf(Buffer.of(5)) >= 0 && map.address > 0n && !map.closed
}

function isClosed(map, path) {
  const closed = { code: 'ERR_MMAP_CLOSED' }
  assert.strictEqual(map.closed, true)
  assert.deepStrictEqual([map.address, map.fd, map.path], [0n, undefined, path])
  for (const use of [
    () => map.buffer,
    () => map.read(),
    () => map.view(),
    () => map.write(Buffer.of(1)),
    () => map.protect('read'),
    () => map.syncSync(),
    () => map.resize(1),
    () => map.check(),
    () => map.handle,
    () => map.indexOf('a'),
    () => map.residency(),
  ]) {
    assert.throws(use, closed)
  }
  map.close()
}

/** Each way to end meets each kind, and each of both a thread that has looked at the memory; not all three at once. */
let turn = 0
for (const backing of ['array-buffer', 'shared-array-buffer']) {
  for (const [kind, make] of Object.entries(kinds)) {
    turn++
    const known = kind === 'memory' ? undefined : path
    // The one who made it closes first.
    for (const how of /** @type {const} */ (['close', 'return', 'exit', 'terminate'])) {
      for (const looks of orLong([turn++ % 2 === 0], [true, false])) {
        const map = make({ backing, onFault() {} })
        const thread = new Thread(map.handle)
        if (looks) await thread.run(({ map, kept }) => void (kept.view = map.buffer)[0])
        else await thread.run(({ map }) => map.read(0, 1))
        const { handle, length } = map
        const views = [map.buffer, map.view(pageSize, 10)]
        assert.ok(isUsable(map))
        map.close()
        isClosed(map, known)
        assert.ok(await thread.run((here, use) => new Function(`return (${use})`)()(here.map), isUsable.toString()))
        if (backing === 'array-buffer') assert.ok(views.every((view) => view.length === 0))
        else assert.deepStrictEqual([views[0].length, views[0][3]], [length, 5]) // the same pages, still
        const other = MemoryMap.from(handle, { onFault() {} }) // open, so another can come
        assert.strictEqual(other.read(3, 1)[0], 5)
        other.close()
        if (how === 'close') {
          await thread.run(({ map }) => map.close())
          if (kind !== 'memory') assert.ok(!isMapped() && !isOpen(), `${kind} ${backing}`)
          if (looks && backing === 'shared-array-buffer') {
            assert.strictEqual(await thread.run(({ kept }) => kept.view[3]), 0)
          }
          await thread.end('terminate')
        } else {
          await thread.end(how)
          // The thread has ended when it says so; on Deno a little later.
          await until(() => kind === 'memory' || (!isMapped() && !isOpen()))
        }
        await until(() => {
          try {
            MemoryMap.from(handle, { onFault() {} }).close()
            return false
          } catch (error) {
            assert.strictEqual(error.code, 'ERR_MMAP_CLOSED')
            return true
          }
        })
        if (backing === 'shared-array-buffer') {
          await until(() => views[0][3] === 0)
          assert.deepStrictEqual([views[0].length, views[1][0]], [length, 0])
        }
      }
    }
    // The other one closes first, or ends.
    for (const how of /** @type {const} */ (['close', 'return', 'exit', 'terminate'])) {
      const map = make({ backing, onFault() {} })
      const thread = new Thread(map.handle)
      await thread.run(({ map, kept }) => {
        kept.view = map.buffer
        kept.view[2] = 9
      })
      if (how === 'close') {
        const [length, byte, closed] = await thread.run(({ map, kept }) => {
          map.close()
          return [kept.view.length, kept.view[2], map.closed]
        })
        const there = backing === 'array-buffer' ? [0, undefined, true] : [map.length, 9, true]
        assert.deepStrictEqual([length, byte, closed], there)
        assert.strictEqual(await thread.run(({ map }) => map.address), 0n)
        // It can come again, as often as it likes.
        await thread.run(({ kept, MemoryMap }, handle) => {
          for (let i = 0; i < 100; i++) MemoryMap.from(handle).close()
          kept.again = MemoryMap.from(handle)
        }, map.handle)
        assert.strictEqual(await thread.run(({ kept }) => kept.again.buffer[2]), 9)
        await thread.end('terminate')
      } else {
        await thread.end(how)
      }
      assert.ok(isUsable(map), how)
      assert.deepStrictEqual([map.buffer[2], map.read(2, 1)[0], map.faults], [9, 9, 0])
      // Nobody else has it any more, so its length can change again; on Deno a little later.
      await until(() => {
        try {
          map.resize(8 * pageSize)
          return true
        } catch (error) {
          if (error.code === 'ERR_MMAP_BUSY') return false
          assert.deepStrictEqual([kind, error.code], ['copy', 'ERR_MMAP_BEYOND_END'])
          return true
        }
      })
      assert.strictEqual(map.buffer[2], 9)
      map.close()
      isClosed(map, known)
      if (kind !== 'memory') assert.ok(!isMapped() && !isOpen())
      if (kind === 'file') fs.truncateSync(path, 4 * pageSize)
    }
    // A handle is no reason to keep anything.
    const map = make({ backing })
    const { handle } = map
    const late = new Thread(handle, { idle: true })
    await late.run(() => 0)
    map.close()
    const from = ({ MemoryMap }, handle) => MemoryMap.from(handle).length
    await assert.rejects(late.run(from, handle), { code: 'ERR_MMAP_CLOSED' })
    await late.end()
  }
}
console.log('end')
