// WebAssembly puts its guard pages where mappings were; its traps must stay traps.

import { mapShared } from '../../index.js'
import { check, collect, turn } from '../helpers/observe.mjs'
import { path, options } from './shared-backing.mjs'

const bytes = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 8, 1, 4, 108, 111, 97, 100, 0,
  0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11,
])
for (let round = 0; round < 20; round++) {
  ;(() => {
    const maps = Array.from({ length: 20 }, () => mapShared(path, options))
    for (const map of maps) check(map.buffer[0] === 65, 'a mapping')
    for (const map of maps.slice(0, 10)) map.close()
  })()
  for (let i = 0; i < 4; i++) {
    collect()
    await turn(1)
  }
  const { load } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
  check(load(0) === 0, 'WebAssembly loads')
  for (const address of [65536, 1 << 20, 0x7fffffff, -1]) {
    let trap
    try {
      load(address)
    } catch (error) {
      trap = error
    }
    check(trap instanceof WebAssembly.RuntimeError, 'an address out of bounds is a trap: ' + address)
  }
}
console.log('reached the end')
