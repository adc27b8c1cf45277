// Faults in a mapping that two threads have: each is told to both, once each way, wherever it happened.

import assert from 'node:assert'
import fs from 'node:fs'

import { mapAnonymous, mapShared, MemoryMap, pageSize } from '../../index.js'
import { makeFile, sleep, until } from '../helpers/scenario.mjs'
import { Thread } from '../helpers/thread.mjs'

const warnings = []
process.on('warning', (warning) => warnings.push(warning))

/**
 * Waits until each side has been told of every fault: more than `before`, and equally many. Where another thread heals the
 * page before a store is tried again, the store fails once more; so nobody can say how many there are.
 */
async function allTold(map, here, thread, before) {
  for (const end = Date.now() + 120_000; ; await sleep(1)) {
    const [there, faults] = await thread.run(({ told, map }) => [told, map.faults])
    const counts = [here.length, there.length, faults]
    if (faults > before && counts.every((count) => count === map.faults)) return there
    assert.ok(Date.now() < end, `of ${map.faults} faults, ${counts} were told`)
  }
}

/** The kinds of the faults that `check()` throws, on the thread that runs this. */
function check({ map }) {
  const kinds = []
  for (;;) {
    try {
      map.check()
      return kinds
    } catch (error) {
      kinds.push(error.fault.kind)
    }
  }
}
const checkThere = (thread) => thread.run(check)
const checkHere = (map) => check({ map })

for (const backing of ['array-buffer', 'shared-array-buffer']) {
  const path = makeFile(Buffer.alloc(4 * pageSize, 7))
  const here = []
  /** @type {any} */
  const options = { protection: 'read-write', backing, onFault: (fault) => here.push(fault) }
  const map = mapShared(path, options)
  const thread = new Thread(map.handle)
  await thread.run(({ map }) => void map.buffer)

  // A store here, to a page that is gone.
  fs.truncateSync(path, pageSize)
  map.buffer[2 * pageSize] = 1
  assert.ok(map.faults > 0)
  const there = await allTold(map, here, thread, 0)
  assert.deepStrictEqual(there[0], { kind: 'beyond-end', offset: here[0].offset, length: here[0].length })
  assert.strictEqual(here[0].map, map)
  fs.truncateSync(path, 4 * pageSize)
  const isBeyondEnd = (thrown) => thrown.length > 0 && thrown.every((kind) => kind === 'beyond-end')
  assert.ok(isBeyondEnd(checkHere(map)))
  assert.ok(isBeyondEnd(await checkThere(thread)))
  assert.deepStrictEqual([checkHere(map), await checkThere(thread)], [[], []])

  // A sync never resolves over a lost store, on either side, wherever it was lost.
  const lost = map.faults
  fs.truncateSync(path, pageSize)
  await thread.run(({ map }, at) => void (map.buffer[at] = 1), 3 * pageSize)
  await allTold(map, here, thread, lost)
  fs.truncateSync(path, 4 * pageSize)
  await assert.rejects(map.sync(), { code: 'ERR_MMAP_FAULT' })
  await assert.rejects(
    thread.run(({ map }) => map.sync()),
    { code: 'ERR_MMAP_FAULT' },
  )
  checkHere(map)
  await checkThere(thread)
  await map.sync()
  await thread.run(({ map }) => map.sync())

  // A fault of a call is thrown where it was called, and told to both.
  const read = map.faults
  fs.truncateSync(path, pageSize)
  assert.throws(() => map.read(2 * pageSize, 1), { code: 'ERR_MMAP_FAULT' })
  await allTold(map, here, thread, read)
  fs.truncateSync(path, 4 * pageSize)
  assert.ok(isBeyondEnd(await checkThere(thread)))
  checkHere(map)

  // The protection is that of all.
  const stored = map.faults
  await thread.run(({ map }) => map.protect('read'))
  map.buffer[0] = 1
  assert.strictEqual((await allTold(map, here, thread, stored)).at(-1).kind, 'protection')
  assert.strictEqual(map.buffer[0], 7)
  map.protect('read-write')
  checkHere(map)
  await checkThere(thread)

  // Who comes later is told of what happens later, and who has closed of nothing that happens meanwhile.
  const late = []
  const before = map.faults
  const other = MemoryMap.from(map.handle, { onFault: (fault) => late.push(fault) })
  assert.strictEqual(other.faults, 0)
  await thread.run(({ map }) => map.close())
  fs.truncateSync(path, pageSize)
  other.buffer[3 * pageSize] = 1
  await until(() => late.length === other.faults && here.length === before + other.faults)
  assert.deepStrictEqual([late[0].kind, map.faults], ['beyond-end', before + other.faults])
  fs.truncateSync(path, 4 * pageSize)
  const [faultsThere, toldThere] = await thread.run(({ map, told }) => [map.faults, told.length])
  assert.deepStrictEqual([faultsThere, toldThere], [before, before])
  assert.ok(isBeyondEnd(checkHere(other)))
  assert.ok(isBeyondEnd(checkHere(map)))

  // What is left of a shared backing shows the pages to the end; its use after that is told.
  const view = map.buffer
  map.close()
  assert.strictEqual(view.length, backing === 'array-buffer' ? 0 : 4 * pageSize)
  if (backing === 'shared-array-buffer') assert.strictEqual(view[0], 7)
  assert.strictEqual(map.faults, before + other.faults)
  const last = other.buffer
  other.close()
  if (backing === 'shared-array-buffer') {
    assert.deepStrictEqual([view[0], last[0]], [0, 0])
    await until(() => [here, late].every((told) => told.at(-1).kind === 'closed'))
  }
  await thread.end()
}

// What nobody has been told of yet is told to those who were there when it happened, and to nobody who comes after it.
{
  const early = []
  const late = []
  const first = mapAnonymous(pageSize, { onFault: ({ kind }) => early.push(kind) })
  const { handle } = first
  first.protect('read')
  first.buffer[0] = 1
  const second = MemoryMap.from(handle, { onFault: ({ kind }) => late.push(kind) })
  await until(() => early.length > 0)
  assert.deepStrictEqual([early, first.faults], [['protection'], 1])
  assert.deepStrictEqual([late, second.faults], [[], 0])
  assert.throws(() => first.check(), { code: 'ERR_MMAP_FAULT' })
  second.check()
  first.close()
  second.close()
}

// Without a listener there is a warning on each thread, once for each mapping.
const map = mapAnonymous(pageSize)
const thread = new Thread(map.handle, { listens: false })
await thread.run(({ kept }) => {
  kept.warnings = []
  process.on('warning', (warning) => kept.warnings.push(warning.name))
})
map.protect('read')
for (let i = 0; i < 3; i++) {
  map.buffer[0] = 1
  await until(() => warnings.length > 0)
  await sleep(5)
}
assert.deepStrictEqual(
  warnings.map((warning) => warning.name),
  ['MemoryFaultWarning'],
)
for (;;) {
  const there = await thread.run(({ kept }) => kept.warnings)
  if (there.length === 0) continue
  assert.deepStrictEqual(there, ['MemoryFaultWarning'])
  break
}
await thread.end()
console.log('end')
