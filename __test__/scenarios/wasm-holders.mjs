// Two threads lay one mapping into a memory of their own each: what one of them does leaves the other's memory alone.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared, pageSize } from '../../index.js'
import { check, folder, until } from '../helpers/observe.mjs'
import { Thread } from '../helpers/thread.mjs'
import { over } from '../helpers/wasm-module.mjs'

const path = join(folder(), 'file')
const length = 64 * pageSize
const at = 65536

const lay = async (here, at) => {
  here.kept = { memory: new WebAssembly.Memory({ initial: 100 }) }
  here.kept.laid = here.map.into(here.kept.memory, at)
}
const peekThere = (here, at) => new Uint8Array(here.kept.memory.buffer)[at]

for (const end of ['close', 'terminate', 'first']) {
  fs.writeFileSync(path, Buffer.alloc(length, 65))
  const memory = new WebAssembly.Memory({ initial: 100 })
  const { peek } = over(memory)
  const told = []
  const map = mapShared(path, { protection: 'read-write', onFault: ({ kind }) => told.push(kind) })
  const laid = map.into(memory, at)
  const thread = new Thread(map.handle)
  await thread.run(lay, at)
  map.write(Buffer.from('B'))
  check(peek(at) === 66 && (await thread.run(peekThere, at)) === 66, 'both have the pages')

  fs.truncateSync(path, pageSize)
  check(peek(at + length - 1) === 0, 'beyond the end there are zeros here')
  check((await thread.run(peekThere, at + length - 1)) === 0, 'and there')
  await until(() => told.length > 0)
  fs.truncateSync(path, length)
  map.write(Buffer.from('C'), length - 1)
  await until(() => peek(at + length - 1) === 67)
  for (let there; there !== 67;) there = await thread.run(peekThere, at + length - 1)

  if (end === 'close') await thread.run((here) => here.map.close())
  if (end === 'terminate') await thread.end('terminate')
  if (end === 'first') {
    map.close()
    check(laid.closed && peek(at) === 0, 'zeros where the mapping was closed')
    check((await thread.run(peekThere, at)) === 66, 'and the pages where it was not')
  } else {
    check(peek(at) === 66 && peek(at + length - 1) === 67, 'what the other thread has ended is its own')
    if (end === 'close') check((await thread.run(peekThere, at)) === 0, 'with zeros in its memory')
    laid.close()
    check(peek(at) === 0, 'zeros')
    map.close()
  }
  if (end !== 'terminate') await thread.end('return')
}
console.log('reached the end')
