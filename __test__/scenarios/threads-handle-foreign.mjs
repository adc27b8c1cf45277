// Invalid handles: of wrong types, changed, made up, of another process, or of mappings that nobody has open.

import assert from 'node:assert'
import { fork } from 'node:child_process'

import { mapAnonymous, MemoryMap, pageSize } from '../../index.js'

if (process.argv[2] === 'child') {
  process.once('message', (handle) => {
    /** @type {any} */
    let code = 'none'
    try {
      MemoryMap.from(/** @type {any} */ (handle))
    } catch (error) {
      code = error.code
    }
    process.send(code, () => process.exit())
  })
  process.send('ready')
} else {
  for (const backing of /** @type {const} */ (['array-buffer', 'shared-array-buffer'])) {
    const map = mapAnonymous(pageSize, { backing })
    /** @type {any} */
    const { handle } = map
    const type = 'ERR_INVALID_ARG_TYPE'
    const value = 'ERR_INVALID_ARG_VALUE'
    /** @type {[any, string][]} */
    const wrong = [
      [undefined, type],
      [null, type],
      [7, type],
      [handle.mapping, type],
      [() => handle, type],
      [{}, type],
      [[], type],
      [map, type],
      [map.buffer, type],
      [{ ...handle, mapping: 7 }, type],
      [{ ...handle, mapping: 7n }, type],
      [{ ...handle, memory: Buffer.alloc(pageSize) }, type],
      [{ ...handle, memory: new ArrayBuffer(pageSize) }, type],
      [{ ...handle, mapping: '' }, value],
      [{ ...handle, mapping: '0'.repeat(32) }, value],
      [{ ...handle, mapping: 'f'.repeat(32) }, value],
      [{ ...handle, mapping: `${handle.mapping}0` }, value],
      [{ ...handle, mapping: handle.mapping.slice(1) }, value],
      [{ ...handle, mapping: '+'.repeat(32) }, value],
      [{ ...handle, mapping: 'é'.repeat(16) }, value],
      [{ ...handle, backing: undefined }, value],
      [{ ...handle, backing: 'other' }, value],
      [{ ...handle, backing: backing === 'array-buffer' ? 'shared-array-buffer' : 'array-buffer' }, value],
    ]
    if (handle.memory !== undefined) {
      for (const memory of [undefined, new SharedArrayBuffer(0), new SharedArrayBuffer(2 * pageSize)]) {
        wrong.push([{ ...handle, memory }, value])
      }
    }
    // Every digit counts.
    for (let i = 0; i < 32; i++) {
      const digit = handle.mapping[i] === '0' ? '1' : '0'
      wrong.push([{ ...handle, mapping: handle.mapping.slice(0, i) + digit + handle.mapping.slice(i + 1) }, value])
    }
    for (const [given, code] of wrong) {
      assert.throws(() => MemoryMap.from(given), { name: 'TypeError', code }, String(code))
    }
    /** @type {any} */
    const options = { onFault: 7 }
    assert.throws(() => MemoryMap.from(handle, options), { code: type })
    assert.throws(() => MemoryMap.from(handle, /** @type {any} */ ({ onfault() {} })), { code: value })

    // None of these has changed who has the mapping.
    map.resize(2 * pageSize)
    const again = MemoryMap.from(map.handle)
    assert.throws(() => map.resize(pageSize), { code: 'ERR_MMAP_BUSY' })
    again.close()
    map.close()
    assert.throws(() => MemoryMap.from(handle), { code: 'ERR_MMAP_CLOSED' })
  }

  // In another process it means nothing, although that has mappings and handles of its own.
  const map = mapAnonymous(pageSize)
  const child = fork(new URL(import.meta.url), ['child'])
  child.once('message', () => child.send(map.handle, () => {}))
  const code = await new Promise((resolve) => child.on('message', (said) => said !== 'ready' && resolve(said)))
  assert.strictEqual(code, 'ERR_INVALID_ARG_VALUE')
  console.log('end')
}
