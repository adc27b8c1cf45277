// Garbage collection of memories in which mappings lie.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapPrivate, mapShared, pageSize } from '../../index.js'
import { areasOfFile, check, collect, descriptorsOf, folder, turn, until } from '../helpers/observe.mjs'
import { over } from '../helpers/wasm-module.mjs'

const path = join(folder(), 'file')
const length = 16 * pageSize
fs.writeFileSync(path, Buffer.alloc(length, 65))
const listsAreas = fs.existsSync('/proc/self/maps')

// Nobody has the mapping, or what it returned, and the memory is used.
const memory = new WebAssembly.Memory({ initial: 10 })
const { peek } = over(memory)
;(() => mapPrivate(path).into(memory, 65536))()
for (let i = 0; i < 10; i++) {
  collect()
  await turn(5)
}
check(peek(65536 + length - 1) === 65, 'the pages stay for as long as the memory')

// Nobody has the memory, and what was laid is held.
for (const shared of [false, true]) {
  let gone = new WebAssembly.Memory({ initial: 10, maximum: 20, shared })
  const map = mapShared(path)
  const laid = map.into(gone, 0)
  check(new Uint8Array(gone.buffer)[0] === 65 && !laid.closed, 'it is there')
  gone = undefined
  if (listsAreas) {
    await until(() => laid.closed)
    check(laid.closed, 'it is closed when the memory is gone')
    // One is in `memory`, and each of the two mappings has one.
    await until(() => areasOfFile(path) <= 3)
    check(areasOfFile(path) <= 3, 'and the pages are gone with it')
  }
  laid.close()
  check(map.read(0, 1)[0] === 65, 'the mapping goes on')
  map.close()
}

// Nobody has anything.
;(() => {
  for (let i = 0; i < 20; i++) {
    const one = new WebAssembly.Memory({ initial: 10 })
    mapShared(path).into(one, 65536 * (i % 5))
  }
})()
if (listsAreas) {
  // The mapping that is used has a descriptor, and pages in two places.
  await until(() => descriptorsOf(path) <= 1 && areasOfFile(path) <= 2)
  check(descriptorsOf(path) <= 1, 'descriptors: ' + descriptorsOf(path))
  check(areasOfFile(path) <= 2, 'areas: ' + areasOfFile(path))
}
check(peek(65536) === 65, 'and the one that is used is there')
console.log('reached the end')
