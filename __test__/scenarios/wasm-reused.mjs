// Memories with truncated files are collected, and others get their addresses: faults are those of the new mappings.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared, pageSize } from '../../index.js'
import { check, collect, folder, turn, until } from '../helpers/observe.mjs'
import { over } from '../helpers/wasm-module.mjs'

const path = join(folder(), 'file')
const length = 65536
const end = 65536

function traps(run) {
  try {
    run()
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError
  }
  return false
}

const first = new WebAssembly.Memory({ initial: 1 })
let gone = 0
const memories = new FinalizationRegistry(() => gone++)
const held = []
for (let i = 0; i < 60; i++) {
  fs.writeFileSync(path, Buffer.alloc(length, 65))
  ;(() => {
    const memory = new WebAssembly.Memory({ initial: 2 })
    memories.register(memory, undefined)
    const { peek } = over(memory)
    const map = mapShared(path, { onFault: () => peek(0) }) // which holds the memory
    held.push(map.into(memory, 65536))
    check(peek(65536) === 65, 'the file is there')
    if (i % 3 > 0) fs.truncateSync(path, i % 3 === 1 ? 0 : pageSize)
    check(peek(65536 + length - 1) === (i % 3 > 0 ? 0 : 65), 'or zeros')
    check(
      traps(() => peek(2 * 65536)),
      'a trap behind',
    )
  })()
  if (i % 4 === 0) held.length = 0
  collect()
  if (i % 2 === 0) await turn(1)
  // Of one page: where the others had the file it has no memory.
  const next = new WebAssembly.Memory({ initial: 1 })
  const { peek, poke } = over(next)
  for (let at = end; at < end + length; at += pageSize) {
    check(traps(() => peek(at)) && traps(() => poke(at, 1)), 'a trap in memory of round ' + i)
  }
  check(peek(0) === 0 && over(first).peek(0) === 0, 'zeros')
}
if (fs.existsSync('/proc/self/maps')) {
  check(await until(() => gone > 30), 'memories go with what lies in them: only so many are gone: ' + gone)
}
console.log('reached the end')
